"""Where a score stands, for people: its range on the scale, its place among reference photographs and among the visitor's own images."""

from collections.abc import Sequence
from html import escape

from app.score_in_words import distribution_in_words, percent
from model.evaluation.percentiles import Reference, reference_of
from model.readouts.levels import LEVEL_WORDS
from model.scoring.assessment import Assessment, common_score

BINS = 40
NOT_MEASURED = "How far this model’s scores lie from people’s opinions was not measured, so there is no range to show."


def meter(assessment: Assessment) -> str:
    """The scale as a bar of five steps with a mark at the score; for a model with reference photographs their scores as a histogram above
    it and the score's range below it."""
    known, scale = reference_of(assessment), assessment.scale
    at = common_score(assessment.score, scale)
    steps = "".join(f'<span class="{word}">{word}</span>' for word in LEVEL_WORDS)
    above, below = "", ""
    if known:
        low, high = (common_score(end, scale) for end in known.range(assessment))
        above = _histogram(known, assessment)
        below = f'<div class="range" style="left:{low:.1f}%;width:{high - low:.1f}%"></div>'
    return (
        f'<div class="meter" aria-hidden="true">{above}<div class="bar"><div class="mark" style="left:{at:.1f}%"></div>'
        f'<div class="steps">{steps}</div></div>{below}</div>'
    )


def _histogram(known: Reference, assessment: Assessment) -> str:
    """The reference photographs' scores over the same scale; what lies below the score is darker."""
    shares = known.histogram(assessment.scale, BINS)
    at = BINS * assessment.scale.share(assessment.score)
    lower = ' class="lower"'
    bars = "".join(
        f'<rect x="{n}" y="{1 - share / max(shares):.3f}" width=".86" height="{share / max(shares):.3f}"'
        f"{lower if n + 0.5 < at else ''}/>"
        for n, share in enumerate(shares)
        if share > 0
    )
    return f'<svg class="among" viewBox="0 0 {BINS} 1" preserveAspectRatio="none">{bars}</svg>'


def in_words(assessment: Assessment, own: Sequence[float] = ()) -> str:
    """The range, the percentile and the place among the visitor's `own` scores by this model, this one included, as HTML sentences."""
    known = reference_of(assessment)
    if known is None:
        return f'<p class="standing">{NOT_MEASURED}</p>' + _among_own(assessment.score, own)
    low, high = known.range(assessment)
    better = percent(known.percentile(assessment.score) / 100)
    return (
        f'<p class="standing">People likely say <strong>{low:.1f} to {high:.1f}</strong> on average: such a range held for '
        f"{percent(known.covered)} of {known.photographs:,} photographs that the model had not seen.</p>"
        f'<p class="standing">Better than <strong>{better}</strong> of these photographs.</p>'
        + _among_own(assessment.score, own)
    )


def _among_own(score: float, own: Sequence[float]) -> str:
    if len(own) < 2:
        return ""
    better = sum(other > score for other in own)
    place = "the best" if not better else "the worst" if better == len(own) - 1 else f"number {better + 1} from the top"
    return f'<p class="standing">Among the {len(own)} images that you scored here it is <strong>{place}</strong>.</p>'


def small_distribution(assessment: Assessment) -> str:
    """The token probabilities as bars over the scale, with a line at the score; small enough for a table's cell."""
    highest = max(assessment.probabilities)
    bars = "".join(
        f'<rect x="{common_score(low, assessment.scale):.2f}" y="{30 - 30 * chance / highest:.2f}" '
        f'width="{0.94 * common_score(assessment.scale.low + high - low, assessment.scale):.2f}" height="{30 * chance / highest:.2f}"/>'
        for (low, high), chance in zip(assessment.intervals, assessment.probabilities, strict=True)
    )
    at = common_score(assessment.score, assessment.scale)
    said = distribution_in_words(assessment)
    return (
        f'<svg class="spread" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label="{escape(said)}">{bars}'
        f'<path d="M{at:.2f} 0V32"/></svg>'
    )
