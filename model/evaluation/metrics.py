"""Agreement of predictions with mean opinion scores. Pure functions over arrays [N].

"Fitted" figures are computed after the 4-parameter logistic by which VQEG and ITU-T P.1401 map predictions onto the scale of the
opinion scores; it is fitted on the evaluated images themselves. Much of the literature reports only these, as PLCC and SRCC. They are
optimistic: the fit uses the labels, and even corrects a model whose ranking is reversed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from model.common.errors import DataError
from model.evaluation.bootstrap import FEWEST_FOR_INTERVALS, interval, kendall, pearson, ranks, resample

FEWEST_FOR_FIT = 5  # one more than the logistic has parameters
FIGURES = ("srcc", "plcc", "srcc_fitted", "plcc_fitted", "krcc", "krcc_fitted", "rmse")


def srcc(predictions: np.ndarray, mos: np.ndarray) -> float:
    """Spearman's rank correlation; ties share their mean rank. NaN if either array is constant or has fewer than 2 values."""
    return plcc(stats.rankdata(predictions), stats.rankdata(mos))


def plcc(predictions: np.ndarray, mos: np.ndarray) -> float:
    """Pearson's linear correlation. NaN if either array is constant or has fewer than 2 values."""
    x, y = np.asarray(predictions, float), np.asarray(mos, float)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    length = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(x @ y / length, -1, 1)) if length > 0 else float("nan")


def krcc(predictions: np.ndarray, mos: np.ndarray) -> float:
    """Kendall's rank correlation, tau-b. NaN if either array is constant or has fewer than 2 values."""
    if len(predictions) < 2 or np.ptp(predictions) == 0 or np.ptp(mos) == 0:
        return float("nan")
    # Only the p-value, which is not used, is slow to compute; its asymptotic form divides by zero for two pairs.
    method = "asymptotic" if len(predictions) > 2 else "auto"
    return float(stats.kendalltau(predictions, mos, method=method).statistic)


def rmse(predictions: ArrayLike, mos: ArrayLike) -> float:
    """Root mean square error; both arrays must be on the same scale. NaN if empty."""
    difference = np.asarray(predictions, float) - np.asarray(mos, float)
    return float(np.sqrt(np.mean(difference**2))) if len(difference) else float("nan")


def logistic(x: np.ndarray, high: float, low: float, middle: float, width: float) -> np.ndarray:
    """low + (high - low) / (1 + exp(-(x - middle) / |width|))."""
    return low + (high - low) * special.expit((x - middle) / max(abs(width), np.finfo(float).tiny))


def fit_logistic(predictions: np.ndarray, mos: np.ndarray) -> np.ndarray | None:
    """Least-squares fit of the logistic from predictions to mos: [high, low, middle, width]; None if it fails.

    Starts from the max and min of mos, and the mean and a quarter of the std of predictions; at most 10,000 evaluations. DeQA-Score's
    and Q-Scorer's evaluations do the same. None for fewer than 5 pairs or constant predictions.
    """
    x, y = np.asarray(predictions, float), np.asarray(mos, float)
    if len(x) < FEWEST_FOR_FIT or np.ptp(x) == 0:
        return None
    start = [y.max(), y.min(), x.mean(), x.std() / 4]
    with np.errstate(all="ignore"):  # the search rejects steps that overflow
        parameters, _, _, _, status = optimize.leastsq(
            lambda guess: logistic(x, *guess) - y, start, maxfev=10_000, full_output=True
        )
    return parameters if status in (1, 2, 3, 4) and np.isfinite(parameters).all() else None


def figures(predictions: Sequence[float], mos: Sequence[float]) -> dict:
    """`point_figures`, and the key `intervals`: for each figure the 95 % percentile interval [low, high] of 1,000 bootstrap samples of
    images, or None for fewer than 10 images. The logistic is fitted once, on all images.
    """
    x, fitted, y, notes = _fit(predictions, mos)
    intervals = dict.fromkeys(FIGURES)
    if len(x) >= FEWEST_FOR_INTERVALS:
        samples = resample(lambda picks: _figures_of_samples(x, fitted, y, picks), len(x))
        intervals = {name: interval(samples[name]) for name in FIGURES}
    elif len(x):
        notes = [*notes, f"fewer than {FEWEST_FOR_INTERVALS} images: the intervals are null"]
    return _point_figures(x, fitted, y) | {"intervals": intervals, "notes": notes}


def point_figures(predictions: Sequence[float], mos: Sequence[float]) -> dict:
    """The figures of one evaluation without intervals, ready for JSON; an undefined figure is None.

    Keys: n, srcc, plcc, srcc_fitted, plcc_fitted, krcc, krcc_fitted, rmse, notes.

    * rmse: after the logistic fit, in units of mos, since a model's scale may differ from the labels'. rmse() computes the raw one.
    * notes: sentences that say why a figure is None, and what the fit hides.

    Raises DataError when the lengths differ or a value is not finite.
    """
    x, fitted, y, notes = _fit(predictions, mos)
    return _point_figures(x, fitted, y) | {"notes": notes}


def _fit(
    predictions: Sequence[float], mos: Sequence[float]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, list[str]]:
    """(predictions, predictions after the logistic fit or None, opinion scores, notes)."""
    x, y = np.asarray(predictions, float), np.asarray(mos, float)
    if x.ndim != 1 or x.shape != y.shape:
        raise DataError(f"{x.size} predictions and {y.size} opinion scores: each image needs one of each")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("a prediction or opinion score is NaN or infinite: omit that image")
    notes = _notes(x, y)
    parameters = fit_logistic(x, y) if len(x) and np.ptp(y) > 0 else None
    if parameters is not None:
        fitted = logistic(x, *parameters)
        return x, fitted, y, notes + _fit_notes(x, fitted, y)
    return (
        x,
        None,
        y,
        notes or ["the logistic fit did not converge: srcc_fitted, plcc_fitted, krcc_fitted and rmse are null"],
    )


NULL = "correlations, and the rmse after a fit, are null"


def _notes(x: np.ndarray, y: np.ndarray) -> list[str]:
    if len(x) == 0:
        return ["no images: all figures are null"]
    if len(x) < 2:
        return [f"a single image: {NULL}"]
    constant = [name for name, values in (("predictions", x), ("opinion scores", y)) if np.ptp(values) == 0]
    if constant:
        return [f"all {' and all '.join(constant)} are equal: {NULL}"]
    if len(x) < FEWEST_FOR_FIT:
        return [f"fewer than {FEWEST_FOR_FIT} images: srcc_fitted, plcc_fitted, krcc_fitted and rmse are null"]
    return []


def _fit_notes(x: np.ndarray, fitted: np.ndarray, y: np.ndarray) -> list[str]:
    """What the fit hides: a reversed ranking, and distinct scores that it maps to equal numbers."""
    notes = []
    if plcc(x, fitted) < 0:
        notes.append(
            "the scores decrease as the opinion scores increase, and the fit reverses them: is higher better in both?"
        )
    scores, kept = len(np.unique(x)), len(np.unique(fitted))
    if kept < scores:
        notes.append(
            f"the fit is so steep that {scores} distinct scores become {kept}, on which srcc_fitted and krcc_fitted are computed"
        )
    return notes


def _point_figures(x: np.ndarray, fitted: np.ndarray | None, y: np.ndarray) -> dict:
    found = {"srcc": srcc(x, y), "plcc": plcc(x, y), "krcc": krcc(x, y)}
    if fitted is not None:
        found |= {"srcc_fitted": srcc(fitted, y), "plcc_fitted": plcc(fitted, y), "krcc_fitted": krcc(fitted, y)}
        found["rmse"] = rmse(fitted, y)
    return {"n": len(x)} | {name: finite_or_none(found.get(name, np.nan)) for name in FIGURES}


def _figures_of_samples(
    x: np.ndarray, fitted: np.ndarray | None, y: np.ndarray, picks: np.ndarray
) -> dict[str, np.ndarray]:
    """The figures [B] on samples [B, N] of the images; NaN for those after the fit if it failed."""
    of_y, ranks_y = y[picks], ranks(y, picks)
    found = {"srcc": pearson(ranks(x, picks), ranks_y), "plcc": pearson(x[picks], of_y), "krcc": kendall(x, y, picks)}
    if fitted is None:
        return dict.fromkeys(FIGURES, np.full(len(picks), np.nan)) | found
    of_fitted = fitted[picks]
    found |= {"plcc_fitted": pearson(of_fitted, of_y), "rmse": np.sqrt(np.mean((of_fitted - of_y) ** 2, axis=1))}
    if np.array_equal(*(stats.rankdata(values, "dense") for values in (x, fitted))):
        return found | {"srcc_fitted": found["srcc"], "krcc_fitted": found["krcc"]}  # the fit kept the order
    return found | {"srcc_fitted": pearson(ranks(fitted, picks), ranks_y), "krcc_fitted": kendall(fitted, y, picks)}


def finite_or_none(value: float) -> float | None:
    """The number, or None for NaN and infinity, which JSON lacks."""
    return float(value) if np.isfinite(value) else None
