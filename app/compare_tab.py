"""The Compare tab: one image through two models, or two images through one."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gradio as gr

from annotations import Annotations
from app import cards, conversion_error, figures, outdated_result
from app.browser import browser_of
from app.errors import says_beside, says_errors
from app.image_input import image_input
from app.loaded_scorers import QALIGN, Scorers, method
from app.model_picker import names, takes_any
from app.score_files import file_sha256
from app.score_in_words import difference_in_words
from app.session import Session, note_shown
from app.settings import Settings
from app.shown_images import image_uri
from app.shown_names import file_name, short, with_breaks
from app.who import Who
from model.images.decoding import open_image
from model.scoring.assessment import Assessment, common_score

COMMON_SCALE = (
    "Common scale: 100 × (score − low) ÷ (high − low), a straight line from each method’s own scale to 0–100. It makes the numbers "
    "comparable in unit, not in meaning: each method learned from its own labels. Times are measured here and now, for one "
    "image from decoded pixels to score, with the model loaded."
)


def build(
    session: gr.State, settings: Settings, scorers: Scorers, annotations: Annotations, who: Who, header: gr.HTML
) -> None:
    """Put the tab's parts on the page. `header` changes with the scorer in use."""
    with gr.Tabs(elem_classes="sub-tabs", overflow_behavior="wrap"):
        with gr.Tab("Two models, one image"):
            _two_models(session, settings, scorers, annotations, who, header)
        with gr.Tab("Two images, one model"):
            _two_images(session, scorers, annotations, who, header)
        with gr.Tab("Why regress?"):
            conversion_error.build()


def _two_models(
    session: gr.State, settings: Settings, scorers: Scorers, annotations: Annotations, who: Who, header: gr.HTML
) -> None:
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=4, min_width=300):
            file = image_input("Image to compare on: drop, choose or paste", "compare-file")
            other = gr.Dropdown(
                names(settings),
                value=QALIGN if QALIGN in names(settings) else names(settings)[-1],
                label="Set beside the model in use",
                allow_custom_value=not settings.public,
                elem_id="compare-other",
                elem_classes=takes_any(settings),
            )
            refused = gr.HTML()
        with gr.Column(scale=7, min_width=320):
            notice, again = outdated_result.build("compare", "Compare again", session, header)
            sides = gr.HTML(
                cards.empty("One image, two models: Q-Scorer’s regressed score beside Q-Align’s weighted level words."),
                elem_id="compare-sides",
            )
            chart = gr.Plot(visible=False, show_label=False, elem_id="compare-chart", elem_classes="chart")
            words = gr.HTML()

    shown = [sides, chart, words, *notice]

    @says_beside(refused)
    def compare(path: str | None, spec: str, visitor: Session, request: gr.Request):
        if not path:
            return [gr.skip()] * len(shown)
        who.allow(request, [path, path])
        note = partial(note_shown, annotations, "compare", browser_of(request))
        return [*compare_models(Path(path), spec, visitor, scorers, note), *outdated_result.notice("compare", visitor)]

    _on([file.change, other.input, again.click], compare, [file, other, session], [*shown, refused])


def compare_models(path: Path, other: str, visitor: Session, scorers: Scorers, note: Callable) -> list:
    """The same image through this visitor's scorer and through the one that `other` names. `note` keeps that scores were shown.
    Raises ModelError, AnnotationError."""
    image = open_image_named(path)
    measured, labels = [], []
    for spec in (visitor.spec, other.strip()):
        scorer = scorers.get(spec)
        assessment, milliseconds = scorers.work.run(timed, scorer, image, file_name(path))
        measured.append((assessment, milliseconds))
        labels.append(f"{method(scorer)} ({short(scorer.name)})")
    if labels[0] == labels[1]:
        labels = [f"{labels[0]}, {place}" for place in ("first", "second")]
    note([(file_sha256(path), assessment) for assessment, _ in measured])
    visitor.drawn["compare"] = visitor.spec
    (first, _), (second, _) = measured
    sides = "".join(_side(label, a, ms) for label, (a, ms) in zip(labels, measured, strict=True))
    said = difference_in_words(*(common_score(a.score, a.scale) for a in (first, second)), names=tuple(labels))
    return [
        f'<div class="compare">{cards.image_figure(image_uri(image), file_name(path))}<div class="sides">{sides}</div>'
        f'<p class="difference" role="status">{with_breaks(said)}</p></div>',
        gr.Plot(
            figures.two_distributions(
                first, second, (labels[0], labels[1]), "Both models on the common scale", common=True
            ),
            visible=True,
        ),
        cards.chart_words(
            [(f"{label}:", a) for label, (a, _) in zip(labels, measured, strict=True)], "compare-chart-words"
        )
        + cards.explanation(common=True)
        + f'<p class="small">{COMMON_SCALE}</p>',
    ]


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


def open_image_named(path: Path):
    """`open_image` whose error names the file."""
    from model.common.errors import ImageError

    try:
        return open_image(path)
    except ImageError as error:
        raise ImageError(f"{file_name(path)}: {error}") from error


def timed(scorer, image, name: str) -> tuple[Assessment, float]:
    """An assessment and the milliseconds it took."""
    start = time.perf_counter()
    assessment = scorer.assess([image], [name])[0]
    return assessment, 1000 * (time.perf_counter() - start)


def _side(label: str, a: Assessment, milliseconds: float) -> str:
    return (
        f'<section class="side"><h4 title="{cards.escape(a.model)}">{with_breaks(label)}</h4>{cards.verdict(a)}'
        f'<dl class="facts"><div><dt>Common 0–100</dt><dd>{common_score(a.score, a.scale):.1f}</dd></div>'
        f"<div><dt>Expectation</dt><dd>{a.expectation:.2f}</dd></div>"
        f"<div><dt>Uncertainty</dt><dd>± {a.uncertainty:.2f}</dd></div>"
        f"<div><dt>Token mass</dt><dd>{cards.percent(a.token_mass)}</dd></div>"
        f"<div><dt>Time</dt><dd>{milliseconds:.0f} ms</dd></div></dl></section>"
    )
