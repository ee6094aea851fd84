"""How far raters agree with each other and with themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotations.statistics.opinions import opinions
from annotations.statistics.ratings import Ratings


def krippendorff_alpha(ratings: Ratings) -> float | None:
    """Krippendorff's α with the interval metric: 1 is agreement, 0 is chance. None where no image has two ratings or all ratings are equal.

    Krippendorff, "Content Analysis", chapter 12. For squared differences the sums over pairs are sums of squares about the mean, so that a
    million ratings on a continuous scale need no matrix of values.
    """
    n = ratings.per_image(np.ones_like(ratings.value))
    pairable = ratings.only(n[ratings.image] > 1)
    if not len(pairable.value):
        return None
    some = n > 1
    mean = np.divide(pairable.per_image(pairable.value), n, out=np.zeros(len(n)), where=some)
    within = pairable.per_image((pairable.value - mean[pairable.image]) ** 2)
    observed = np.sum(n[some] * within[some] / (n[some] - 1)) / len(pairable.value)
    expected = np.var(pairable.value, ddof=1)
    return float(1 - observed / expected) if expected > 0 else None


def alpha_without_each(ratings: Ratings) -> NDArray[np.float64]:
    """Krippendorff's α of the ratings of all raters but one, for each of them; NaN where there is none.

    A rater has one rating of an image, so each image's part of the sums is known without that rating, and no α is computed anew.
    """
    value = ratings.value - (ratings.value.mean() if len(ratings.value) else 0)  # the sums below lose no digits
    n, total, squares = (ratings.per_image(part) for part in (np.ones_like(value), value, value**2))

    def part(count: NDArray, sums: NDArray, of_squares: NDArray) -> NDArray:
        """An image's part of the observed disagreement, and of count, sum and squares of the ratings that can be paired."""
        paired = count > 1
        within = of_squares - sums**2 / np.maximum(count, 1)
        observed = np.where(paired, count * within / np.maximum(count - 1, 1), 0)
        return np.stack([observed, *(np.where(paired, given, 0) for given in (count, sums, of_squares))])

    before, image = part(n, total, squares), ratings.image
    after = part(n[image] - 1, total[image] - value, squares[image] - value**2)
    change = after - before[:, image]
    left = before.sum(1)[:, None] + np.stack([ratings.per_rater(row) for row in change])
    observed, count, sums, of_squares = left
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (of_squares - sums**2 / count) / (count - 1)
        return np.where((count > 1) & (expected > 1e-12), 1 - observed / count / expected, np.nan)


@dataclass(frozen=True)
class Components:
    """Variance of ratings that comes from images, from raters and from what is left, and the intraclass correlations of absolute agreement
    of one rater, and of the mean of as many as an image has (the harmonic mean of their numbers)."""

    images: float
    raters: float
    left: float
    icc_one: float
    icc_mean: float


def variance_components(ratings: Ratings) -> Components | None:
    """Images and raters as crossed random effects without interaction: Henderson's method I, which needs no balance (Searle, Casella,
    McCulloch, "Variance Components", chapter 5.3). In a complete table it is the analysis of variance, and icc_one is ICC(2,1) of Shrout
    and Fleiss (1979), icc_mean ICC(2,k). None where the design tells them not apart, or nothing varies.
    """
    value, total = ratings.value, len(ratings.value)
    n_image, n_rater = (per(np.ones_like(value)) for per in (ratings.per_image, ratings.per_rater))
    images, raters = n_image > 0, n_rater > 0
    if total <= images.sum() + raters.sum() - 1 or images.sum() < 2 or raters.sum() < 2:
        return None
    value = value - value.mean()  # the sums below lose no digits
    sums = [
        value @ value,
        np.sum(ratings.per_image(value)[images] ** 2 / n_image[images]),
        np.sum(ratings.per_rater(value)[raters] ** 2 / n_rater[raters]),
        value.sum() ** 2 / total,
    ]
    # One rating for each pair, so that the squares of cell counts are the counts.
    expected = np.array(
        [
            [total, total, total],
            [total, images.sum(), images.sum()],
            [raters.sum(), total, raters.sum()],
            [np.sum(n_image**2) / total, np.sum(n_rater**2) / total, 1],
        ]
    )
    differences = [(0, 3), (1, 3), (2, 3)]
    matrix = np.array([expected[a] - expected[b] for a, b in differences])
    if np.linalg.matrix_rank(matrix) < 3:
        return None
    of_images, of_raters, left = np.linalg.solve(matrix, [sums[a] - sums[b] for a, b in differences])
    if of_images + of_raters + left <= 0:
        return None
    typical = images.sum() / np.sum(1 / n_image[images])
    one = of_images / (of_images + of_raters + left)
    mean = of_images / (of_images + (of_raters + left) / typical)
    return Components(*(float(x) for x in (of_images, of_raters, left, one, mean)))


@dataclass(frozen=True)
class Retest:
    """Pairs of a first and a repeated rating: how many, their Pearson correlation (None where either never varies), the root of their
    mean squared difference, and the mean of second minus first."""

    n: int
    correlation: float | None
    rms: float
    shift: float


def test_retest(first: NDArray, second: NDArray) -> Retest | None:
    """Of the ratings that raters gave to the same images twice; None without any."""
    if not len(first):
        return None
    varies = len(first) > 2 and np.ptp(first) > 0 and np.ptp(second) > 0
    correlation = float(np.corrcoef(first, second)[0, 1]) if varies else None
    difference = np.asarray(second, float) - first
    return Retest(len(first), correlation, float(np.sqrt(np.mean(difference**2))), float(difference.mean()))


@dataclass(frozen=True)
class SplitHalf:
    """SRCC between the MOS of two random halves of the raters: the median of all splits and the 2.5th and 97.5th percentile."""

    srcc: float
    interval: tuple[float, float]
    splits: int


def split_half(ratings: Ratings, splits: int = 200, seed: int = 0) -> SplitHalf | None:
    """Over the images that both halves rated; None where no split leaves three of them."""
    from scipy.stats import rankdata  # takes a second to import

    rng, found = np.random.default_rng(seed), []
    present = np.unique(ratings.rater)
    for _ in range(splits):
        first = np.zeros(ratings.raters, bool)
        first[rng.permutation(present)[: len(present) // 2]] = True
        one, other = (opinions(ratings.only(mask)).mos for mask in (first[ratings.rater], ~first[ratings.rater]))
        both = ~np.isnan(one) & ~np.isnan(other)
        if both.sum() > 2 and np.ptp(one[both]) > 0 and np.ptp(other[both]) > 0:
            found.append(np.corrcoef(rankdata(one[both]), rankdata(other[both]))[0, 1])
    if not found:
        return None
    low, median, high = np.percentile(found, [2.5, 50, 97.5])
    return SplitHalf(float(median), (float(low), float(high)), len(found))
