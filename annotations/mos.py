"""What ratings become: the mean opinion score and how sure of it one may be."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit  # scipy.stats would add a second to the start of the app

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Opinion:
    """MOS on the scale of the ratings, their sample standard deviation, their number, and the 95 % interval of the mean.

    A single rating has no spread: then std and interval are None.
    """

    mos: float
    std: float | None
    n: int
    interval: tuple[float, float] | None


def opinion(ratings: Sequence[float]) -> Opinion:
    """MOS, sample standard deviation (n - 1), n and 95 % confidence interval of ratings on one scale.

    Mean, standard deviation and interval S / sqrt(N) around the mean: ITU-R BT.500-13, Annex 2, clauses 2.1 and 2.2.1.
    BT.500 multiplies by the normal 1.96; with few ratings that is too narrow, so Student's t with n - 1 degrees of
    freedom stands in its place, as ITU-T P.1401 has it for fewer than 30 ratings. The interval may reach past the scale.

    Raises ValueError without ratings.
    """
    if not ratings:
        raise ValueError("an opinion needs at least one rating")
    n = len(ratings)
    mos = statistics.fmean(ratings)
    if n == 1:
        return Opinion(mos, None, 1, None)
    std = statistics.stdev(ratings)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * std / math.sqrt(n)
    return Opinion(mos, std, n, (mos - half, mos + half))
