"""Calls of the page's events: what does not fit what an event's function takes is refused by a sentence before the function runs.

The page sends only what its controls allow. Programs can send anything, to listed and private endpoints alike."""

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import gradio as gr
from gradio.utils import get_upload_folder
from pydantic import TypeAdapter, ValidationError

from app.errors import Malformed

LONGEST = 50_000  # characters; the YAML of a study with hundreds of gold images is the longest text of the page
DEEPEST = 10  # lists and objects within one another
FILE = "/gradio_api/file="  # in an address, before the path of an uploaded file
BY_GRADIO = (gr.EventData, gr.Progress, gr.Request)  # arguments that no caller gives


class CheckedBlocks(gr.Blocks):
    """A page whose events refuse malformed calls, and whose log has traces of faults only: a gr.Error is a sentence for the caller."""

    async def process_api(self, *call, **options):
        try:
            return await super().process_api(*call, **options)
        except gr.Error as error:
            error.print_exception = False
            raise

    async def preprocess_data(self, block_fn, inputs, state, explicit_call=False):
        if not block_fn.preprocess:  # an endpoint of app/api.py
            inputs = with_uploads([*inputs, *(block.value for block in block_fn.inputs[len(inputs) :])])
        check_texts(inputs)
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except gr.Error:  # a component's own sentence
            raise
        except Exception as error:  # components raise whatever comes of a value that they do not expect
            raise Malformed from error

    async def call_function(self, block_fn, processed_input, *others):
        if block_fn.fn is None:
            raise Malformed
        for adapter, value in zip(adapters(block_fn.fn, len(processed_input)), processed_input, strict=True):
            try:
                adapter.validate_python(value, strict=True)
            except ValidationError as error:
                raise Malformed from error
        return await super().call_function(block_fn, processed_input, *others)


def uploaded(path: str) -> Path | None:
    """The uploaded file of a path, or of the address under which this page serves it; None for any other."""
    if path.startswith(("http:", "https:")):
        path = unquote(path.partition(FILE)[2])
    try:
        file = Path(path).resolve()
    except (OSError, ValueError):
        return None
    return file if path and file.is_relative_to(Path(get_upload_folder()).resolve()) and file.is_file() else None


def with_uploads(value: Any) -> Any:
    """The values of an endpoint's call, with the paths of uploaded files in place of their addresses, which MCP clients have instead. Any
    other address becomes text, so that Gradio does not fetch it and the endpoint can say why."""
    if isinstance(value, list):
        return [with_uploads(part) for part in value]
    if isinstance(value, dict) and str(value.get("path")).startswith(("http:", "https:")):
        upload = uploaded(value["path"])
        return value | {"path": str(upload)} if upload else value["path"]
    return value


@cache
def adapters(function: Callable, count: int) -> list[TypeAdapter]:
    """Checks for the `count` arguments that a caller gives, by the function's annotations. Classes (a visitor's session, an uploaded file)
    are not checked here: they come from the server, or the function looks at them itself."""
    parameters = [
        parameter
        for parameter in inspect.signature(function, eval_str=True).parameters.values()
        if parameter.annotation not in BY_GRADIO and not isinstance(parameter.default, gr.Progress)
    ]
    kinds = [parameter.annotation for parameter in parameters]
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL:
        kinds += kinds[-1:] * (count - len(kinds))
    return [
        TypeAdapter(list if any(map(is_class, get_args(kind))) else Any if is_class(kind) else kind) for kind in kinds
    ]


def is_class(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__module__ not in ("builtins", "types")


def check_texts(value: Any, depth: int = 0) -> None:
    """Raises Malformed for what no control of the page sends: a text that is too long or has no UTF-8, objects nested too deep, or a file
    that is an address, which Gradio would fetch."""
    if isinstance(value, str):
        # The gate bounds how long a data: URL can be. A lone surrogate (in JSON "\\ud800") could be neither stored nor shown.
        if (
            len(value) > LONGEST
            and not value.startswith("data:")
            or "\0" in value
            or value.encode(errors="replace").decode() != value
        ):
            raise Malformed
    elif isinstance(value, dict | list):
        if depth == DEEPEST or isinstance(value, dict) and str(value.get("path")).startswith(("http:", "https:")):
            raise Malformed
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            check_texts(part, depth + 1)
