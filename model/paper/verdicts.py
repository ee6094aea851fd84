"""Is one system better than another, over seeds and images? Pure functions over arrays.

The merit of one training is the mean of its SRCC and of its PLCC after the logistic fit: the two figures that the paper gives. Two things
move it: which weights and order the seed drew, and which images happen to be in the test set. Systems are compared within a seed and on
the same images, and both sources count:

    SE^2 = Var over seeds of the difference / seeds  +  Var over bootstrap draws of images of the difference's mean over seeds

The first has seeds - 1 degrees of freedom, the second practically endless ones; the interval is Student's with Welch and Satterthwaite's
number for their sum. What seed and image do together is in both terms, so that the interval is a little too wide rather than too narrow.

A claim is decided by the p-value of its difference after Holm's correction for the number of claims that are tested together. What is not
decided is open, and it is told apart whether the interval leaves room for a difference as large as the paper's. That two systems do
alike is a claim of its own, with a test of its own: two one-sided tests (TOST) against ±MARGIN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from model.evaluation.bootstrap import pearson, ranks, resample
from model.evaluation.metrics import fit_logistic, logistic, plcc, srcc

DRAWS = 400
FEWEST_SEEDS = 3  # from two seeds nothing is known of how far seeds differ
MARGIN = 0.01  # of merit: what differs by less does alike
LEVEL = 0.05
CONFIRMED, REFUTED = "confirmed", "refuted"
OPEN, SMALLER = "open", "open, but below the paper's size"
NOT_TESTABLE = "not testable here"


@dataclass(frozen=True)
class Measured:
    """One training on one test set: its SRCC, PLCC after the fit and their mean (merit), once on all images, and on each of the draws
    [DRAWS]; and the PLCC without the fit."""

    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    raw_plcc: float


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval, over seeds and images; of a single seed over images alone. p, two-sided, of the hypothesis
    that it is 0, and its 90 % interval; None where the single results are lost."""

    mean: float
    low: float
    high: float
    seeds: int
    p: float | None = None
    inner: tuple[float, float] | None = None

    @property
    def alike(self) -> bool:
        """Whether the 90 % interval lies within ±MARGIN, which is to say that both one-sided tests at LEVEL find the mean within; from
        seeds enough. Where it is not known the 95 % interval has to."""
        low, high = self.inner or (self.low, self.high)
        return self.seeds >= FEWEST_SEEDS and low > -MARGIN and high < MARGIN


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
    mean, error = float(values.mean()), float(np.sqrt(variance))
    reach, inner = (float(stats.t.ppf(1 - level, freedom)) * error for level in (LEVEL / 2, LEVEL))
    p = 2 * float(stats.t.sf(abs(mean) / error, freedom)) if error > 0 else float(mean == 0)
    return Estimate(mean, mean - reach, mean + reach, count, p, (mean - inner, mean + inner))


def difference(better: Sequence[Sequence[Measured]], worse: Sequence[Sequence[Measured]]) -> Estimate:
    """How far one system's merit is above another's. Each is given by seed and, within it, by test set; the mean over the test sets
    counts, images being drawn in each by itself."""
    pairs = [list(zip(*pair, strict=True)) for pair in zip(better, worse, strict=True)]
    values = [_mean([a.values["merit"] - b.values["merit"] for a, b in tests]) for tests in pairs]
    draws = [_mean([a.draws["merit"] - b.draws["merit"] for a, b in tests]) for tests in pairs]
    return estimate(values, draws)


def _mean(values: Sequence):
    return sum(values) / len(values)


def holm(values: Sequence[float]) -> list[float]:
    """p-values, corrected for their number after Holm (1979): the chance that any true hypothesis among them is rejected at a level stays
    below that level, however they depend on each other."""
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, n in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[n]))
        adjusted[n] = largest
    return adjusted


def verdict(found: Estimate, p: float | None, paper: float | None) -> str:
    """Of the claim that the difference is above zero, by its p-value after Holm, or by its interval where there is none: confirmed,
    refuted, or open; below the paper's size where the interval ends below the paper's own difference. With fewer than FEWEST_SEEDS seeds
    always open."""
    if found.seeds < FEWEST_SEEDS:
        return OPEN
    if p < LEVEL if p is not None else found.low > 0 or found.high < 0:
        return CONFIRMED if found.mean > 0 else REFUTED
    return SMALLER if paper is not None and found.high < paper else OPEN
