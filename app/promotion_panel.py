"""Which scorer everyone uses, on the Adapt tab: said to all, changed by owners."""

from html import escape

import gradio as gr

from app import cards
from app.errors import Refused, says_errors
from app.loaded_scorers import Scorers
from app.model_picker import in_use
from app.session import Session
from app.settings import Settings
from app.shown_names import with_breaks
from app.who import Who
from model.backbones import promotion
from model.backbones.adapter_card import read_card
from model.common.errors import ModelError

SHOWN = 10  # the latest changes


def everyone(settings: Settings, owner: bool) -> str:
    """Which scorer everyone uses, what it learned from, and for owners the latest changes."""
    spec = promotion.in_use(settings.adapters)
    if spec:
        card = read_card(settings.adapters / spec.partition("+")[2])
        said = f"Everyone uses <strong>{with_breaks(spec)}</strong>, learned from {card.images} images, unless they choose another."
    else:
        said = f"Everyone uses <strong>{with_breaks(settings.model)}</strong>, unless they choose another."
    changes = promotion.history(settings.adapters)[: -SHOWN - 1 : -1] if owner else []
    lines = "".join(f"<li>{escape(promotion.in_words(change))}</li>" for change in changes)
    return f"<p>{said}</p>{f'<ol reversed class=small>{lines}</ol>' if lines else ''}"


def build(
    session: gr.State, settings: Settings, scorers: Scorers, who: Who, header: gr.HTML, picker: gr.Dropdown
) -> tuple:
    """Put it on the page. Returns the function that fills it, and its outputs."""
    gr.HTML("<h3>For everyone</h3>")
    said = gr.HTML(elem_id="adapt-everyone")
    with gr.Column(visible=False, elem_id="adapt-promotion") as owners:
        reason = gr.Textbox(
            label="Reason, to use it although it is not shown to be better", max_lines=2, elem_id="adapt-reason"
        )
        with gr.Row():
            promote_button = gr.Button("Use for everyone", size="sm", elem_id="adapt-promote")
            back_button = gr.Button("Go back", size="sm", elem_id="adapt-back")
    shown = [said, owners, back_button]

    def fill(request: gr.Request) -> list:
        owner = who.is_owner(request)
        try:
            words, promoted = everyone(settings, owner), bool(promotion.in_use(settings.adapters))
        except ModelError as error:  # a damaged history or card
            words, promoted = cards.refusal(str(error)), True
        return [words, gr.Column(visible=owner), gr.Button(interactive=promoted)]

    def name(request: gr.Request) -> str:
        """Who asks. Raises Refused for who is no owner."""
        if not who.is_owner(request):
            raise Refused("Only whoever owns this page chooses the scorer of everyone.")
        return who.shown_name(request) or "the owner"

    def after(visitor: Session, request: gr.Request) -> list:
        visitor.chosen = ""  # owners see what the others see
        word = in_use(visitor.spec, scorers.words(visitor.spec))
        return [word, gr.Dropdown(value=visitor.spec), "", *fill(request)]

    @says_errors
    def promote(why: str, visitor: Session, request: gr.Request):
        promotion.promote(settings.adapters, visitor.spec, name(request), why)
        return after(visitor, request)

    @says_errors
    def go_back(why: str, visitor: Session, request: gr.Request):
        promotion.roll_back(settings.adapters, name(request), why)
        return after(visitor, request)

    for button, act in ((promote_button, promote), (back_button, go_back)):
        button.click(
            act, [reason, session], [header, picker, reason, *shown], show_progress="hidden", api_visibility="private"
        )
    return fill, shown
