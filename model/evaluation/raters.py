"""The equivalent number of raters: how many human raters' mean is as accurate as a scorer. Pure functions over arrays [N].

The model is classical test theory (Lord & Novick 1968), the derivation our own: a rating of image i is q_i + e with Var(e) = s_i^2, the
raters' variance at that image; errors are independent. The MOS of n_i raters is q_i + noise of variance s_i^2 / n_i. With averages over
images, S = mean s_i^2 and D = mean s_i^2 / n_i (the noise of the MOS):

* V = Var(MOS) - D is the variance of true quality. The mean of k new raters per image has a correlation with q of
  sqrt(V / (V + S / k)) (Spearman-Brown).
* A scorer's PLCC with the MOS is reduced by the noise of the MOS; with q it is r = PLCC / sqrt(V / Var(MOS)). The scorer is
  equivalent to the k with the same correlation: k = S / V * r^2 / (1 - r^2).
* A scorer's squared error against q is E = MSE against the MOS - D; the mean of k raters has S / k. The scorer is equivalent to
  k = S / E.

Fitted scores have the least squared error for their correlation: unlike a mean of raters they are shrunk towards the mean. So by error
a scorer is equivalent to 1 / r^2 times as many raters.

Each image is assumed to have different raters. If one panel rates all images, each rater's leniency is common to all of them and does
not affect correlations: such raters would be worth somewhat more than computed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.common.errors import DataError
from model.evaluation.bootstrap import FEWEST_FOR_INTERVALS, pearson, resample
from model.evaluation.metrics import finite_or_none, fit_logistic, logistic, srcc

BACKWARDS = "the scores do not agree with the raters' ranking (raw SRCC not above 0): equivalent to 0 raters"


def raters_worth(
    predictions: ArrayLike,
    mos: ArrayLike,
    std: Sequence[float] | float,
    n: Sequence[float] | float | None,
) -> dict:
    """The equivalent number of raters of predictions in units of the MOS, ready for JSON.

    std: the ratings' standard deviation at each image, or one for all. n: ratings per MOS; None: the MOS are assumed to have no noise,
    which underestimates the scorer. Keys:

    * by_correlation, by_error: the k of this module's two definitions. None if the noise of the MOS explains the whole error: then
      these MOS give no upper bound.
    * one_rater_plcc: the PLCC of a single rater with true quality. ceiling_plcc: the PLCC of true quality with these MOS, which a
      scorer exceeds only by chance.
    * std: the root mean square of std. intervals: 95 % bootstrap intervals of by_correlation and by_error, with None for an unbounded
      end; None for fewer than 10 images.

    Raises DataError when the lengths differ, a std is negative, all are 0, or the variance of the MOS does not exceed their noise.
    """
    ratings = _Ratings.of(mos, std, n)
    x = np.asarray(predictions, float)
    _check_pairs(x, ratings.mos)
    by_correlation, by_error = (float(worth[0]) for worth in _worth(x, ratings, np.arange(len(x))[None]).values())
    intervals = None
    if len(x) >= FEWEST_FOR_INTERVALS:
        drawn = resample(lambda picks: _worth(x, ratings, picks), len(x))
        intervals = {name: _interval(values) for name, values in drawn.items()}
    return ratings.report(by_correlation, by_error, intervals)


def scorers_worth(
    scores: Sequence[float],
    mos: Sequence[float],
    std: Sequence[float] | float,
    n: Sequence[float] | float | None,
) -> dict:
    """`raters_worth` of raw scores on any scale, after the 4-parameter logistic of model/evaluation/metrics.py.

    The logistic would correct a reversed ranking. So if the raw SRCC is not above 0, by_correlation and by_error are 0, intervals is
    None, and the extra key `note` says so.

    Raises DataError as raters_worth does, and when the fit fails.
    """
    x, y = np.asarray(scores, float), np.asarray(mos, float)
    _check_pairs(x, y)
    if not srcc(x, y) > 0:
        return _Ratings.of(mos, std, n).report(0.0, 0.0, None) | {"note": BACKWARDS}
    parameters = fit_logistic(x, y)
    if parameters is None:
        raise DataError("the logistic fit of the scores failed: the equivalent number of raters is not defined")
    return raters_worth(logistic(x, *parameters), y, std, n)


def _check_pairs(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape != y.shape:
        raise DataError(f"{len(x)} predictions and {len(y)} MOS: each image needs one of each")


@dataclass(frozen=True)
class _Ratings:
    """Arrays [N]: the MOS, the variance of the ratings at each image, and the variance of the MOS' noise."""

    mos: np.ndarray
    spread: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, mos: ArrayLike, std: Sequence[float] | float, n: Sequence[float] | float | None) -> "_Ratings":
        """Raises DataError when a std is negative, all are 0, or the variance of the MOS does not exceed their noise."""
        y = np.asarray(mos, float)
        spread = np.broadcast_to(np.asarray(std, float), y.shape) ** 2
        noise = spread / np.broadcast_to(np.asarray(np.inf if n is None else n, float), y.shape)
        if (np.asarray(std, float) < 0).any() or not spread.sum() > 0:
            raise DataError("the ratings' std must be at least 0, and not 0 for all images: correct the labels")
        if np.var(y) <= noise.mean():
            raise DataError("the variance of the MOS does not exceed their noise: gather more ratings per image")
        return cls(y, spread, noise)

    def report(self, by_correlation: float, by_error: float, intervals: dict | None) -> dict:
        quality, spread = np.var(self.mos) - self.noise.mean(), self.spread.mean()
        return {
            "by_correlation": finite_or_none(by_correlation),
            "by_error": finite_or_none(by_error),
            "one_rater_plcc": float(np.sqrt(quality / (quality + spread))),
            "ceiling_plcc": float(np.sqrt(quality / np.var(self.mos))),
            "std": float(np.sqrt(spread)),
            "intervals": intervals,
        }


def _worth(x: np.ndarray, ratings: _Ratings, picks: np.ndarray) -> dict[str, np.ndarray]:
    """k by correlation and by error on samples [B, N] of the images: [B]. Infinite where the noise of the MOS explains the whole error;
    by_correlation is NaN where predictions are constant."""
    x, y, spread, noise = (values[picks] for values in (x, ratings.mos, ratings.spread, ratings.noise))
    variance, spread, noise = y.var(1), spread.mean(1), noise.mean(1)
    quality = variance - noise
    correlation = np.maximum(pearson(x, y), 0.0)  # a reversed ranking is equivalent to 0 raters
    with np.errstate(divide="ignore", invalid="ignore"):  # np.where evaluates both branches
        shared = np.where(quality > 0, correlation**2 * variance / quality, np.inf)
        error = np.mean((x - y) ** 2, axis=1) - noise
        return {
            "by_correlation": np.where(shared >= 1, np.inf, spread / quality * shared / (1 - shared)),
            "by_error": np.where(error > 0, spread / error, np.inf),
        }


def _interval(values: np.ndarray) -> list[float | None] | None:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    ordered = np.sort(defined)  # percentiles by rank, since interpolation next to infinity would give NaN
    ends = (ordered[int(q * (len(ordered) - 1))] for q in (0.025, 0.975))
    return [finite_or_none(end) for end in ends]
