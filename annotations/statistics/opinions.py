"""MOS, spread and interval of many images at once, the SOS parameter, and how many raters a narrower interval needs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from annotations.mos import CONFIDENCE
from annotations.statistics.ratings import Ratings


@dataclass(frozen=True)
class Opinions:
    """An array each over the images: MOS, sample standard deviation, count and half the width of the 95 % interval; NaN where there are too
    few ratings (none for the MOS, one for the others)."""

    mos: NDArray[np.float64]
    std: NDArray[np.float64]
    n: NDArray[np.intp]
    half: NDArray[np.float64]


def opinions(ratings: Ratings) -> Opinions:
    """As annotations.mos.opinion, for each image: mean, S and Student's t interval (ITU-R BT.500, ITU-T P.1401)."""
    n = ratings.per_image(np.ones_like(ratings.value)).astype(int)
    with np.errstate(invalid="ignore", divide="ignore"):
        mos = ratings.per_image(ratings.value) / n
        squares = ratings.per_image((ratings.value - mos[ratings.image]) ** 2)
        std = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
        half = stdtrit(np.maximum(n - 1, 1), (1 + CONFIDENCE) / 2) * std / np.sqrt(n)
    return Opinions(mos, std, n, half)


def sos_parameter(mos: NDArray, std: NDArray, low: float, high: float) -> float | None:
    """The parameter a of std² = a (mos - low) (high - mos), by least squares: about .1 to .25 in image and video studies, 1 where raters
    only use both ends. None where every MOS is at an end.

    Hoßfeld, Schatz, Egger, "SOS: the MOS is not enough!", QoMEX 2011, eq. 7.
    """
    known = ~np.isnan(std)
    shape = (mos[known] - low) * (high - mos[known])
    return float(shape @ std[known] ** 2 / (shape @ shape)) if shape.any() else None


def raters_needed(std: float, width: float) -> int:
    """The smallest number of raters whose 95 % interval of a MOS is at most `width` wide, both ends together, where one image's ratings
    have the standard deviation `std`: 2 t(n - 1) std / sqrt(n) <= width. At least 2.

    Raises ValueError for a width that is not positive.
    """
    if not width > 0:
        raise ValueError("the width of an interval must be positive")
    quantile = (1 + CONFIDENCE) / 2
    n = max(
        2, int((2 * ndtri(quantile) * std / width) ** 2)
    )  # too few by the few that t asks for over the normal quantile
    while 2 * stdtrit(n - 1, quantile) * std / np.sqrt(n) > width:
        n += 1
    return n
