"""The Compare tab: any number of models on one image or on many, and two images through one model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import gradio as gr

from annotations import Annotations
from app import cards, compare_many, compare_models, conversion_error, figures, outdated_result
from app.browser import browser_of
from app.compare_models import open_image_named, timed
from app.errors import says_errors
from app.image_input import image_input
from app.loaded_scorers import Scorers
from app.score_files import file_sha256
from app.score_in_words import difference_in_words
from app.session import Session, note_shown
from app.settings import Settings
from app.shown_images import image_uri
from app.shown_names import file_name, short, with_breaks
from app.who import Who
from model.scoring.assessment import Assessment, common_score


def build(
    session: gr.State, settings: Settings, scorers: Scorers, annotations: Annotations, who: Who, header: gr.HTML
) -> tuple[gr.File, gr.Button]:
    """Put the tab's parts on the page and return what `compare_models.build` does. `header` changes with the scorer in use."""
    with gr.Tabs(elem_classes="sub-tabs", overflow_behavior="wrap"):
        with gr.Tab("Models on one image"):
            ends = compare_models.build(session, settings, scorers, annotations, who, header)
        with gr.Tab("Models on many images"):
            compare_many.build(session, settings, scorers, annotations, who)
        with gr.Tab("Two images, one model"):
            _two_images(session, scorers, annotations, who, header)
        with gr.Tab("Why regress?"):
            conversion_error.build()
    return ends


def _two_images(session: gr.State, scorers: Scorers, annotations: Annotations, who: Who, header: gr.HTML) -> None:
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(min_width=300):
            left = image_input("First image", "compare-left")
        with gr.Column(min_width=300):
            right = image_input("Second image", "compare-right")
    notice, again = outdated_result.build("pair", "Compare again", session, header)
    sides = gr.HTML(cards.empty("Choose two images, say before and after editing."), elem_id="pair-sides")
    chart = gr.Plot(visible=False, show_label=False, elem_id="pair-chart", elem_classes="chart")
    words = gr.HTML()

    @says_errors
    def compare(first: str | None, second: str | None, visitor: Session, request: gr.Request):
        if not first or not second:
            return gr.skip()
        who.allow(request, [first, second])
        note = partial(note_shown, annotations, "compare", browser_of(request))
        shown = compare_images(Path(first), Path(second), visitor, scorers, note)
        return [*shown, *outdated_result.notice("pair", visitor)]

    _on([left.change, right.change, again.click], compare, [left, right, session], [sides, chart, words, *notice])


def _on(events: list, compare: Callable, given: list, shown: list) -> None:
    """Compare at any of these events; progress is shown on the first of what is `shown`."""
    for event in events:
        event(
            compare,
            given,
            shown,
            show_progress_on=shown[:1],
            api_visibility="private",
        )


def compare_images(first: Path, second: Path, visitor: Session, scorers: Scorers, note: Callable) -> list:
    """Two images through this visitor's scorer, on its native scale. `note` keeps that scores were shown. Raises ModelError,
    AnnotationError."""
    scorer = scorers.get(visitor.spec)
    sides, assessments = [], []
    for place, path in (("First", first), ("Second", second)):
        image = open_image_named(path)
        assessment, milliseconds = scorers.work.run(timed, scorer, image, file_name(path))
        assessments.append(assessment)
        sides.append(
            f"<div>{cards.image_figure(image_uri(image), file_name(path))}{_side(place, assessment, milliseconds)}</div>"
        )
    note([(file_sha256(path), a) for path, a in zip((first, second), assessments, strict=True)])
    visitor.drawn["pair"] = visitor.spec
    commons = [common_score(a.score, a.scale) for a in assessments]
    names = (f"First ({file_name(first)})", f"Second ({file_name(second)})")
    title = f"Both images as {short(scorer.name)} sees them"
    return [
        f'<div class="compare pair"><div class="sides">{"".join(sides)}</div>'
        f'<p class="difference" role="status">{cards.escape(difference_in_words(*commons, names=names))}</p></div>',
        gr.Plot(figures.two_distributions(*assessments, names, title, common=False), visible=True),
        cards.chart_words(list(zip([f"{name}:" for name in names], assessments, strict=True)), "pair-chart-words")
        + cards.explanation(common=True),
    ]


def _side(label: str, a: Assessment, milliseconds: float) -> str:
    return (
        f'<section class="side"><h4 title="{cards.escape(a.model)}">{with_breaks(label)}</h4>{cards.verdict(a)}'
        f'<dl class="facts"><div><dt>Common 0–100</dt><dd>{common_score(a.score, a.scale):.1f}</dd></div>'
        f"<div><dt>Expectation</dt><dd>{a.expectation:.2f}</dd></div>"
        f"<div><dt>Uncertainty</dt><dd>± {a.uncertainty:.2f}</dd></div>"
        f"<div><dt>Token mass</dt><dd>{cards.percent(a.token_mass)}</dd></div>"
        f"<div><dt>Time</dt><dd>{milliseconds:.0f} ms</dd></div></dl></section>"
    )
