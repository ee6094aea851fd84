"""Where images come in: a place to drop, choose or paste them, and examples to pick from."""

import functools
from collections.abc import Iterable
from html import escape
from pathlib import Path

import gradio as gr

from app.errors import Refused, says_errors
from app.settings import EXAMPLES
from app.shown_images import THUMBNAIL_SIDE, example_files, file_uri
from model.images.formats import SUFFIXES as IMAGES
from model.images.video import SUFFIXES as VIDEOS

# Runs in the browser: tells the server which of the things with a data-key was pressed, by that key and never by its place.
PICK = """element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-key]");
  if (pressed) trigger("click", { picked: pressed.dataset.key });
});"""


def picked(event: gr.EventData) -> str:
    """The key that PICK sent; "" where none came."""
    return str(event._data.get("picked", "")) if isinstance(event._data, dict) else ""


def image_input(label: str, element: str, many: bool = False, videos: bool = False) -> gr.File:
    """A file input with example images below it; picking an example puts it into the input. videos: takes these too.

    A file input, not an image one: Gradio's image inputs decode by themselves, without this project's limits.
    """
    files = gr.File(
        label=label,
        file_count="multiple" if many else "single",
        # Suffixes beside "image", since not every system knows that .heic or .webp is one.
        file_types=["image", *sorted(IMAGES), *(sorted(VIDEOS) if videos else [])],
        height=150,
        elem_id=element,
        elem_classes="intake",
    )
    # The damaged ones first, so that the strip runs from bad to good.
    by_quality = sorted(example_files(EXAMPLES), key=lambda path: path.stem.endswith("pristine"))
    examples = {path.name: path for path in by_quality}
    if examples:
        strip = gr.HTML(_strip(examples.values()), js_on_load=PICK, elem_id=f"{element}-examples")

        @says_errors
        def pick(event: gr.EventData):
            if picked(event) not in examples:
                raise Refused("There is no such example: press one of those below.")
            path = str(examples[picked(event)])
            return [path] if many else path

        strip.click(pick, outputs=files, show_progress="hidden", api_visibility="private")
    return files


@functools.cache
def _thumbnail(path: Path) -> str:
    return file_uri(path, 2 * THUMBNAIL_SIDE)


def _strip(examples: Iterable[Path]) -> str:
    """Each example as a button that shows it."""
    buttons = "".join(
        f'<button type="button" data-key="{escape(path.name)}" title="{_caption(path)}">'
        f'<img src="{_thumbnail(path)}" alt=""><span>{_caption(path)}</span></button>'
        for path in examples
    )
    return f'<p class="small">Or try an example</p><div class="examples">{buttons}</div>'


def _caption(path: Path) -> str:
    return escape(path.stem.replace("_", " "))
