"""In the form of a study: its training, gold and trapping images, picked among the images that came."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from app import cards
from app.errors import Refused
from app.image_input import PICK, picked
from app.owner_draft import Draft, special_of
from app.shown_images import THUMBNAIL_SIDE, file_uri
from model.common.errors import ImageError

ON_A_PAGE = 24  # thumbnails
KINDS = [
    ("Training: shown first, with an explanation", "training"),
    ("Gold: its right answer is known", "gold"),
    ("Trapping: the image says which answer to choose", "traps"),
]
WORDS = {"training": "Training", "gold": "Gold", "traps": "Trapping"}
NO_IMAGES = "No images yet: add some above."


@dataclass(frozen=True)
class Specials:
    """The components that the form's other events fill: the thumbnails, what is looked for in them and which page, and the table."""

    grid: gr.HTML
    find: gr.Textbox
    page: gr.Number
    table: gr.HTML

    def shown(self, draft: Draft) -> list:
        """`grid` and `table`, from the beginning."""
        return [thumbnails(draft, "", 1), specials_table(draft)]


def thumbnails(draft: Draft, find: str, page: int) -> str:
    """A page of the images whose names hold a text, each a button."""
    names = [name for name in draft.files if find.lower() in name.lower()]
    if not names:
        return cards.empty("No image has such a name." if draft.files else NO_IMAGES)
    pages = -(-len(names) // ON_A_PAGE)
    first = ON_A_PAGE * (min(max(page, 1), pages) - 1)
    shown = names[first : first + ON_A_PAGE]
    buttons = "".join(
        f'<button type="button" data-key="{escape(name)}" title="{escape(name)}">{_thumbnail(draft.files[name])}'
        f"<span>{escape(Path(name).name)}</span></button>"
        for name in shown
    )
    said = f"{first + 1} to {first + len(shown)} of {len(names)} images, page {first // ON_A_PAGE + 1} of {pages}"
    return f'<p class="small">{said}. Press one to choose it.</p><div class="examples all">{buttons}</div>'


def _thumbnail(path: Path) -> str:
    try:
        return f'<img src="{file_uri(path, THUMBNAIL_SIDE)}" alt="">'
    except ImageError:
        return '<i class="gone">unreadable</i>'


def specials_table(draft: Draft) -> str:
    """The training, gold and trapping images, each with a button that removes it."""
    rows = "".join(
        f'<tr><td>{WORDS[kind]}</td><td class="name">{escape(one["image"])}</td><td>{escape(_said(one))}</td>'
        f'<td><button type="button" class="link" data-key="{kind} {number}">Remove</button></td></tr>'
        for kind, several in draft.specials.items()
        for number, one in enumerate(several)
    )
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{title}</th>' for title in ("Kind", "Image", "Right answer, explanation", ""))
    return cards.table("These images are shown besides those that are rated for the MOS.", head, rows)


def _said(special: dict) -> str:
    accept = special.get("accept")
    if accept is None:
        return special.get("explanation", "")
    return f"{accept[0]:g} to {accept[1]:g}" if isinstance(accept, list) else f"{accept:g}"


def add_special(draft: Draft, kind: str, image: str, low: float | None, high: float | None, explanation: str) -> None:
    """Raises Refused for what is not chosen."""
    if image not in draft.files or kind not in WORDS:
        raise Refused("Choose an image first: press its thumbnail, or find it by its name.")
    if any(one["image"] == image for several in draft.specials.values() for one in several):
        raise Refused(f"{image} is a training, gold or trapping image already: remove it from the table first.")
    if kind != "training" and (low is None or high is None or low > high):
        raise Refused("Give the lowest and the highest rating that is right, in this order.")
    draft.specials[kind].append(special_of(kind, image, low or 0, high or 0, explanation))


def build(draft: gr.State, owners: Callable, rendered: Callable, form: list, text: gr.Code) -> Specials:
    """Put it on the page. `rendered(draft, values of the form)` is the YAML, which goes into `text`."""
    with gr.Accordion("Training, gold and trapping images", open=False, elem_id="owner-specials"):
        with gr.Row(elem_classes="two-columns"):
            with gr.Column(scale=6, min_width=320):
                with gr.Row():
                    find = gr.Textbox("", label="Find by name", max_lines=1, elem_id="owner-find", scale=3)
                    page = gr.Number(
                        1, label="Page", precision=0, minimum=1, elem_id="owner-page", scale=1, min_width=90
                    )
                grid = gr.HTML(cards.empty(NO_IMAGES), js_on_load=PICK, elem_id="owner-grid")
            with gr.Column(scale=5, min_width=320):
                image = gr.Textbox("", label="Chosen image", interactive=False, max_lines=1, elem_id="owner-special")
                kind = gr.Radio(KINDS, value="gold", label="Use it as", elem_id="owner-kind")
                with gr.Row() as accepted:
                    low = gr.Number(label="Lowest right rating", elem_id="owner-low")
                    high = gr.Number(label="Highest right rating", elem_id="owner-high")
                why = gr.Textbox(
                    "", label="Explanation, shown after the rating", visible=False, lines=2, elem_id="owner-why"
                )
                add = gr.Button("Add", size="sm", elem_id="owner-add-special")
        table = gr.HTML(js_on_load=PICK, elem_id="owner-special-table")

    @owners
    def browse(request: gr.Request, visitor: Draft, looked_for: str, number: int | None):
        return thumbnails(visitor, looked_for, number or 1)

    @owners
    def choose(event: gr.EventData, request: gr.Request, visitor: Draft):
        return picked(event) if picked(event) in visitor.files else gr.skip()

    @owners
    def fit(request: gr.Request, chosen: str | None):
        return gr.Row(visible=chosen != "training"), gr.Textbox(visible=chosen == "training")

    @owners
    def take(
        request: gr.Request,
        visitor: Draft,
        name: str,
        chosen: str | None,
        least: int | float | None,
        most: int | float | None,
        said: str,
        *values: object,
    ):
        add_special(visitor, chosen or "", name, least, most, said)
        return specials_table(visitor), rendered(visitor, values), ""

    @owners
    def remove(event: gr.EventData, request: gr.Request, visitor: Draft, *values: object):
        of, _, number = picked(event).partition(" ")
        if number.isdecimal() and int(number) < len(visitor.specials.get(of, [])):
            del visitor.specials[of][int(number)]
        return specials_table(visitor), rendered(visitor, values)

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on([find.submit, find.blur, page.change], browse, [draft, find, page], grid, **quiet)
    grid.click(choose, draft, image, **quiet)
    kind.input(fit, kind, [accepted, why], **quiet)
    add.click(take, [draft, image, kind, low, high, why, *form], [table, text, image], **quiet)
    table.click(remove, [draft, *form], [table, text], **quiet)
    return Specials(grid, find, page, table)
