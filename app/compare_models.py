"""The Compare tab's first part: one image through any number of models, a row each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from annotations import Annotations
from app import cards, figures, outdated_result, standing
from app.browser import browser_of
from app.errors import Refused, says_beside
from app.image_input import image_input
from app.loaded_scorers import Scorers, method
from app.model_picker import names
from app.score_files import file_sha256
from app.score_in_words import difference_in_words, level_word, percent
from app.session import Session, note_shown
from app.settings import Settings
from app.shown_images import image_uri
from app.shown_names import file_name, short, with_breaks
from app.who import Who
from model.common.errors import ImageError, ModelError
from model.evaluation.percentiles import reference_of
from model.images.decoding import open_image
from model.loading.known import SHIPPED
from model.scoring.assessment import Assessment, common_score

MOST_MODELS = 8
COMMON_SCALE = (
    "Common scale: 100 × (score − low) ÷ (high − low), a straight line from each method’s own scale to 0–100. It makes the numbers "
    "comparable in unit, not in meaning: each method learned from its own labels. Times are measured here and now, for one "
    "image from decoded pixels to score; each model has scored the image once before its time is taken."
)
HEADS = ("Model", "Score", "Common 0–100", "Distribution", "Better than", "Time")


@dataclass(frozen=True)
class Row:
    """One model's answer and the milliseconds that it took; or the sentence why there is none."""

    label: str
    spec: str
    assessment: Assessment | None = None
    milliseconds: float = 0.0
    refused: str = ""


def build(
    session: gr.State, settings: Settings, scorers: Scorers, annotations: Annotations, who: Who, header: gr.HTML
) -> tuple[gr.File, gr.Button]:
    """Put the part on the page and return its file input and the button that sends the image to the Score tab. `header` changes with the
    scorer in use."""
    with gr.Row(elem_classes="two-columns"):
        with gr.Column(scale=4, min_width=300):
            file = image_input("Image to compare on: drop, choose or paste", "compare-file")
            others = models_input(settings, "compare-others")
            refused = gr.HTML()
        with gr.Column(scale=7, min_width=320):
            notice, again = outdated_result.build("compare", "Compare again", session, header)
            rows = gr.HTML(
                cards.empty(
                    "One image, any number of models: Q-Scorer’s regressed score above Q-Align’s weighted level words."
                ),
                elem_id="compare-rows",
            )
            chart = gr.Plot(visible=False, show_label=False, elem_id="compare-chart", elem_classes="chart")
            words = gr.HTML()
            leave = gr.Button("Score this image", size="sm", visible=False, elem_id="compare-score")

    shown = [rows, chart, words, leave, *notice]

    @says_beside(refused)
    def compare(path: str | None, specs: list[str], visitor: Session, request: gr.Request):
        if not path:
            return [gr.skip()] * len(shown)
        wanted = chosen(specs, visitor)
        who.allow(request, [path] * len(wanted))
        note = partial(note_shown, annotations, "compare", browser_of(request))
        return [
            *compare_models(Path(path), wanted, visitor, scorers, note),
            *outdated_result.notice("compare", visitor),
        ]

    for event in (file.change, others.change, again.click):
        event(compare, [file, others, session], [*shown, refused], show_progress_on=[rows], api_visibility="private")
    return file, leave


def models_input(settings: Settings, element: str) -> gr.Dropdown:
    """The choice of models that are set beside the one in use."""
    return gr.Dropdown(
        names(settings),
        value=[name for name in names(settings) if name in SHIPPED]
        or names(settings)[:2],  # one at least is not in use
        multiselect=True,
        max_choices=MOST_MODELS - 1,
        label="Models to compare with the one in use",
        allow_custom_value=not settings.public,
        elem_id=element,
    )


def chosen(specs: list[str], visitor: Session) -> list[str]:
    """The model in use and the others, each once. Raises Refused for too many."""
    wanted = list(dict.fromkeys([visitor.spec, *(spec.strip() for spec in specs if spec.strip())]))
    if len(wanted) > MOST_MODELS:
        raise Refused(f"At most {MOST_MODELS} models are compared at once: remove some.")
    return wanted


def compare_models(path: Path, specs: list[str], visitor: Session, scorers: Scorers, note: Callable) -> list:
    """The same image through each model. `note` keeps that scores were shown. Raises ImageError, AnnotationError; and ModelError if no
    model could be used."""
    image = open_image_named(path)
    rows = [measured(spec, image, file_name(path), scorers) for spec in specs]
    answered = [(row, row.assessment) for row in rows if row.assessment]
    if not answered:
        raise Refused(" ".join(row.refused for row in rows))
    note([(file_sha256(path), assessment) for _, assessment in answered])
    visitor.drawn["compare"] = visitor.spec
    two = len(answered) == 2
    head = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    table = cards.table(
        f"{cards.escape(file_name(path))}: the score on each model’s own scale and on the common one.",
        head,
        "".join(map(_row, rows)),
        "models",
    )
    labels = [row.label for row, _ in answered]
    return [
        f'<div class="compare">{cards.image_figure(image_uri(image), file_name(path))}{table}{_difference(answered)}</div>',
        gr.Plot(_mirrored(answered), visible=True) if two else gr.Plot(None, visible=False),
        cards.chart_words(
            [(f"{label}:", a) for label, (_, a) in zip(labels, answered, strict=True)], "compare-chart-words"
        )
        + cards.explanation(common=True)
        + f'<p class="small">{COMMON_SCALE}</p>',
        gr.Button(visible=True),
    ]


def measured(spec: str, image, name: str, scorers: Scorers) -> Row:
    """One model's answer and its time, after it has answered once; what prevents it is the row's sentence."""
    try:
        scorer = scorers.get(spec)
        scorers.work.run(timed, scorer, image, name)
        assessment, milliseconds = scorers.work.run(timed, scorer, image, name)
    except ModelError as error:
        return Row(short(spec), spec, refused=str(error))
    return Row(f"{method(scorer)} ({short(scorer.name)})", spec, assessment, milliseconds)


def timed(scorer, image, name: str) -> tuple[Assessment, float]:
    """An assessment and the milliseconds it took."""
    start = time.perf_counter()
    assessment = scorer.assess([image], [name])[0]
    return assessment, 1000 * (time.perf_counter() - start)


def open_image_named(path: Path):
    """`open_image` whose error names the file."""
    try:
        return open_image(path)
    except ImageError as error:
        raise ImageError(f"{file_name(path)}: {error}") from error


def _mirrored(answered: list[tuple[Row, Assessment]]):
    (first, a), (second, b) = answered
    return figures.two_distributions(a, b, (first.label, second.label), "Both models on the common scale", common=True)


def _difference(answered: list[tuple[Row, Assessment]]) -> str:
    """How far the highest and the lowest score lie apart, in words."""
    if len(answered) < 2:
        return ""
    ordered = sorted(answered, key=lambda found: -common_score(found[1].score, found[1].scale))
    ends = [ordered[0], ordered[-1]]
    said = difference_in_words(
        *(common_score(a.score, a.scale) for _, a in ends), names=(ends[0][0].label, ends[1][0].label)
    )
    return f'<p class="difference" role="status">{with_breaks(said)}</p>'


def _row(row: Row) -> str:
    name = f'<td title="{cards.escape(row.spec)}"><strong>{with_breaks(row.label)}</strong></td>'
    a = row.assessment
    if a is None:
        return f'<tr class="refused">{name}<td colspan="{len(HEADS) - 1}">{cards.refusal(row.refused)}</td></tr>'
    (low, high), word, known = a.scale, level_word(a.score, a.scale), reference_of(a)
    better = percent(known.percentile(a.score) / 100) if known else "–"
    cells = [
        f'<strong>{a.score:.2f}</strong> <span class="small">of {low:g}–{high:g}</span> <em class="word {word}">{word}</em>',
        f"{common_score(a.score, a.scale):.1f}",
        standing.small_distribution(a),
        better if known else '<span title="not measured for this model">–</span>',
        f"{row.milliseconds:.0f} ms",
    ]
    return (
        f"<tr>{name}"
        + "".join(f'<td data-label="{head}">{cell}</td>' for head, cell in zip(HEADS[1:], cells, strict=True))
        + "</tr>"
    )
