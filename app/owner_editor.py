"""The form in which an owner makes a study, and the YAML beside it, which is what the command takes too."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency

from annotations import AnnotationError
from annotations.studies.definition import ACR, ACR_LABELS, CONTINUOUS
from annotations.studies.study import Study
from app import cards, owner_specials
from app.errors import Refused
from app.owner_draft import FIELDS, Draft, form_of
from app.owner_guard import owners_only
from app.owner_specials import Specials
from app.who import Who
from model.images.formats import SUFFIXES

MOST_FILES = 1000  # at once, as many as Gradio takes in one upload
START: dict[str, Any] = dict.fromkeys(("study", "title", "instructions"), "")
START |= {"question": "How good is the technical quality of this image?", "scale": ACR, "labels": list(ACR_LABELS)}
START |= {"ratings_per_image": 15, "session_length": 100, "repeats": 0.08, "blind": True, "reveal": False, "seed": 0}
YAML_SAID = "<h3>The same as YAML</h3><p class='small'>What <code>python -m annotations.study new</code> takes. You can edit it here.</p>"


@dataclass(frozen=True)
class Editor:
    """The form's components that other events use. `kept` has the name of the study that was made last, if any."""

    column: gr.Column
    draft: gr.State
    counted: gr.HTML
    form: list
    text: gr.Code
    wrong: gr.HTML
    specials: Specials
    kept: gr.Textbox
    create: gr.Button
    cancel: gr.Button

    def outputs(self) -> list:
        """What `blank` and `changing` fill."""
        return [self.draft, self.counted, *self.form, self.text, self.wrong, self.specials.grid, self.specials.table]

    def blank(self) -> list:
        """A new study."""
        return self._filled(Draft(), START, new=True)

    def changing(self, study: Study) -> list:
        """The next version of a study. Raises AnnotationError."""
        draft = Draft()
        return self._filled(draft, form_of(draft.change(study)), new=False)

    def _filled(self, draft: Draft, form: dict, new: bool) -> list:
        name, *others = _values(form)
        shown = [gr.Textbox(name, interactive=new), *others]
        return [draft, images_said(draft), *shown, draft.yaml(form), "", *self.specials.shown(draft)]


def images_said(draft: Draft, failures: list | None = None) -> str:
    """How many images there are, and what is none."""
    count = len(draft.files)
    said = (
        f'<p class="small" role="status">{count} {"image is" if count == 1 else "images are"} here.</p>'
        if count
        else ""
    )
    return said + cards.problems(failures or [], "taken")


def keep(data_dir: Path, draft: Draft, text: str) -> str:
    """Makes the study of the YAML, or its next version; returns its name. Raises AnnotationError, Refused."""
    if not draft.files and not draft.folders:
        raise Refused("There are no images yet: upload some, or name a folder on the server.")
    kept = draft.keep(data_dir.absolute(), text)
    said = ", ".join(f"{count} {kind}" for kind, count in kept.images.items())
    left = f" {len(kept.copies)} copies of other images were left out." if kept.copies else ""
    gr.Info(escape(f"{kept.study}, version {kept.number}. Images: {said}.{left}"), title="The study is kept")
    return kept.study


def rendered(draft: Draft, values: tuple) -> str:
    """The YAML of what the form's components hold."""
    form = dict(zip(FIELDS, values, strict=True))
    form["labels"] = [line.strip() for line in str(form["labels"] or "").splitlines() if line.strip()]
    for name in ("study", "title", "question", "instructions"):
        form[name] = str(form[name] or "").strip()
    draft.by_hand = False
    return draft.yaml(form)


def _values(form: dict) -> list:
    """What the form's components show."""
    return ["\n".join(form[name]) if name == "labels" else form[name] for name in FIELDS]


def _components() -> list:
    """One for each of FIELDS, in their order."""

    def text(name: str, label: str, **options) -> gr.Textbox:
        return gr.Textbox(START[name], label=label, elem_id=f"owner-{name}", **options)

    def whole(name: str, label: str, info: str | None = None) -> gr.Number:
        element = f"owner-{name.replace('_', '-')}"
        return gr.Number(START[name], label=label, precision=0, info=info, elem_id=element)

    with gr.Row():
        study = text("study", "Name", info="Part of the raters' link: a–z, 0–9, - and _", max_lines=1)
        title = text("title", "Title", info="Raters see it. Empty: the name", max_lines=1)
    question = text("question", "Question", lines=1)
    with gr.Row():
        scales = [("Five labelled points (ACR)", ACR), ("Continuous, 0 to 100", CONTINUOUS)]
        scale = gr.Radio(scales, value=ACR, label="Scale", elem_id="owner-scale")
        labels = gr.Textbox(
            "\n".join(ACR_LABELS), label="Labels, worst first, one a line", lines=5, elem_id="owner-labels"
        )
    with gr.Row():
        ratings = whole("ratings_per_image", "Ratings per image", "Raters that each image needs")
        session = whole("session_length", "Images in a session", "Until a break; at most 30 minutes")
    instructions = text("instructions", "Instructions", lines=3)
    with gr.Row():
        repeats = gr.Slider(
            0, 0.5, START["repeats"], step=0.01, label="Share of images shown twice", elem_id="owner-repeats"
        )
        seed = whole("seed", "Seed of the random order")
    blind = gr.Checkbox(
        True, label="Blind: leave out ratings given after the model's score was seen", elem_id="owner-blind"
    )
    reveal = gr.Checkbox(False, label="Show the model's score after each rating", elem_id="owner-reveal")
    return [study, title, question, scale, labels, ratings, session, instructions, repeats, blind, reveal, seed]


def _intake() -> tuple[gr.File, gr.Textbox, gr.Button, gr.HTML]:
    gr.HTML("<h3>Images</h3>")
    files = gr.File(
        label=f"Up to {MOST_FILES} images at once, a zip of images, or a CSV with a column image",
        file_count="multiple",
        file_types=["image", ".zip", ".csv", *sorted(SUFFIXES)],
        height=150,
        elem_id="owner-files",
        elem_classes="intake",
    )
    with gr.Row(equal_height=True):
        place = gr.Textbox(
            "",
            label="Or a folder on the server",
            placeholder="/data/photos",
            max_lines=1,
            scale=4,
            elem_id="owner-folder",
        )
        take = gr.Button("Add folder", size="sm", scale=1, min_width=110, elem_id="owner-add-folder")
    return files, place, take, gr.HTML(elem_id="owner-images")


def build(who: Who) -> Editor:
    """Put the form on the page, hidden."""
    owners = owners_only(who)
    with gr.Column(visible=False, elem_id="owner-edit") as column:
        draft = gr.State(Draft())
        with gr.Row(elem_classes="two-columns"):
            with gr.Column(scale=6, min_width=320):
                files, place, take, counted = _intake()
                gr.HTML("<h3>Question and rules</h3>")
                form = _components()
            with gr.Column(scale=5, min_width=320):
                gr.HTML(YAML_SAID)
                text = gr.Code(
                    language="yaml", lines=18, wrap_lines=True, show_label=False, interactive=True, elem_id="owner-yaml"
                )
                wrong = gr.HTML(elem_id="owner-wrong")
                with gr.Row():
                    create = gr.Button("Keep the study", variant="primary", elem_id="owner-keep")
                    cancel = gr.Button("Cancel", elem_id="owner-cancel")
        specials = owner_specials.build(draft, owners, rendered, form, text)
    kept = gr.Textbox("", visible=False, elem_id="owner-kept")
    editor = Editor(column, draft, counted, form, text, wrong, specials, kept, create, cancel)
    _wire_images(editor, files, place, take, owners)
    _wire_text(editor, owners)
    return editor


def build_keep(editor: Editor, data_dir: Path, who: Who) -> Dependency:
    """Ties the button to what it does; returns the event, after which `kept` has the study's name, or nothing where it was refused."""

    @owners_only(who)
    def make(request: gr.Request, visitor: Draft, text: str | None, *values: object):
        given = (text or "") if visitor.by_hand else rendered(visitor, values)
        try:
            return [keep(data_dir, visitor, given), given, ""]
        except (AnnotationError, Refused) as error:
            return ["", given, cards.refusal(str(error))]

    given = [editor.draft, editor.text, *editor.form]
    return editor.create.click(make, given, [editor.kept, editor.text, editor.wrong], api_visibility="private")


def _wire_images(editor: Editor, files: gr.File, place: gr.Textbox, take: gr.Button, owners: Callable) -> None:
    @owners
    def add(request: gr.Request, paths: list[str] | None, visitor: Draft, *values: object):
        failures = visitor.add(paths or [])
        return [images_said(visitor, failures), rendered(visitor, values), *editor.specials.shown(visitor), None]

    @owners
    def add_folder(request: gr.Request, where: str, visitor: Draft, *values: object):
        visitor.add_folder(where)
        return [images_said(visitor), rendered(visitor, values), *editor.specials.shown(visitor)]

    outputs = [editor.counted, editor.text, editor.specials.grid, editor.specials.table]
    files.upload(
        add,
        [files, editor.draft, *editor.form],
        [*outputs, files],
        api_visibility="private",
        show_progress_on=editor.counted,
    )
    gr.on(
        [take.click, place.submit], add_folder, [place, editor.draft, *editor.form], outputs, api_visibility="private"
    )


def _wire_text(editor: Editor, owners: Callable) -> None:
    """The form writes the YAML, and edited YAML fills the form."""

    @owners
    def write(request: gr.Request, visitor: Draft, *values: object):
        return rendered(visitor, values), ""

    @owners
    def read(request: gr.Request, visitor: Draft, text: str | None):
        visitor.by_hand = True
        try:
            form = form_of(visitor.read(text or ""))
        except AnnotationError as error:  # it is being written
            return [*[gr.skip()] * len(editor.form), cards.refusal(str(error)), gr.skip()]
        return [*_values(form), "", owner_specials.specials_table(visitor)]

    quiet = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last"}
    changes = [component.input for component in editor.form]
    gr.on(changes, write, [editor.draft, *editor.form], [editor.text, editor.wrong], **quiet)
    editor.text.input(read, [editor.draft, editor.text], [*editor.form, editor.wrong, editor.specials.table], **quiet)
