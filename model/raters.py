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

import numpy as np

from model.errors import DataError
from model.metrics import FEWEST_FOR_INTERVALS, RESAMPLES, finite_or_none, fit_logistic, logistic, plcc, srcc

BACKWARDS = "the scores do not rank the pictures as people do (raw SRCC not above 0): the scorer is worth nobody"


def raters_worth(
    predictions: Sequence[float],
    mos: Sequence[float],
    std: Sequence[float] | float,
    n: Sequence[float] | float | None,
    resamples: int = RESAMPLES,
    seed: int = 0,
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
    x, y = np.asarray(predictions, float), np.asarray(mos, float)
    _check_pairs(x, y)
    spread = np.broadcast_to(np.asarray(std, float), y.shape) ** 2
    noise = spread / np.broadcast_to(np.asarray(np.inf if n is None else n, float), y.shape)
    if (np.asarray(std, float) < 0).any() or not spread.sum() > 0:
        raise DataError("the ratings' std must not be negative, nor 0 everywhere: it says how far raters differ")
    if np.var(y) <= noise.mean():
        raise DataError(
            "the MOS spread no wider than the noise that so few ratings leave: no correlation means anything"
        )
    quality = np.var(y) - noise.mean()
    intervals = None
    if len(y) >= FEWEST_FOR_INTERVALS:
        random = np.random.default_rng(seed)
        picks = (random.integers(len(y), size=len(y)) for _ in range(resamples))
        drawn = np.array([_worth(x[pick], y[pick], spread[pick], noise[pick]) for pick in picks])
        intervals = {name: _interval(drawn[:, column]) for column, name in enumerate(("by_correlation", "by_error"))}
    by_correlation, by_error = _worth(x, y, spread, noise)
    return {
        "by_correlation": finite_or_none(by_correlation),
        "by_error": finite_or_none(by_error),
        "one_rater_plcc": float(np.sqrt(quality / (quality + spread.mean()))),
        "ceiling_plcc": float(np.sqrt(quality / np.var(y))),
        "std": float(np.sqrt(spread.mean())),
        "intervals": intervals,
    }


def scorers_worth(
    scores: Sequence[float],
    mos: Sequence[float],
    std: Sequence[float] | float,
    n: Sequence[float] | float | None,
    resamples: int = RESAMPLES,
) -> dict:
    """raters_worth of scores as a model gave them, on whatever scale: after the 4-parameter logistic of model/metrics.py.

    The logistic would turn scores upright that rank backwards. Where the raw SRCC is not above 0 the scorer is worth nobody:
    by_correlation and by_error are 0, intervals None, and `note`, a key that is not there otherwise, says so.

    Raises DataError as raters_worth does, and where the fit fails.
    """
    x, y = np.asarray(scores, float), np.asarray(mos, float)
    _check_pairs(x, y)
    if not srcc(x, y) > 0:
        found = raters_worth(x, y, std, n, resamples=1)  # what does not hang on the scores, and its errors
        return found | {"by_correlation": 0.0, "by_error": 0.0, "intervals": None, "note": BACKWARDS}
    parameters = fit_logistic(x, y)
    if parameters is None:
        raise DataError("the logistic fit of the scores failed: their worth in raters cannot be told")
    return raters_worth(logistic(x, *parameters), y, std, n, resamples)


def _check_pairs(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape != y.shape:
        raise DataError(f"{len(x)} predictions and {len(y)} MOS do not pair up: give one of each per image")


def _worth(x: np.ndarray, y: np.ndarray, spread: np.ndarray, noise: np.ndarray) -> tuple[float, float]:
    """k by correlation and by error; inf where the noise of the MOS explains all, nan where predictions are constant."""
    quality = np.var(y) - noise.mean()
    correlation = max(plcc(x, y), 0.0)  # a scorer that ranks backwards is worth nobody
    shared = correlation**2 * np.var(y) / quality if quality > 0 else np.inf
    error = np.mean((x - y) ** 2) - noise.mean()
    return (
        float(spread.mean() / quality * shared / (1 - shared)) if shared < 1 else np.inf,
        float(spread.mean() / error) if error > 0 else np.inf,
    )


def _interval(values: np.ndarray) -> list[float | None] | None:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    ordered = np.sort(defined)  # percentiles by rank: interpolation next to infinity gives nan
    ends = (ordered[int(q * (len(ordered) - 1))] for q in (0.025, 0.975))
    return [finite_or_none(end) for end in ends]
