"""The control on the Score tab by which a visitor who has seen the score says what they think instead."""

from dataclasses import dataclass

import gradio as gr

from annotations import Annotations
from app import cards
from app.errors import Refused, says_beside
from app.naming import file_name
from app.opinion import NO_CHOICE, opinion_input
from app.readings import level_word
from app.session import Session, shown_score

WHAT_FOR = (
    "<h3>I disagree</h3><p>Your own rating is kept together with the picture, marked as given after seeing the score. "
    "Without it the picture is not kept.</p>"
)


@dataclass
class Disagreement:
    """The components that another picture starts anew."""

    group: gr.Column
    word: gr.Radio
    value: gr.Slider
    keep: gr.Button
    kept: gr.HTML

    def all(self) -> list:
        return list(vars(self).values())


def anew(visible: bool) -> list:
    """Nothing chosen, nothing kept."""
    return [gr.Column(visible=visible), gr.Radio(value=None), gr.Slider(value=3), gr.Button(interactive=True), ""]


def build(session: gr.State, annotations: Annotations, rater: gr.Textbox, chosen: gr.Dropdown) -> Disagreement:
    """Put the control on the page; `chosen` is the place of its picture among those scored."""
    with gr.Column(visible=False, elem_id="disagree", elem_classes="panel") as group:
        gr.HTML(WHAT_FOR)
        name = gr.Textbox(label="Your name", max_lines=1, elem_id="disagree-name")
        word, value = opinion_input("How good is this picture?", "disagree")
        refused = gr.HTML()
        keep = gr.Button("Keep my rating", variant="secondary", elem_id="disagree-keep")
        kept = gr.HTML()

    @says_beside(refused)
    def disagree(rater_name: str, choice: int | None, opinion: float, index: int | None, visitor: Session):
        if choice is None:
            raise Refused(NO_CHOICE)
        return [keep_opinion(annotations, rater_name, opinion, index or 0, visitor), gr.Button(interactive=False)]

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    keep.click(disagree, [name, word, value, chosen, session], [kept, keep, refused], **quiet)
    for changed in (word.input, value.input, name.input):
        changed(lambda: gr.Button(interactive=True), None, keep, queue=False, **quiet)
    rater.change(lambda known: known, rater, name, **quiet)
    return Disagreement(group, word, value, keep, kept)


def keep_opinion(annotations: Annotations, rater: str, opinion: float, index: int, visitor: Session) -> str:
    """Keep a rating of a scored picture; returns what to say. Raises AnnotationError, Refused."""
    if not visitor.scored:
        raise Refused("There is no scored picture to disagree about: score one first.")
    path, assessment = visitor.scored[index].path, visitor.scored[index].assessment
    shown = shown_score(assessment)
    annotations.record_rating(
        rater,
        path.read_bytes(),
        opinion,
        seen="score",
        suffix=path.suffix,
        shown=shown,
        study=None,
        name=file_name(path),
    )
    word = level_word(opinion, (1, 5))
    return cards.notice(
        f"Kept: {rater.strip()} says {opinion:.1f} ({word}) where the model says {assessment.score:.2f}."
    )
