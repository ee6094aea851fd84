"""Where an image's quality suffers: the scores of its four quarters over the image, on the Score tab, when asked for."""

from dataclasses import dataclass

import gradio as gr

from app import cards
from app.disagreement import result
from app.errors import says_errors
from app.loaded_scorers import Scorers
from app.session import Scored, Session
from app.shown_images import image_uri, is_video
from app.who import Who
from model.backbones.spec import QUALITY
from model.images.decoding import open_image
from model.scoring.tiles import tile_scores

PLACES = ("upper left", "upper right", "lower left", "lower right")
HOW = (
    "Each quarter is scored as an image of its own. Every image has a lowest quarter, with a fault or without: look at how far it lies "
    "below the others, and whether it shows anything at all (clear sky has no detail to judge). Damage to detail (blur, noise, "
    "compression) is found in nine of ten images or more, wrong colours hardly; docs/accuracy.md has the counts."
)
TOO_SMALL = "This image is too small for its quarters to be judged."


@dataclass
class Regions:
    """The components that another image starts anew."""

    folded: gr.Accordion
    shown: gr.HTML

    def all(self) -> list:
        return list(vars(self).values())


def anew(scored: Scored | None) -> list:
    """Folded, and hidden where there is nothing to look at."""
    known = scored is not None and scored.task == QUALITY and not is_video(scored.path)
    return [gr.Accordion(visible=known, open=False), ""]


def build(session: gr.State, scorers: Scorers, who: Who, on_screen: gr.Textbox) -> Regions:
    """Put the part on the page; `on_screen` holds the key of the result that the visitor sees."""
    with gr.Accordion(
        "Where does it suffer?", open=False, visible=False, elem_id="regions", elem_classes="panel"
    ) as folded:
        shown = gr.HTML()

    @says_errors
    def look(key: str, visitor: Session, request: gr.Request) -> str:
        scored = result(key, visitor)
        who.allow(request, [scored.path])
        return overlay(scored, scorers)

    folded.expand(look, [on_screen, session], shown, show_progress_on=[folded], api_visibility="private")
    return Regions(folded, shown)


def overlay(scored: Scored, scorers: Scorers) -> str:
    """The image with the score of each quarter over it, the lowest marked. Raises ModelError."""
    image = open_image(scored.path)
    scores = tile_scores(scorers.get(scored.assessment.model), image)
    if not scores:
        return cards.notice(TOO_SMALL)
    lowest = scores.index(min(scores))
    kinds = ["lowest" if n == lowest else "" for n in range(len(scores))]
    parts = "".join(
        f'<span class="{kind}"><b>{score:.2f}</b></span>' for kind, score in zip(kinds, scores, strict=True)
    )
    said = (
        f"The {PLACES[lowest]} quarter scores lowest: {scores[lowest]:.2f}, where the best one has {max(scores):.2f} and the whole "
        f"image {scored.assessment.score:.2f}."
    )
    return (
        f'<div class="regions"><img src="{image_uri(image)}" alt="{cards.escape(scored.name)}"><div class="parts">{parts}</div></div>'
        f'<p role="status">{said}</p><p class="small">{HOW}</p>'
    )
