"""Pieces of HTML that the tabs show. Whatever comes from outside (names of files, raters, adapters) is escaped here."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from app import standing
from app.score_in_words import (
    certainty,
    disagreement,
    distribution_in_words,
    level_word,
    opinion_of,
    percent,
    warnings,
)
from app.session import Scored
from app.shown_images import SHOWN_SIDE, is_video
from app.shown_names import breakable, file_name
from model.backbones.spec import QUALITY
from model.scoring.assessment import Assessment, Failure

NUMBERS = (
    ("Score", "What people would say of the image on average, as the model expects it. Higher is better."),
    (
        "Range",
        "The bar under the scale. Its width follows from how far the answer is spread over the levels, times a factor by which such "
        "ranges held people's mean opinion for nine of ten photographs that the model was not trained on. On other kinds of images "
        "(drawings, screenshots, generated images) it may be too narrow.",
    ),
    (
        "Expectation",
        "A second way to the score: the middles of the five levels, each counted as much as the model finds it likely. "
        "When it is far from the score, take both with care.",
    ),
    (
        "Uncertainty",
        "How widely the model's answer is spread over the levels, as a standard deviation in points of the scale. "
        "A small one means that it did not hesitate, not that it is right.",
    ),
    (
        "Token mass",
        "A language model could answer with any word it knows. This is how likely it was to answer with a level at all. "
        "Close to 100 % is normal; when it is low, trust the score less.",
    ),
    ("Likeliest interval", "The fifth of the scale that the model finds likeliest, whatever the score is."),
    (
        "What nano overlooks",
        "nano and nano-qalign take mist and low contrast for a fault, forgive bright over-exposure, and mean little on drawings, text and "
        "screenshots: trust your eyes there. Transparent parts lie over white: a fully transparent image is judged as a white one.",
    ),
)
ZOOM = f"Press to see the pixels one to one; images of more than {SHOWN_SIDE} pixels are shown reduced to that"
COMMON = (
    "Common 0–100",
    "The score put onto 0 to 100 in a straight line, so that scores on different scales can stand side by side.",
)


def score_card(scored: Scored, image: str, own: Sequence[float] = ()) -> str:
    """The image, its score large on its scale with the word of its level, what a layman understands of it, and where it stands among
    others; `own`: the scores of all images that the visitor had scored by this model."""
    assessment, name = scored.assessment, scored.name
    about = "" if scored.task == QUALITY else _fact("Asked for", asked_for(scored.task))
    looked_at = f'<p class="small looked-at">Looked at: {escape(scored.looked_at)}.</p>' if scored.looked_at else ""
    return (
        f'<article class="score-card" data-shown="{scored.key}">{image_figure(image, name, zoom=True)}<div class="verdict">'
        f"{verdict(assessment)}"
        f'<p class="reading">{escape(opinion_of(assessment, scored.task))}</p>{_warnings(assessment)}'
        f"{standing.in_words(assessment, own)}{looked_at}"
        f'<dl class="facts"><div><dt>Scored by</dt><dd>{breakable(assessment.model)}</dd></div>{about}</dl>'
        "</div></article>"
    )


def _warnings(assessment: Assessment) -> str:
    return "".join(f'<p class="warning" role="note">{escape(warning)}</p>' for warning in warnings(assessment))


def numbers(assessment: Assessment) -> str:
    """What the token distribution says besides the score, for researchers."""
    low, high = assessment.interval
    facts = [
        ("Expectation", f"{assessment.expectation:.2f}"),
        ("Uncertainty", f"± {assessment.uncertainty:.2f}"),
        ("Token mass", percent(assessment.token_mass)),
        ("Likeliest interval", f"{low:.1f}–{high:.1f}"),
    ]
    said = escape(" ".join(filter(None, [certainty(assessment), disagreement(assessment)])))
    return f'<dl class="facts under-chart">{"".join(_fact(*fact) for fact in facts)}</dl><p class="small">{said}</p>'


def verdict(assessment: Assessment) -> str:
    """The score large on its scale, with the word of its level, and the scale as a bar."""
    (low, high), word = assessment.scale, level_word(assessment.score, assessment.scale)
    return (
        f'<p class="big"><strong>{assessment.score:.2f}</strong><span>of {low:g}–{high:g}</span>'
        f'<em class="word {word}">{word}</em></p>{standing.meter(assessment)}'
    )


def _fact(name: str, value: str) -> str:
    return f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>"


def image_figure(uri: str, name: str, zoom: bool = False) -> str:
    """An image with its name; with `zoom` a press shows its pixels one to one (page.js)."""
    shown = f'<img src="{uri}" alt="{escape(name)}">'
    if zoom:
        shown = f'<button type="button" class="zoom" aria-pressed="false" title="{ZOOM}">{shown}</button>'
    return f'<figure class="image">{shown}<figcaption>{escape(name)}</figcaption></figure>'


def chart_words(assessments: Sequence[tuple[str, Assessment]], element: str) -> str:
    """The text alternative under a chart; `element` is its id, to which the chart is tied as its description."""
    said = " ".join(f"{escape(label)} {escape(distribution_in_words(a))}".strip() for label, a in assessments)
    return f'<details class="in-words"><summary>The chart in words</summary><p id="{element}">{said}</p></details>'


def explanation(common: bool = False) -> str:
    """The numbers and what the models cannot see, for people who have never heard of a token; with the common scale on request."""
    numbers = [*NUMBERS, COMMON] if common else NUMBERS
    said = "".join(f"<dt>{name}</dt><dd>{words}</dd>" for name, words in numbers)
    return f'<details class="in-words"><summary>What do these numbers mean?</summary><dl>{said}</dl></details>'


def problems(failures: Sequence[Failure], done: str = "scored") -> str:
    """One sentence for each file that cannot be read; `done` is what was to be done with it."""
    if not failures:
        return ""
    items = "".join(f"<li><strong>{escape(file_name(f.image))}</strong>: {escape(f.error)}</li>" for f in failures)
    noun = kind([f.image for f in failures])
    what = f"This {noun}" if len(failures) == 1 else f"These {len(failures)} {noun}s"
    return f'<div class="problems" role="alert"><p>{what} cannot be {done}.</p><ul>{items}</ul></div>'


def kind(files: Sequence[str | Path]) -> str:
    """What to call one of these files."""
    kinds = {"video" if is_video(file) else "image" for file in files}
    return kinds.pop() if len(kinds) == 1 else "file"


def results_table(results: Sequence[Scored], thumbnails: Sequence[str]) -> str:
    """One row an image or video, given best first; the headings are buttons that sort (page.js)."""
    noun, tasks = kind([scored.path for scored in results]), {scored.task for scored in results}
    labelled = len(tasks) > 1  # else the caption says it
    heads = [
        (noun.capitalize(), "text", " colspan=2"),
        ("Score", "number", ""),
        ("Level", "number", ""),
        ("Expectation", "number", " class=wide"),
        ("Token mass", "number", " class=wide"),
    ]
    head = "".join(
        f'<th scope="col" data-kind="{kind}"{extra} aria-sort="{"descending" if title == "Score" else "none"}">'
        f'<button type="button">{title}</button></th>'
        for title, kind, extra in heads
    )
    rows = "".join(_row(scored, thumbnail, labelled) for scored, thumbnail in zip(results, thumbnails, strict=True))
    low, high = results[0].assessment.scale
    of = "" if labelled else f" of {asked_for(*tasks)}"
    caption = (
        f"{len(results)} {noun}s, scores{of} from {low:g} (worst) to {high:g} (best). "
        f"Press a heading to sort, {'an' if noun == 'image' else 'a'} {noun} to look closer."
    )
    return table(caption, head, rows, "sortable")


def table(caption: str, head: str, rows: str, kind: str = "") -> str:
    """A table that scrolls in its place while its caption stays."""
    return (
        f'<figure class="table-box"><figcaption>{caption}</figcaption><div class="table-wrap"><table class="{kind}">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></figure>"
    )


def asked_for(task: str) -> str:
    """What a task asks for, in words."""
    return "video quality" if task == "video" else task


def _row(scored: Scored, thumbnail: str, labelled: bool) -> str:
    """One image's row; page and keyboard press it by the button that its name is. labelled: it says what was asked for."""
    a, name, task = scored.assessment, scored.name, asked_for(scored.task)
    word = level_word(a.score, a.scale)
    label = f'<div class="small">{task}</div>' if labelled else ""
    return (
        f'<tr data-key="{scored.key}"><td class="thumb"><img src="{thumbnail}" alt=""></td>'
        f'<td data-value="{escape(name.lower())}"><button type="button">{escape(name)}</button>{label}</td>'
        f'<td data-value="{a.score}"><strong>{a.score:.2f}</strong></td>'
        f'<td data-value="{a.score}"><em class="word {word}">{word}</em></td>'
        f'<td class="wide" data-value="{a.expectation}">{a.expectation:.2f}</td>'
        f'<td class="wide" data-value="{a.token_mass}">{percent(a.token_mass)}</td></tr>'
    )


def empty(sentence: str) -> str:
    """What stands where a result will be."""
    return f'<div class="empty"><p>{escape(sentence)}</p></div>'


def notice(sentence: str) -> str:
    return f'<p class="notice" role="status">{escape(sentence)}</p>'


def refusal(sentence: str) -> str:
    """What stands beside a control that could not do what was asked."""
    return f'<p class="refusal" role="alert">{escape(sentence)}</p>'


def progress_bar(done: int, total: int, new: int) -> str:
    """How far a rater is; `new` of the images were added by the rater and rated by nobody."""
    share = 100 * done / total if total else 0
    parts = f"{new} that you added and nobody has rated, {total - new} that were rated here before"
    apart = f'<div class="small">Of these {total}: {parts}.</div>' if 0 < new < total else ""
    return (
        f'<div class="progress"><p role="status">{done} of {total} rated</p>'
        f'<div class="track" role="progressbar" aria-valuemin="0" aria-valuemax="{total}" aria-valuenow="{done}" '
        f'aria-label="images rated"><div style="width:{share:.0f}%"></div></div>{apart}</div>'
    )
