"""Is one system better than another, over seeds and images? Pure functions over arrays.

The merit of one training is the mean of its SRCC and of its PLCC after the logistic fit: the two figures that the paper gives. Two things
move it: which weights and order the seed drew, and which images happen to be in the test set. Systems are compared within a seed and on
the same images, and both sources count:

    SE^2 = Var over seeds of the difference / seeds  +  Var over bootstrap draws of images of the difference's mean over seeds

The first has seeds - 1 degrees of freedom, the second practically endless ones; the interval is Student's with Welch and Satterthwaite's
number for their sum. What seed and image do together is in both terms, so that the interval is a little too wide rather than too narrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from model.evaluation.bootstrap import pearson, ranks, resample
from model.evaluation.metrics import fit_logistic, logistic, plcc, srcc

DRAWS = 400
FEWEST_SEEDS = 3  # from two seeds nothing is known of how far seeds differ
FIGURES = ("srcc", "plcc", "merit")
CONFIRMED, REFUTED, UNDECIDED = "confirmed", "refuted", "undecided"


@dataclass(frozen=True)
class Measured:
    """One training on one test set: its SRCC, PLCC after the fit and their mean (merit), once on all images, and on each of the draws
    [DRAWS]; and the PLCC without the fit."""

    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    raw_plcc: float


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval, over seeds and images; of a single seed over images alone."""

    mean: float
    low: float
    high: float
    seeds: int


def measure(scores: Sequence[float], mos: Sequence[float]) -> Measured:
    """The figures of one training's scores. The logistic is fitted once, on all images; where that fails the scores stay as they are. The
    draws depend on the number of images alone, so that those of two systems are the same."""
    x, y = np.asarray(scores, float), np.asarray(mos, float)
    parameters = fit_logistic(x, y)
    fitted = x if parameters is None else logistic(x, *parameters)
    values = {"srcc": srcc(x, y), "plcc": plcc(fitted, y)}
    draws = resample(
        lambda picks: {
            "srcc": pearson(ranks(x, picks), ranks(y, picks)),
            "plcc": pearson(fitted[picks], y[picks]),
        },
        len(y),
        DRAWS,
    )
    return Measured(_with_merit(values), _with_merit(draws), plcc(x, y))


def _with_merit(figures: dict) -> dict:
    return {name: np.nan_to_num(value) for name, value in figures.items()} | {
        "merit": (np.nan_to_num(figures["srcc"]) + np.nan_to_num(figures["plcc"])) / 2
    }  # scores that are all equal have no correlation, and no merit


def estimate(values: Sequence[float], draws: Sequence[np.ndarray]) -> Estimate:
    """values [S]: a figure of each seed; draws [S, R]: the same on draws of images."""
    values, count = np.asarray(values, float), len(values)
    of_images = np.var(np.mean(draws, axis=0), ddof=1)
    of_seeds = np.var(values, ddof=1) / count if count > 1 else 0.0
    variance = of_seeds + of_images
    freedom = (count - 1) * (variance / of_seeds) ** 2 if of_seeds > 0 else np.inf
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    mean = float(values.mean())
    return Estimate(mean, float(mean - reach), float(mean + reach), count)


def difference(
    better: Sequence[Sequence[Measured]], worse: Sequence[Sequence[Measured]], figure: str = "merit"
) -> Estimate:
    """How far one system's figure is above another's. Each is given by seed and, within it, by test set; the mean over the test sets
    counts, images being drawn in each by itself."""
    pairs = [list(zip(*pair, strict=True)) for pair in zip(better, worse, strict=True)]
    values = [_mean([a.values[figure] - b.values[figure] for a, b in tests]) for tests in pairs]
    draws = [_mean([a.draws[figure] - b.draws[figure] for a, b in tests]) for tests in pairs]
    return estimate(values, draws)


def _mean(values: Sequence):
    return sum(values) / len(values)


def verdict(found: Estimate) -> str:
    """Of the claim that the difference is above zero: confirmed or refuted where the whole interval is on one side of zero, else undecided;
    with fewer than FEWEST_SEEDS seeds always undecided."""
    if found.seeds < FEWEST_SEEDS:
        return UNDECIDED
    if found.low > 0:
        return CONFIRMED
    return REFUTED if found.high < 0 else UNDECIDED
