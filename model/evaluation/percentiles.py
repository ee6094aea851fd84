"""Where a score stands: among the scores of reference photographs, and how far from people's mean opinion it may be.

For each shipped model, python -m model.percentiles measures both on photographs that it was not trained on."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.common.errors import ModelError
from model.common.json_files import read_json
from model.common.scale import Scale
from model.scoring.assessment import Assessment

TABLES = Path(__file__).parents[1] / "weights" / "percentiles.json"  # written by python -m model.percentiles
SHARE = 0.9  # of the reference photographs whose MOS lie within the range


@dataclass(frozen=True)
class Percentile:
    """percentile: the share of the `photographs` reference photographs of `data` that `model` scores lower, 0 to 100."""

    percentile: float
    photographs: int
    data: str
    model: str
    revision: str

    def __str__(self) -> str:
        return f"higher than {self.percentile:.0f} % of {self.photographs} photographs of {self.data}"


@dataclass(frozen=True)
class Reference:
    """A model's scores of the reference photographs. percentiles: at 0, 1, … 100 %. uncertainties: for SHARE of the photographs, the MOS
    lies within so many times the assessment's `uncertainty` of its score. covered: the share of MOS within that in one half of the
    photographs, with the factor of the other half; the mean of both."""

    model: str
    revision: str
    data: str
    photographs: int
    percentiles: list[float]
    uncertainties: float
    covered: float

    def percentile(self, score: float) -> float:
        """The share of the photographs with a lower score, 0 to 100; by straight lines between the percentiles, and in the middle of those
        that are equal to the score."""
        marks = self.percentiles
        below, until = bisect_left(marks, score), bisect_right(marks, score)
        if below < until:
            return (below + until - 1) / 2
        if below in (0, len(marks)):
            return 0.0 if below == 0 else 100.0
        low, high = marks[below - 1], marks[below]
        return below - 1 + (score - low) / (high - low)

    def range(self, assessment: Assessment) -> Scale:
        """The range around a score, within its scale, that holds the MOS of SHARE of the photographs."""
        half, (low, high) = self.uncertainties * assessment.uncertainty, assessment.scale
        return Scale(max(low, assessment.score - half), min(high, assessment.score + half))

    def histogram(self, scale: Scale, bins: int) -> list[float]:
        """The share of the photographs in each of `bins` parts of the scale of equal width; they sum to 1."""
        edges = [scale.low + scale.width * n / bins for n in range(1, bins)]
        ranks = [0.0, *(self.percentile(edge) / 100 for edge in edges), 1.0]
        return [high - low for low, high in zip(ranks, ranks[1:], strict=False)]


def reference(model: str) -> Reference:
    """What is known of a model by its name. Raises ModelError for a model without a table."""
    tables = read_json(TABLES)
    if model not in tables:
        raise ModelError(f"there are no percentiles of {model[:80]!r}: they are known of {' and '.join(tables)}.")
    return Reference(model, **tables[model])


def reference_of(assessment: Assessment) -> Reference | None:
    """What is known of the model of an assessment, if these are the weights that were measured; else None."""
    table = read_json(TABLES).get(assessment.model)
    return Reference(assessment.model, **table) if table and table["revision"] == assessment.revision else None


def percentile_of(score: float, model: str) -> Percentile:
    """Where a score by `model` stands among the reference photographs. Raises ModelError for a model without a table."""
    known = reference(model)
    return Percentile(known.percentile(score), known.photographs, known.data, model, known.revision)


def standing(assessment: Assessment) -> dict:
    """`percentile` and `range` of an assessment, for a model that has a table."""
    known = reference(assessment.model)
    return {
        "percentile": round(known.percentile(assessment.score), 1),
        "range": [round(end, 4) for end in known.range(assessment)],
    }


def fit_range(ratios: Sequence[float]) -> float:
    """How many uncertainties wide a range must be on either side to hold SHARE of the MOS, from each photograph's |MOS - score| /
    uncertainty: split conformal prediction with normalised errors (Lei et al. 2018, section 5.2)."""
    return sorted(ratios)[min(len(ratios), math.ceil((len(ratios) + 1) * SHARE)) - 1]


def cross_checked(ratios: Sequence[float]) -> float:
    """The share of the ratios within `fit_range` of the other half; the halves are every second photograph."""
    first, second = ratios[::2], ratios[1::2]
    limits = [(first, fit_range(second)), (second, fit_range(first))]
    return sum(ratio <= limit for half, limit in limits for ratio in half) / len(ratios)
