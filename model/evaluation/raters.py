"""How many people's mean a scorer is worth: where it stands against single human raters. Pure functions over arrays [N].

The model is classical test theory (Lord & Novick 1968), the derivation from it our own: a rating of image i is q_i + e with
Var(e) = s_i^2, the raters' spread at that image; errors are independent. The MOS of n_i raters is q_i + noise of variance
s_i^2 / n_i. Averages over images, with S = mean s_i^2 and D = mean s_i^2 / n_i (the noise that the MOS itself has):

* V = Var(MOS) - D is the variance of true quality. The mean of k fresh raters an image correlates with q by
  sqrt(V / (V + S / k)) (Spearman-Brown).
* A scorer's PLCC with the MOS is lowered by the noise of the MOS; with q it is r = PLCC / sqrt(V / Var(MOS)). It is worth the k for
  which both correlations agree: k = S / V * r^2 / (1 - r^2).
* A scorer's squared error against q is E = MSE against the MOS - D; the mean of k raters has S / k. It is worth k = S / E.

Fitted scores have the least squared error that their correlation allows, drawn towards the mean as a mean of raters is not, so that
by error a scorer is worth 1 / r^2 times as many.

The raters are thought to be others for each image. A panel that rates all images shares each rater's leniency over all of them,
which no correlation sees: such raters would be worth somewhat more than here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.common.errors import DataError
from model.evaluation.bootstrap import FEWEST_FOR_INTERVALS, pearson, resample
from model.evaluation.metrics import finite_or_none, fit_logistic, logistic, srcc

BACKWARDS = "the scores do not rank the images as people do (raw SRCC not above 0): the scorer is worth nobody"


def raters_worth(
    predictions: Sequence[float],
    mos: Sequence[float],
    std: Sequence[float] | float,
    n: Sequence[float] | float | None,
) -> dict:
    """How many raters' mean the predictions are worth, ready for JSON. All are in units of the MOS; predictions are fitted ones
    where the scorer's scale is another.

    std: the ratings' standard deviation at each image, or one for all. n: ratings in each MOS; None: the MOS count as free of noise, which
    makes the scorer look worse than it is. Keys:

    * by_correlation, by_error: the k of this module's two definitions. None where the noise of the MOS explains all of the
      scorer's shortfall: then these MOS cannot tell how many.
    * one_rater_plcc: the PLCC of a single rater with true quality; ceiling_plcc: the PLCC of true quality with these MOS, which no
      scorer passes but by luck.
    * std: the root mean square of std. intervals: 95 % bootstrap intervals of by_correlation and by_error, where None as an end is
      "no bound"; None for fewer than 10 images.

    Raises DataError when the lengths differ, a std is negative, all are 0, or the MOS spread no wider than their noise.
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
    """raters_worth of scores as a model gave them, on whatever scale: after the 4-parameter logistic of model/evaluation/metrics.py.

    The logistic would turn scores upright that rank backwards. Where the raw SRCC is not above 0 the scorer is worth nobody:
    by_correlation and by_error are 0, intervals None, and `note`, a key that is not there otherwise, says so.

    Raises DataError as raters_worth does, and where the fit fails.
    """
    x, y = np.asarray(scores, float), np.asarray(mos, float)
    _check_pairs(x, y)
    if not srcc(x, y) > 0:
        return _Ratings.of(mos, std, n).report(0.0, 0.0, None) | {"note": BACKWARDS}
    parameters = fit_logistic(x, y)
    if parameters is None:
        raise DataError("the logistic fit of the scores failed: their worth in raters cannot be told")
    return raters_worth(logistic(x, *parameters), y, std, n)


def _check_pairs(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape != y.shape:
        raise DataError(f"{len(x)} predictions and {len(y)} MOS do not pair up: give one of each per image")


@dataclass(frozen=True)
class _Ratings:
    """Arrays [N]: the MOS, the variance of the ratings at each image, and that of the MOS' noise."""

    mos: np.ndarray
    spread: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, mos: Sequence[float], std: Sequence[float] | float, n: Sequence[float] | float | None) -> "_Ratings":
        """Raises DataError when a std is negative, all are 0, or the MOS spread no wider than their noise."""
        y = np.asarray(mos, float)
        spread = np.broadcast_to(np.asarray(std, float), y.shape) ** 2
        noise = spread / np.broadcast_to(np.asarray(np.inf if n is None else n, float), y.shape)
        if (np.asarray(std, float) < 0).any() or not spread.sum() > 0:
            raise DataError("the ratings' std must not be negative, nor 0 everywhere: it says how far raters differ")
        if np.var(y) <= noise.mean():
            raise DataError(
                "the MOS spread no wider than the noise that so few ratings leave: no correlation means anything"
            )
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
    """k by correlation and by error on samples [B, N] of the images: [B]. Infinite where the noise of the MOS explains all, by_correlation
    NaN where predictions are constant."""
    x, y, spread, noise = (values[picks] for values in (x, ratings.mos, ratings.spread, ratings.noise))
    variance, spread, noise = y.var(1), spread.mean(1), noise.mean(1)
    quality = variance - noise
    correlation = np.maximum(pearson(x, y), 0.0)  # a scorer that ranks backwards is worth nobody
    with np.errstate(divide="ignore", invalid="ignore"):  # np.where computes what it leaves out too
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
    ordered = np.sort(defined)  # percentiles by rank: interpolation next to infinity gives nan
    ends = (ordered[int(q * (len(ordered) - 1))] for q in (0.025, 0.975))
    return [finite_or_none(end) for end in ends]
