"""Where a score stands among photographs: for each shipped model the percentiles of its scores on reference photographs."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import Path

from model.common.errors import ModelError
from model.common.json_files import read_json

TABLES = Path(__file__).parents[1] / "weights" / "percentiles.json"  # written by python -m model.percentiles


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


def percentile_of(score: float, model: str) -> Percentile:
    """Where a score by `model` stands among the reference photographs. Raises ModelError for a model without a table."""
    tables = read_json(TABLES)
    if model not in tables:
        raise ModelError(f"there are no percentiles of {model[:80]!r}: they are known of {' and '.join(tables)}.")
    table = tables[model]
    return Percentile(_rank(table["percentiles"], score), table["photographs"], table["data"], model, table["revision"])


def _rank(marks: list[float], score: float) -> float:
    """The percentile of a score, by straight lines between the marks of 0, 1, … 100 %; in the middle of marks that are equal to it."""
    below, until = bisect_left(marks, score), bisect_right(marks, score)
    if below < until:
        return (below + until - 1) / 2
    if below in (0, len(marks)):
        return 0.0 if below == 0 else 100.0
    low, high = marks[below - 1], marks[below]
    return below - 1 + (score - low) / (high - low)
