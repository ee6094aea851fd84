"""Which of many assessments are listed, and in which order. Plain Python, no torch."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from model.scoring.assessment import Assessment, Failure


@dataclass(frozen=True)
class Top:
    """The best `count` images, or the best `share` (0 to 1) of all, rounded up."""

    count: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Top":
        """From "10" or "10%". Raises ValueError for other text, and for none or more than all."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
        if found and 0 < float(found[1]) <= 100:
            return cls(share=float(found[1]) / 100)
        if found or not text.strip().isdecimal() or int(text) < 1:
            raise ValueError(text)
        return cls(count=int(text))

    def of(self, total: int) -> int:
        """How many of `total` images that is."""
        if self.share is None:
            return min(self.count or 0, total)
        return math.ceil(self.share * total - 1e-9)  # 10 % of 30 is 3, whatever 0.1 is in binary


def select(
    results: Iterable[Assessment | Failure], least: float | None = None, top: Top | None = None, ordered: bool = False
) -> Iterator[Assessment | Failure]:
    """The assessments with a score of at least `least` that are among the `top`, best first if `ordered` or `top`; equal scores keep their
    order. The share of `top` is of all scored images. Every Failure is kept, at its place or before the ordered rest.

    Lazy unless an order is asked for.
    """
    if not (ordered or top):
        yield from (found for found in results if isinstance(found, Failure) or _reaches(found, least))
        return
    scored = []
    for found in results:
        if isinstance(found, Failure):
            yield found
        else:
            scored.append(found)
    scored.sort(key=lambda found: -found.score)
    listed = scored[: top.of(len(scored))] if top else scored
    yield from (found for found in listed if _reaches(found, least))


def _reaches(found: Assessment, least: float | None) -> bool:
    return least is None or found.score >= least
