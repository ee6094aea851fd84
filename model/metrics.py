"""Figures that say how well predictions agree with mean opinion scores. Pure functions over arrays [N].

"Fitted" figures are taken after the 4-parameter logistic that VQEG and ITU-T P.1401 use to map predictions onto the scale
of the opinion scores, fitted on the evaluated pictures themselves. Much of the literature reports only these, and calls them
PLCC and SRCC. They flatter: the fit has seen the answers, and it even turns a model upside down that ranks backwards.
"""

from collections.abc import Sequence

import numpy as np
from scipy import optimize, special, stats

from model.errors import DataError

RESAMPLES = 1000
FEWEST_FOR_FIT = 5  # one more than the logistic has parameters
FEWEST_FOR_INTERVALS = 10
FIGURES = ("srcc", "plcc", "srcc_fitted", "plcc_fitted", "krcc", "krcc_fitted", "rmse")


def srcc(predictions: np.ndarray, mos: np.ndarray) -> float:
    """Spearman's rank correlation; ties share their mean rank. nan when either side is constant or shorter than 2."""
    return plcc(stats.rankdata(predictions), stats.rankdata(mos))


def plcc(predictions: np.ndarray, mos: np.ndarray) -> float:
    """Pearson's linear correlation. nan when either side is constant or shorter than 2."""
    x, y = np.asarray(predictions, float), np.asarray(mos, float)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    length = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(x @ y / length, -1, 1)) if length > 0 else float("nan")


def krcc(predictions: np.ndarray, mos: np.ndarray) -> float:
    """Kendall's rank correlation, tau-b. nan when either side is constant or shorter than 2."""
    if len(predictions) < 2 or np.ptp(predictions) == 0 or np.ptp(mos) == 0:
        return float("nan")
    # The p-value, which nobody reads, is the slow part; its quick way divides by zero for two pairs.
    method = "asymptotic" if len(predictions) > 2 else "auto"
    return float(stats.kendalltau(predictions, mos, method=method).statistic)


def rmse(predictions: np.ndarray, mos: np.ndarray) -> float:
    """Root mean square error; both sides must be on one scale. nan when empty."""
    difference = np.asarray(predictions, float) - np.asarray(mos, float)
    return float(np.sqrt(np.mean(difference**2))) if len(difference) else float("nan")


def logistic(x: np.ndarray, high: float, low: float, middle: float, width: float) -> np.ndarray:
    """low + (high - low) / (1 + exp(-(x - middle) / |width|))."""
    return low + (high - low) * special.expit((x - middle) / max(abs(width), np.finfo(float).tiny))


def fit_logistic(predictions: np.ndarray, mos: np.ndarray) -> np.ndarray | None:
    """Fit the logistic that maps predictions to mos by least squares: [high, low, middle, width], or None when it fails.

    Starts from max and min of mos, mean and a quarter of the std of predictions, and gives up after 10,000 evaluations, as
    the evaluation of DeQA-Score and Q-Scorer does. Fewer than 5 pairs or constant predictions have no fit.
    """
    x, y = np.asarray(predictions, float), np.asarray(mos, float)
    if len(x) < FEWEST_FOR_FIT or np.ptp(x) == 0:
        return None
    start = [y.max(), y.min(), x.mean(), x.std() / 4]
    with np.errstate(all="ignore"):  # a step far out overflows, and is then rejected by the search
        parameters, _, _, _, status = optimize.leastsq(
            lambda guess: logistic(x, *guess) - y, start, maxfev=10_000, full_output=True
        )
    return parameters if status in (1, 2, 3, 4) and np.isfinite(parameters).all() else None


def srcc_fitted(predictions: np.ndarray, mos: np.ndarray) -> float:
    """srcc after fit_logistic. nan when the fit fails."""
    parameters = fit_logistic(predictions, mos)
    return float("nan") if parameters is None else srcc(logistic(np.asarray(predictions, float), *parameters), mos)


def plcc_fitted(predictions: np.ndarray, mos: np.ndarray) -> float:
    """plcc after fit_logistic. nan when the fit fails."""
    parameters = fit_logistic(predictions, mos)
    return float("nan") if parameters is None else plcc(logistic(np.asarray(predictions, float), *parameters), mos)


def figures(predictions: Sequence[float], mos: Sequence[float], resamples: int = RESAMPLES, seed: int = 0) -> dict:
    """All figures of one evaluation, ready for JSON: a figure that is not defined is None, and notes says why.

    Keys: n, srcc, plcc, srcc_fitted, plcc_fitted, krcc, krcc_fitted, rmse, intervals, notes.

    * rmse is taken after the logistic fit, in units of mos, since a model's scale need not be that of the labels.
      rmse() gives the raw one where both scales are the same.
    * intervals holds for each figure the 95 % percentile interval [low, high] of `resamples` bootstrap samples of pictures
      (pairs are drawn together, with seed). The logistic is fitted once, on all pictures, and kept. None for fewer than 10
      pictures, where resampling says nothing.
    * notes is a list of sentences: why a figure is None, and what the fit hides.

    Raises DataError when the lengths differ or a value is not finite.
    """
    x, y = np.asarray(predictions, float), np.asarray(mos, float)
    if x.ndim != 1 or x.shape != y.shape:
        raise DataError(
            f"{x.size} predictions and {y.size} opinion scores do not pair up: give one of each per picture"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("a prediction or opinion score is not a finite number: leave that picture out")

    notes = _notes(x, y)
    parameters = fit_logistic(x, y) if len(x) and np.ptp(y) > 0 else None
    if parameters is None:
        fitted = np.full_like(x, np.nan)
        if not notes:
            notes.append("the logistic fit did not converge: srcc_fitted, plcc_fitted, krcc_fitted and rmse are null")
    else:
        fitted = logistic(x, *parameters)
        notes += _fit_notes(x, fitted, y)

    found = _figures_once(x, fitted, y)
    intervals = dict.fromkeys(FIGURES)
    if len(x) >= FEWEST_FOR_INTERVALS:
        intervals = _intervals(x, fitted, y, resamples, seed)
    elif len(x):
        notes.append(f"fewer than {FEWEST_FOR_INTERVALS} pictures: the intervals are null")
    return (
        {"n": len(x)}
        | {name: finite_or_none(value) for name, value in found.items()}
        | {"intervals": intervals, "notes": notes}
    )


NULL = "correlations, and the rmse after a fit, are null"


def _notes(x: np.ndarray, y: np.ndarray) -> list[str]:
    if len(x) == 0:
        return ["no pictures: all figures are null"]
    if len(x) < 2:
        return [f"a single picture: {NULL}"]
    constant = [name for name, values in (("predictions", x), ("opinion scores", y)) if np.ptp(values) == 0]
    if constant:
        return [f"all {' and all '.join(constant)} are equal: {NULL}"]
    if len(x) < FEWEST_FOR_FIT:
        return [f"fewer than {FEWEST_FOR_FIT} pictures: srcc_fitted, plcc_fitted, krcc_fitted and rmse are null"]
    return []


def _fit_notes(x: np.ndarray, fitted: np.ndarray, y: np.ndarray) -> list[str]:
    """What the fit hides: that scores rank backwards, and that it is so steep that different scores become one number."""
    notes = []
    if plcc(x, fitted) < 0:
        notes.append(
            "the scores fall where the opinion scores rise, and the fit turns them over: is higher better in both?"
        )
    scores, kept = len(np.unique(x)), len(np.unique(fitted))
    if kept < scores:
        notes.append(
            f"the fit is so steep that {scores} different scores become {kept}: srcc_fitted and krcc_fitted are of these"
        )
    return notes


def _figures_once(x: np.ndarray, fitted: np.ndarray, y: np.ndarray) -> dict[str, float]:
    unfitted = not np.isfinite(fitted).all()
    return {
        "srcc": srcc(x, y),
        "plcc": plcc(x, y),
        "srcc_fitted": np.nan if unfitted else srcc(fitted, y),
        "plcc_fitted": np.nan if unfitted else plcc(fitted, y),
        "krcc": krcc(x, y),
        "krcc_fitted": np.nan if unfitted else krcc(fitted, y),
        "rmse": np.nan if unfitted else rmse(fitted, y),
    }


def _intervals(
    x: np.ndarray, fitted: np.ndarray, y: np.ndarray, resamples: int, seed: int
) -> dict[str, list[float] | None]:
    random = np.random.default_rng(seed)
    drawn = {name: [] for name in FIGURES}
    for _ in range(resamples):
        pick = random.integers(len(x), size=len(x))
        for name, value in _figures_once(x[pick], fitted[pick], y[pick]).items():
            drawn[name].append(value)
    intervals: dict[str, list[float] | None] = {}
    for name, values in drawn.items():
        # A sample that happened to draw equal values only has no figure; it says nothing about the others.
        defined = np.array(values)[np.isfinite(values)]
        intervals[name] = [float(end) for end in np.percentile(defined, [2.5, 97.5])] if defined.size else None
    return intervals


def finite_or_none(value: float) -> float | None:
    """What JSON can hold of a number: None for nan and infinity."""
    return float(value) if np.isfinite(value) else None
