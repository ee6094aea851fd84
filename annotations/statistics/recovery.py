"""MOS recovered together with each rater's bias and inconsistency."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from annotations.mos import CONFIDENCE
from annotations.statistics.ratings import Ratings

STEPS, TOLERANCE = 1000, 1e-8
# A rater whose ratings all lie on the recovered MOS would have all the weight; as a variance, on the scale of the ratings.
LEAST_VARIANCE = 1e-8


@dataclass(frozen=True)
class Recovered:
    """Per image the MOS and half the width of its 95 % interval; per rater the bias (positive: rates higher than others), the
    inconsistency (standard deviation of what is left) and the weight of each of their ratings. NaN without ratings."""

    mos: NDArray[np.float64]
    half: NDArray[np.float64]
    bias: NDArray[np.float64]
    inconsistency: NDArray[np.float64]
    weight: NDArray[np.float64]


def recover(ratings: Ratings) -> Recovered:
    """ITU-T P.910 (10/2023), Annex E: rating = MOS + bias + inconsistency × noise, fitted by alternating projection.

    Biases have a mean of 0 over the raters, so that recovered and plain MOS are on one level. Images × raters may be incomplete.
    """
    given, images, raters = np.ones_like(ratings.value), ratings.image, ratings.rater
    with np.errstate(invalid="ignore", divide="ignore"):
        n_image, n_rater = ratings.per_image(given), ratings.per_rater(given)
        mos = ratings.per_image(ratings.value) / n_image
        bias = ratings.per_rater(ratings.value - mos[images]) / n_rater
        for _ in range(STEPS):
            before = mos
            left = ratings.value - mos[images] - bias[raters]
            variance = ratings.per_rater((left - (ratings.per_rater(left) / n_rater)[raters]) ** 2) / n_rater
            weight = 1 / (variance + LEAST_VARIANCE)
            mos = ratings.per_image(weight[raters] * (ratings.value - bias[raters])) / ratings.per_image(weight[raters])
            bias = ratings.per_rater(ratings.value - mos[images]) / n_rater
            if np.linalg.norm(np.nan_to_num(mos - before)) < TOLERANCE:
                break
        half = ndtri((1 + CONFIDENCE) / 2) / np.sqrt(ratings.per_image(weight[raters]))
    level = np.nanmean(bias) if len(ratings.value) else 0.0
    return Recovered(mos + level, np.where(n_image > 0, half, np.nan), bias - level, np.sqrt(variance), weight)
