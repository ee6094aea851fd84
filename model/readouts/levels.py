"""Labels: from a MOS to the tokens that a model is trained to output. Pure functions in plain Python.

Levels are always ordered from worst to best. K levels divide a scale into K intervals of equal width (Q-Scorer section 4.1; Q-Align
section 3.3); their values are evenly spaced from the scale's low end to its high end: 1, 2, 3, 4, 5 on the scale 1 to 5.
"""

import math
from collections.abc import Sequence

from model.common.scale import Scale

# The five points of absolute category rating (ITU-T P.910, ITU-R BT.500).
LEVEL_WORDS = ("bad", "poor", "fair", "good", "excellent")
DIGITS = tuple("0123456789")
DECIMALS = 2  # of RealQA's labels

EDGE = 1e-8  # tolerance, as a share of an interval: a MOS this far above an inner edge belongs to the interval below
MIN_STD, MAX_SHIFT = (
    0.2,
    0.1,
)  # in level steps: with a smaller std or a larger shift, a soft label is interpolated between two levels
# Of the ratings of an image, as a share of the scale's width, where a data set publishes none: .6 on the scale 1 to 5.
ASSUMED_STD = 0.15


def score_tokens(count: int) -> tuple[str, ...]:
    """`<score1>` ... `<scoreK>`, worst to best."""
    return tuple(f"<score{n}>" for n in range(1, count + 1))


def intervals(scale: Scale, count: int) -> list[Scale]:
    """`count` intervals of equal width over `scale`, worst first; in the scale's units."""
    low, high = scale
    edges = [low + (high - low) * n / count for n in range(count)] + [high]
    return [Scale(*edge) for edge in zip(edges, edges[1:], strict=False)]


def interval_index(mos: float, scale: Scale, count: int) -> int:
    """The index of the interval, of `count` over `scale`, that contains a MOS; 0 is the worst. An inner edge belongs to the interval below
    it (Q-Align section 3.3), a MOS outside the scale to the nearest interval."""
    low, high = scale
    return min(max(math.ceil((mos - low) / (high - low) * count - EDGE) - 1, 0), count - 1)


def middles(scale: Scale, count: int) -> list[float]:
    """The middle of each interval; in the scale's units."""
    return [(low + high) / 2 for low, high in intervals(scale, count)]


def level_values(scale: Scale, count: int) -> list[float]:
    """The level values in Q-Align's weighted sum: from the low end to the high end in equal steps; the middle if count is 1."""
    low, high = scale
    return [low + (high - low) * n / (count - 1) for n in range(count)] if count > 1 else [(low + high) / 2]


def raw_soft_label(mos: float, std: float, by_area: bool, values: Sequence[float]) -> list[float]:
    """DeQA-Score's soft label before its correction: the normal distribution at each level, [K], not normalised.

    by_area: its area within half a step of the level (used for SPAQ) instead of its density there times the step (KonIQ, KADID).
    mos, std and values in the same unit; std must be positive.
    """
    step = values[1] - values[0]
    if by_area:
        return [normal_cdf((v + step / 2 - mos) / std) - normal_cdf((v - step / 2 - mos) / std) for v in values]
    return [normal_density((v - mos) / std) * step / std for v in values]


def soft_label(
    mos: float, std: float, by_area: bool = False, scale: Scale = Scale(1.0, 5.0), count: int = 5
) -> list[float]:
    """DeQA-Score's soft label (its section 3.2): probabilities of `count` levels, worst to best, for a MOS and its standard deviation in
    units of `scale`.

    A linear correction alpha * p + beta restores sum and mean; negative values are then clipped to 0, so the sum may differ slightly from
    1. If the std is less than a fifth of a step, or clipping shifts the mean by more than a tenth of a step, the label is interpolated
    between the two levels around the MOS. As in the original, the shift is computed with the worst level at 1, so a sum above 1 hides a
    shift at the upper end and exaggerates one at the lower end. Exactly in the middle of the scale the correction is undefined (0 / 0; the
    original returns equal probabilities there): its limit is used. Raises ValueError for fewer than two levels, and for NaN or infinity.
    """
    if count < 2:
        raise ValueError("a soft label needs at least two levels")
    if not (math.isfinite(mos) and math.isfinite(std)):
        raise ValueError(f"a soft label needs a finite MOS and std, not {mos} and {std}")
    low, high = scale
    place = 1 + (mos - low) / (high - low) * (count - 1)  # in steps, with the worst level at 1 as in the original
    spread = std / (high - low) * (count - 1)
    if spread < MIN_STD:
        return neighbour_label(place, count)
    places, middle = range(1, count + 1), (count + 1) / 2
    seen = place if abs(place - middle) > 1e-6 else middle + 1e-6
    raw = raw_soft_label(seen, spread, by_area, places)
    total, first = sum(raw), sum(p * n for p, n in zip(raw, places, strict=True))
    lever = first - middle * total
    if lever == 0:  # so far outside the scale that all probabilities are 0
        return neighbour_label(place, count)
    alpha = (seen - middle) / lever
    beta = (1 - alpha * total) / count
    corrected = [max(alpha * p + beta, 0.0) for p in raw]
    shift = abs(sum(p * n for p, n in zip(corrected, places, strict=True)) - place)
    return neighbour_label(place, count) if shift > MAX_SHIFT else corrected


def neighbour_label(place: float, count: int) -> list[float]:
    """Linear interpolation: probabilities on the two levels around `place` whose mean is `place`; levels are at 1, 2, ... `count`."""
    inside = min(max(place, 1.0), float(count))
    return [max(0.0, 1 - abs(inside - n)) for n in range(1, count + 1)]


def digits(mos: float) -> tuple[str, ...]:
    """RealQA's label: the digits of the score, 3.456 as "3", ".", "4", "6". The paper's format has one digit before the point: raises
    ValueError for values that round below 0 or to 10 and more."""
    written = f"{mos:.{DECIMALS}f}"
    if not mos >= 0 or len(written) > DECIMALS + 2:
        raise ValueError(f"{mos} cannot be written with one digit before the point")
    return tuple(written)


def normal_density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
