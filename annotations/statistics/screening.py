"""Which raters and ratings stand out: ITU-R BT.500's screening, and the rules of ITU-T P.910 for crowds."""

import numpy as np
from numpy.typing import NDArray

from annotations.statistics.opinions import opinions
from annotations.statistics.ratings import Ratings

# P.910 for crowds, as its published toolkit has them.
LEAST_VARIANCE = 0.15  # of a rater's ratings, on a scale of five points
OUTLIER = 3.29  # standard scores: one in a thousand by chance


def screen_bt500(ratings: Ratings) -> NDArray[np.bool_]:
    """True for each rater whom ITU-R BT.500-15, Annex 1, clause A1-2.3.1 rejects: often beyond 2 (where the ratings of an image have a
    kurtosis of 2 to 4) or √20 standard deviations of the image's mean, and about as often above as below.

    An image needs two ratings that differ.
    """
    found = opinions(ratings)
    away = ratings.value - found.mos[ratings.image]
    with np.errstate(invalid="ignore", divide="ignore"):
        second, fourth = (ratings.per_image(away**power) / found.n for power in (2, 4))
        kurtosis = fourth / second**2
        limit = np.where((kurtosis >= 2) & (kurtosis <= 4), 2, np.sqrt(20)) * found.std
        spread = np.nan_to_num(limit, nan=np.inf)[ratings.image]
        told = spread > 0
        above, below = (ratings.per_rater(told & (sign * away >= spread)) for sign in (1, -1))
        outside, rated = above + below, ratings.per_rater(np.ones_like(away))
        return (outside / rated > 0.05) & (np.abs(above - below) / outside < 0.3)


def straight_lines(ratings: Ratings, low: float, high: float, at_least: int = 10) -> NDArray[np.bool_]:
    """True for each rater whose ratings have a (sample) variance below LEAST_VARIANCE, scaled from a scale of 1 to 5 to this one. Raters
    with fewer than `at_least` ratings are not judged."""
    n = ratings.per_rater(np.ones_like(ratings.value))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = ratings.per_rater(ratings.value) / n
        variance = ratings.per_rater((ratings.value - mean[ratings.rater]) ** 2) / (n - 1)
    return (n >= max(at_least, 2)) & (variance < LEAST_VARIANCE * ((high - low) / 4) ** 2)


def outliers(ratings: Ratings) -> NDArray[np.bool_]:
    """True for each rating further than OUTLIER standard deviations from the mean of its image."""
    found = opinions(ratings)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = (ratings.value - found.mos[ratings.image]) / found.std[ratings.image]
    return np.nan_to_num(np.abs(score)) > OUTLIER
