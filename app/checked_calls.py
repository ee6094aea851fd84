"""Calls of the page's events: what does not fit what an event's function takes is refused by a sentence before the function runs.

The page sends only what its controls allow. Programs can send anything, to listed and private endpoints alike."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import gradio as gr
from pydantic import TypeAdapter, ValidationError

from app.errors import Malformed

LONGEST = 10_000  # characters; no name, path or SPEC of the page is longer
DEEPEST = 10  # lists and objects within one another
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
        for adapter, value in zip(adapters(block_fn.fn), processed_input, strict=True):
            try:
                adapter.validate_python(value, strict=True)
            except ValidationError as error:
                raise Malformed from error
        return await super().call_function(block_fn, processed_input, *others)


@cache
def adapters(function: Callable) -> list[TypeAdapter]:
    """Checks for the arguments that a caller gives, by the function's annotations. Classes of ours (a visitor's session) come from the
    server and are not checked."""
    return [
        TypeAdapter(Any if isinstance(kind, type) and kind.__module__ != "builtins" else kind)
        for parameter in inspect.signature(function, eval_str=True).parameters.values()
        if (kind := parameter.annotation) not in BY_GRADIO and not isinstance(parameter.default, gr.Progress)
    ]


def check_texts(value: Any, depth: int = 0) -> None:
    """Raises Malformed for what no control of the page sends: a text that is too long or has no UTF-8, objects nested too deep, or a file
    that is an address, which Gradio would fetch."""
    if isinstance(value, str):
        # A lone surrogate (in JSON "\\ud800") could be neither stored nor shown.
        if len(value) > LONGEST or "\0" in value or value.encode(errors="replace").decode() != value:
            raise Malformed
    elif isinstance(value, dict | list):
        if depth == DEEPEST or isinstance(value, dict) and str(value.get("path")).startswith(("http:", "https:")):
            raise Malformed
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            check_texts(part, depth + 1)
