"""Tests whether one of two systems is better on the same images. Pure functions over arrays [N].

The two systems' correlations with the MOS are dependent, since images and MOS are the same; overlapping intervals are therefore no
evidence. Two tests: a paired bootstrap of the difference, and Williams' test for two dependent correlations that share a variable
(Williams 1959; recommended by Steiger 1980, and by Graham & Baldwin 2014 for comparing metrics).
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from model.common.errors import DataError
from model.evaluation.bootstrap import FEWEST_FOR_INTERVALS, interval, pearson, ranks, resample
from model.evaluation.metrics import finite_or_none, plcc


def williams(r12: float, r13: float, r23: float, n: int) -> tuple[float, float]:
    """(t, two-sided p) for the hypothesis that the correlations r12 and r13 with variable 1 are equal, over n images.

    r23: the correlation between the two systems. t has n - 3 degrees of freedom. NaN for n < 4, and for identical systems.
    """
    determinant = 1 - r12**2 - r13**2 - r23**2 + 2 * r12 * r13 * r23
    if n < 4:
        return float("nan"), float("nan")
    variance = 2 * (n - 1) / (n - 3) * determinant + ((r12 + r13) / 2) ** 2 * (1 - r23) ** 3
    if not variance > 0 or r23 > 1 - 1e-12:
        return float("nan"), float("nan")
    t = (r12 - r13) * np.sqrt((n - 1) * (1 + r23) / variance)
    return float(t), float(2 * stats.t.sf(abs(t), n - 3))


def compare(first: Sequence[float], second: Sequence[float], mos: Sequence[float]) -> dict:
    """Compare two systems' scores of the same images, ready for JSON: {"n", "srcc": {...}, "plcc": {...}}, raw correlations.

    Each figure: first, second, difference (first - second), interval (95 % percentile interval of the difference over 1,000 paired
    bootstrap samples), p_bootstrap (two-sided), williams_t and p_williams. Williams' test assumes normal variables; for srcc it is
    applied to ranks, which is an approximation: if both disagree, trust the bootstrap. Undefined values are None; so are interval and
    p_bootstrap for fewer than 10 images.

    Raises DataError when the lengths differ.
    """
    a, b, y = (np.asarray(values, float) for values in (first, second, mos))
    if not a.shape == b.shape == y.shape:
        raise DataError(f"{len(a)} and {len(b)} scores and {len(y)} MOS: each image needs one of each")
    differences = {"srcc": np.array([]), "plcc": np.array([])}
    if len(y) >= FEWEST_FOR_INTERVALS:
        differences = resample(lambda picks: _differences(a, b, y, picks), len(y))
    rank = stats.rankdata
    report: dict = {"n": len(y)}
    for name, (u, v, w) in (("srcc", (rank(a), rank(b), rank(y))), ("plcc", (a, b, y))):
        one, other = plcc(u, w), plcc(v, w)
        t, p = williams(one, other, plcc(u, v), len(y))
        report[name] = {
            "first": finite_or_none(one),
            "second": finite_or_none(other),
            "difference": finite_or_none(one - other),
            **_of_bootstrap(differences[name][np.isfinite(differences[name])]),
            "williams_t": finite_or_none(t),
            "p_williams": finite_or_none(p),
        }
    return report


def _differences(a: np.ndarray, b: np.ndarray, y: np.ndarray, picks: np.ndarray) -> dict[str, np.ndarray]:
    """The differences of both correlations, first minus second, on samples [B, N] of the images."""
    ranks_y, of_y = ranks(y, picks), y[picks]
    return {
        "srcc": pearson(ranks(a, picks), ranks_y) - pearson(ranks(b, picks), ranks_y),
        "plcc": pearson(a[picks], of_y) - pearson(b[picks], of_y),
    }


def _of_bootstrap(differences: np.ndarray) -> dict:
    if not len(differences):
        return {"interval": None, "p_bootstrap": None}
    # One is added to both counts: a finite number of samples cannot give p = 0.
    tail = (1 + min((differences <= 0).sum(), (differences >= 0).sum())) / (1 + len(differences))
    return {
        "interval": interval(differences),
        "p_bootstrap": float(min(1, 2 * tail)),
    }
