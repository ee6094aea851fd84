"""The Studies tab: what the owner of the page sees of its rating studies. Nobody else reaches any of it."""

import time
from collections.abc import Callable
from html import escape
from pathlib import Path

import gradio as gr

from annotations import Annotations
from annotations.studies.progress import StudyProgress, last_change, study_progress
from annotations.studies.study import Study, list_studies
from app import cards, owner_dashboard, owner_editor, owner_files, owner_models
from app.errors import says_beside
from app.image_input import PICK, picked
from app.loaded_scorers import Scorers
from app.owner_guard import owners_only
from app.owner_reports import Reports
from app.settings import Settings
from app.who import Who

LIVE = 5.0  # seconds between two looks at the counts
SELDOM = 20  # times as long as counting a study took, until it is counted again
RATERS_LINK = "study/{}/"  # below the page's address
BUTTONS = [("Open to raters", "open"), ("Pause", "pause"), ("Close", "close")]
STATES = ("open", "paused", "closed")  # what they make of a study
NO_STUDIES = "There are no studies yet. Press New study: a study is a set of images, a question, and rules for showing them to raters."
INTRODUCTION = "<h3>Rating studies</h3><p class='small'>Only owners of this page see this tab.</p>"
TOKEN = "<h3>Are you the owner?</h3><p class='small'>Give the token that was set as QSCORER_OWNER_TOKEN when this page was started.</p>"


class Studies:
    """The studies of a data folder, as the tab shows them. Safe for threads."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._counted: dict[
            str, tuple[tuple, float, StudyProgress]
        ] = {}  # as of which change, and until when it is not counted anew

    def listed(self, chosen: str) -> str:
        """A row for each study, newest first."""
        names = list_studies(self.data_dir)[::-1]
        if not names:
            return cards.empty(NO_STUDIES)
        rows = "".join(_row(self._progress(name), name == chosen) for name in names)
        titles = ("Study", "State", "Ratings", "Raters", "Images short", "Link for raters")
        head = "".join(f'<th scope="col">{title}</th>' for title in titles)
        return cards.table(
            "Press a name to see its results. Ratings: how many of those that its images need.", head, rows
        )

    def _progress(self, name: str) -> StudyProgress:
        """Counted anew when there are new ratings or another state; of a large study, which takes long to count, not every time."""
        change = (last_change(self.data_dir), Study(self.data_dir, name).state())
        known, now = self._counted.get(name), time.monotonic()
        if known is None or known[0] != change and (known[1] < now or known[0][1] != change[1]):
            counted = study_progress(self.data_dir, name)
            known = self._counted[name] = (change, time.monotonic() + SELDOM * (time.monotonic() - now), counted)
        return known[2]

    def headed(self, name: str) -> list:
        """What is said above a study's results, and which of the buttons open, pause and close can be pressed."""
        if not name:
            return ["", *[gr.Button()] * 3]
        study = Study(self.data_dir, name)
        definition, state = study.definition(), study.state()
        said = f"<h3>{escape(definition.title)}</h3><p class='small'>{escape(definition.question)}</p>"
        return [
            said,
            gr.Button("Open to raters" if state == "draft" else "Open again", interactive=state != "open"),
            gr.Button(interactive=state == "open"),
            gr.Button(interactive=state in ("open", "paused")),
        ]


def _row(of: StudyProgress, chosen: bool) -> str:
    name, link = escape(of.study), RATERS_LINK.format(of.study)
    done = 100 * of.taken / of.places if of.places else 0
    bar = f'<div class="track" aria-hidden="true"><div style="width:{done:.0f}%"></div></div>'
    return (
        f'<tr{" class=chosen" if chosen else ""}><td><button type="button" data-key="{name}">{name}</button></td>'
        f'<td><em class="state {of.state}">{of.state}</em></td><td>{of.taken} of {of.places}{bar}</td>'
        f"<td>{of.raters}</td><td>{of.short} of {of.images}</td>"
        f'<td><a href="{link}" target="_blank">{link}</a> <button type="button" class="link" data-copy="{link}">Copy</button></td></tr>'
    )


def build(page: gr.Blocks, settings: Settings, scorers: Scorers, annotations: Annotations, who: Who) -> None:
    """Put the tab on the page. Elsewhere than on the owner's own machine it is hidden until the page knows that an owner has come."""
    owners, studies = owners_only(who), Studies(settings.data_dir.absolute())
    reports = Reports(studies.data_dir)
    with gr.Tab("Studies", id="studies", visible=not who.settings.public, elem_id="owner-tab") as tab:
        live = gr.Timer(LIVE, active=False)
        with gr.Column(visible=who.settings.public, elem_classes="panel", elem_id="owner-gate") as gate:
            gr.HTML(TOKEN)
            token = gr.Textbox("", label="Owner's token", type="password", max_lines=1, elem_id="owner-token")
            refused = gr.HTML(elem_id="owner-refused")
            enter = gr.Button("Continue", variant="primary", elem_id="owner-enter")
        with gr.Column(visible=not who.settings.public, elem_id="owner-all") as everything:
            chosen = gr.Textbox("", visible=False, elem_id="owner-chosen")
            with gr.Row():
                gr.HTML(INTRODUCTION)
                new = gr.Button("New study", variant="primary", scale=0, min_width=140, elem_id="owner-new")
            listed = gr.HTML(js_on_load=PICK, elem_id="owner-list")
            with gr.Column(visible=False, elem_id="owner-results") as column:
                head, buttons, change = _head()
                drawn = gr.State(())
                with gr.Tabs(elem_id="owner-tabs"):
                    owner_dashboard.build(studies.data_dir, reports, owners, chosen, drawn, live)
                    owner_models.build(owner_models.Models(settings, scorers, annotations, reports), owners, chosen)
                    owner_files.build(studies.data_dir, reports, owners, chosen)
            editor = owner_editor.build(who)
    shown = [listed, head, *buttons]

    def show(name: str) -> list:
        """The list, and what is above the chosen study."""
        return [studies.listed(name), *studies.headed(name)]

    _wire_gate(page, tab, gate, everything, who, (token, refused, enter))
    _wire_studies(studies, show, owners, tab, live, chosen, column, editor, shown)
    _wire_states(studies, show, owners, chosen, buttons, shown)
    _wire_editor(studies, show, owners, who, chosen, column, editor, new, change, shown)


def _head() -> tuple[gr.HTML, list[gr.Button], gr.Button]:
    """The chosen study's title and the buttons that change it."""
    with gr.Row(elem_classes="owner-head"):
        head = gr.HTML(elem_id="owner-head")
        small = {"size": "sm", "scale": 0, "min_width": 100}
        buttons = [gr.Button(label, elem_id=f"owner-{name}", **small) for label, name in BUTTONS]
        change = gr.Button("Change…", elem_id="owner-change", **small)
    return head, buttons, change


def _wire_gate(page: gr.Blocks, tab: gr.Tab, gate: gr.Column, everything: gr.Column, who: Who, asked: tuple) -> None:
    """Who is let in: owners who are signed in or at the machine at once, others by the token."""
    token, refused, enter = asked

    def look(request: gr.Request):
        owner = who.is_owner(request)
        asks = "owner" in dict(request.query_params) and bool(who.settings.owner_token)
        return [gr.Tab(visible=owner or asks), gr.Column(visible=not owner), gr.Column(visible=owner)]

    @says_beside(refused)
    def admit(request: gr.Request, given: str):
        who.admit_owner(request, given)
        return ["", gr.Column(visible=False), gr.Column(visible=True)]

    page.load(look, None, [tab, gate, everything], show_progress="hidden", api_visibility="private")
    gr.on([enter.click, token.submit], admit, token, [token, gate, everything, refused], api_visibility="private")


def _wire_studies(
    studies: Studies, show: Callable, owners: Callable, tab, live, chosen, column, editor, shown: list
) -> None:
    """The list stays up to date while the page is open, and a press chooses a study."""

    @owners
    def look(request: gr.Request, name: str):
        return [*show(name), gr.Timer(active=True)]

    @owners
    def refresh(request: gr.Request, name: str):
        return show(name)

    @owners
    def choose(event: gr.EventData, request: gr.Request):
        name = picked(event)
        return [name, *show(name), gr.Column(visible=True), gr.Column(visible=False)]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(look, chosen, [*shown, live], **quiet)
    live.tick(refresh, chosen, shown, **quiet)
    shown[0].click(choose, None, [chosen, *shown, column, editor.column], **quiet)


def _wire_states(studies: Studies, show: Callable, owners: Callable, chosen, buttons: list, shown: list) -> None:
    def puts(state: str) -> Callable:
        @owners
        def change(request: gr.Request, name: str):
            Study(studies.data_dir, name).set_state(state)
            return show(name)

        return change

    for button, state in zip(buttons, STATES, strict=True):
        button.click(puts(state), chosen, shown, show_progress="hidden", api_visibility="private")


def _wire_editor(
    studies: Studies, show: Callable, owners: Callable, who: Who, chosen, column, editor, new, change, shown
) -> None:
    """The form opens for a new study or a change, and closes when the study is kept."""

    @owners
    def begin(request: gr.Request):
        return [gr.Column(visible=False), gr.Column(visible=True), *editor.blank()]

    @owners
    def alter(request: gr.Request, name: str):
        return [gr.Column(visible=False), gr.Column(visible=True), *editor.changing(Study(studies.data_dir, name))]

    @owners
    def leave(request: gr.Request, name: str):
        return [gr.Column(visible=bool(name)), gr.Column(visible=False)]

    @owners
    def made(request: gr.Request, name: str):
        if not name:
            return gr.skip()
        return [name, *show(name), gr.Column(visible=True), gr.Column(visible=False)]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    opened = [column, editor.column, *editor.outputs()]
    new.click(begin, None, opened, **quiet)
    change.click(alter, chosen, opened, **quiet)
    editor.cancel.click(leave, chosen, [column, editor.column], **quiet)
    kept = owner_editor.build_keep(editor, studies.data_dir, who)
    kept.then(made, editor.kept, [chosen, *shown, column, editor.column], **quiet)
