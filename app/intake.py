"""Where pictures come in: a place to drop, choose or paste them, and examples to pick from."""

from pathlib import Path

import gradio as gr

from app.pictures import example_files
from app.settings import EXAMPLES
from model.images import open_image


def picture_input(label: str, element: str, many: bool = False) -> gr.File:
    """A file input with example pictures below it; picking an example puts it into the input.

    A file input, not an image one: Gradio's image inputs decode by themselves, without this project's limits.
    """
    files = gr.File(
        label=label,
        file_count="multiple" if many else "single",
        file_types=["image"],
        height=150,
        elem_id=element,
        elem_classes="intake",
    )
    examples = example_files(EXAMPLES)
    if examples:
        strip = gr.Gallery(
            value=[(_thumbnail(path), _caption(path)) for path in examples],
            format="jpeg",
            label="Or try an example",
            columns=len(examples),
            rows=1,
            height="auto",
            allow_preview=False,
            interactive=False,
            buttons=[],
            elem_id=f"{element}-examples",
            elem_classes="examples",
        )

        def pick(event: gr.SelectData):
            path = str(examples[event.index])
            return ([path] if many else path), gr.Gallery(selected_index=None)

        strip.select(pick, outputs=[files, strip], show_progress="hidden", api_visibility="private")
    return files


def _thumbnail(path: Path):
    image = open_image(path)
    image.thumbnail((240, 240))
    return image


def _caption(path: Path) -> str:
    return path.stem.replace("_", " ")
