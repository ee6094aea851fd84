"""The control on the Score tab by which a visitor who has seen the score says what they think instead."""

from dataclasses import dataclass

import gradio as gr

from annotations import Annotations
from app import cards
from app.browser import browser_of
from app.errors import Refused, says_beside
from app.rating_input import NO_CHOICE, rating_input
from app.score_in_words import level_word
from app.session import Scored, Session, shown_score
from app.who import Who
from model.backbones.spec import QUALITY
from model.images.formats import image_kind

WHAT_FOR = (
    "<p>Your own rating is kept together with the image, marked as given after seeing the score. "
    "Without it the image is not kept.</p>"
)


@dataclass
class Disagreement:
    """The components that another image starts anew."""

    group: gr.Accordion
    word: gr.Radio
    value: gr.Slider
    keep: gr.Button
    kept: gr.HTML

    def all(self) -> list:
        return list(vars(self).values())


def anew(visible: bool) -> list:
    """Nothing chosen, nothing kept."""
    return [gr.Accordion(visible=visible), gr.Radio(value=None), gr.Slider(value=3), gr.Button(interactive=True), ""]


def build(
    session: gr.State, annotations: Annotations, who: Who, rater: gr.Textbox, on_screen: gr.Textbox
) -> Disagreement:
    """Put the control on the page; `on_screen` holds the key of the result that the visitor sees."""
    with gr.Accordion("I disagree", open=False, visible=False, elem_id="disagree", elem_classes="panel") as group:
        gr.HTML(WHAT_FOR)
        name = gr.Textbox(label="Your name", max_lines=1, elem_id="disagree-name")
        word, value = rating_input("How good is this image?", "disagree")
        refused = gr.HTML()
        keep = gr.Button("Keep my rating", variant="secondary", elem_id="disagree-keep")
        kept = gr.HTML()

    @says_beside(refused)
    def disagree(rater: str, choice: int | None, opinion: float, key: str, visitor: Session, request: gr.Request):
        if choice is None:
            raise Refused(NO_CHOICE)
        said = keep_opinion(annotations, who.rater(request, rater), opinion, result(key, visitor), browser_of(request))
        return [said, gr.Button(interactive=False)]

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    keep.click(disagree, [name, word, value, on_screen, session], [kept, keep, refused], **quiet)
    for changed in (word.input, value.input, name.input):
        changed(lambda: gr.Button(interactive=True), None, keep, queue=False, **quiet)
    rater.change(lambda known: known, rater, name, **quiet)
    return Disagreement(group, word, value, keep, kept)


def result(key: str | None, visitor: Session) -> Scored:
    """The result of this key on the visitor's Score tab. Raises Refused."""
    found = visitor.scored.get(key or "")
    if found is None:
        raise Refused("This is not among your scored images any more: score it again.")
    return found


def keep_opinion(annotations: Annotations, rater: str, opinion: float, scored: Scored, browser: str) -> str:
    """Keep a rating of a scored image; returns what to say. Raises AnnotationError, Refused."""
    if scored.task != QUALITY:
        raise Refused("Only the quality of an image can be rated.")
    if not scored.path.is_file():
        raise Refused(f"{scored.name} was cleared away: score it again.")
    data = scored.path.read_bytes()
    rating = annotations.record_rating(
        rater,
        data,
        opinion,
        suffix=image_kind(data).suffix,
        shown=shown_score(scored.assessment),
        study=None,
        name=scored.name,
        browser=browser,
    )
    word = level_word(rating.value, rating.scale)
    return cards.notice(
        f"Kept: {rating.rater} says {rating.value:.1f} ({word}) where the model says {rating.shown.score:.2f}."
    )
