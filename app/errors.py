"""What goes wrong, said on the page: one sentence, never a trace; what was there before stays."""

from collections.abc import Callable
from functools import wraps
from html import escape

import gradio as gr

from annotations import AnnotationError
from model.errors import ModelError


def says_errors(function: Callable) -> Callable:
    """An event's function whose ModelError or AnnotationError is shown as its sentence."""

    @wraps(function)
    def guarded(*arguments, **options):
        try:
            return function(*arguments, **options)
        except (ModelError, AnnotationError) as error:
            raise failed(str(error)) from error

    return guarded


def failed(sentence: str) -> gr.Error:
    """The error to raise: the page keeps what it shows. Gradio renders messages as HTML, hence the escape."""
    return gr.Error(escape(sentence), title="That did not work", print_exception=False, duration=12)


def warn(sentence: str) -> None:
    gr.Warning(escape(sentence), title="Left out", duration=12)
