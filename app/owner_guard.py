"""The owner's events: each asks on the server who calls, so that nobody else reaches them, on the page or by a direct call."""

from collections.abc import Callable
from functools import wraps

import gradio as gr

from app.errors import Refused, says_errors
from app.who import Who

NOT_YOURS = "Only the owner of this page can do that: sign in, or open the page with ?owner in its address and give the owner's token."


def owners_only(who: Who) -> Callable[[Callable], Callable]:
    """For an event's function that takes a gr.Request: it runs for owners, others get a sentence. Faults are shown as messages."""

    def wrapper(function: Callable) -> Callable:
        @wraps(function)
        def guarded(*arguments, **options):
            request = next(given for given in arguments if isinstance(given, gr.Request))
            if not who.is_owner(request):
                raise Refused(NOT_YOURS)
            return function(*arguments, **options)

        return says_errors(guarded)

    return wrapper
