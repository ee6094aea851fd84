"""What goes wrong, said on the page: one sentence, never a trace; what was there before stays."""

from collections.abc import Callable
from functools import wraps
from html import escape

import gradio as gr

from annotations import AnnotationError
from app import cards
from model.common.errors import ModelError


class Refused(Exception):
    """What the page cannot do as things stand; str(error) is the sentence shown."""


class Malformed(gr.Error):
    """A call that the page itself never sends."""

    def __init__(self) -> None:
        super().__init__(
            "This call is malformed: its values are not what the endpoint takes. See /gradio_api/info.",
            print_exception=False,
        )


FAULTS = (ModelError, AnnotationError, Refused)


def says_errors(function: Callable) -> Callable:
    """An event's function whose fault is shown as a passing message. It is not raised: Gradio would mark every output as broken."""

    @wraps(function)
    def guarded(*arguments, **options):
        try:
            return function(*arguments, **options)
        except FAULTS as error:
            # Gradio renders messages as HTML, hence the escape.
            gr.Warning(escape(str(error)), title="That did not work", duration=12)
            return gr.skip()

    return guarded


def says_beside(place: gr.HTML) -> Callable:
    """For an event's function whose fault is shown in `place`, beside the control. `place` is the event's last output; the function
    returns the others as a list, and the sentence goes when it succeeds."""

    def wrapper(function: Callable) -> Callable:
        @wraps(function)
        def guarded(*arguments, **options):
            try:
                return [*function(*arguments, **options), ""]
            except FAULTS as error:
                return {place: cards.refusal(str(error))}

        return guarded

    return wrapper
