"""Where pictures come in: a place to drop, choose or paste them, and examples to pick from."""

import functools
from html import escape
from pathlib import Path

import gradio as gr

from app.pictures import THUMBNAIL_SIDE, example_files, file_uri
from app.settings import EXAMPLES
from model.image_formats import SUFFIXES as IMAGES
from model.video import SUFFIXES as VIDEOS

# Runs in the browser: tells the server which of the things numbered by data-n was pressed.
PICK = """element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-n]");
  if (pressed) trigger("click", { picked: Number(pressed.dataset.n) });
});"""


def picture_input(label: str, element: str, many: bool = False, videos: bool = False) -> gr.File:
    """A file input with example pictures below it; picking an example puts it into the input. videos: takes these too.

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
    examples = example_files(EXAMPLES)
    if examples:
        strip = gr.HTML(_strip(examples), js_on_load=PICK, elem_id=f"{element}-examples")

        def pick(event: gr.EventData):
            path = str(examples[int(event.picked)])
            return [path] if many else path

        strip.click(pick, outputs=files, show_progress="hidden", api_visibility="private")
    return files


@functools.cache
def _thumbnail(path: Path) -> str:
    return file_uri(path, 2 * THUMBNAIL_SIDE)


def _strip(examples: list[Path]) -> str:
    """Each example as a button that shows it."""
    buttons = "".join(
        f'<button type="button" data-n="{n}" title="{_caption(path)}">'
        f'<img src="{_thumbnail(path)}" alt=""><span>{_caption(path)}</span></button>'
        for n, path in enumerate(examples)
    )
    return f'<p class="small">Or try an example</p><div class="examples">{buttons}</div>'


def _caption(path: Path) -> str:
    return escape(path.stem.replace("_", " "))
