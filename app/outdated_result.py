"""A result of another model than the one in use now: whose it is, in words, and a button that makes it anew."""

import gradio as gr

from app import cards
from app.session import Session
from app.shown_names import short


def build(tab: str, what: str, session: gr.State, header: gr.HTML) -> tuple[list, gr.Button]:
    """Put the notice of one tab on the page, hidden until the model in use changes: its components, which `notice` fills, and the
    button. `what` the button says; `header` changes with the model."""
    with gr.Row(visible=False, elem_id=f"{tab}-stale", elem_classes="stale") as row:
        said = gr.HTML()
        again = gr.Button(what, size="sm", scale=0, min_width=140, elem_id=f"{tab}-again")
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    header.change(lambda visitor: notice(tab, visitor), session, [row, said], **quiet)
    return [row, said], again


def notice(tab: str, visitor: Session) -> list:
    """Whether what `tab` shows is of another model than the one in use, in words."""
    by = visitor.drawn.get(tab, visitor.spec)
    said = cards.notice(f"Scored by {short(by)}; {short(visitor.spec)} is in use now.")
    return [gr.Row(visible=by != visitor.spec), said]
