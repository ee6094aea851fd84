"""The bootstrap over images for all figures with an interval. Pure functions over arrays, vectorised over samples.

A sample is a row of `picks` [B, N]: N positions, drawn with replacement. The draws depend only on N and the number of samples, so two
systems on the same images are compared on the same samples.

Ranks within a sample are computed from how often each value was drawn, and Kendall's tau by a matrix product, without sorting. The
latter takes N^2 operations per sample: a second per thousand samples of 4,000 images. scipy.stats.bootstrap would compute ranks by sorting
every sample, and has no such shortcut.
"""

from collections.abc import Callable, Mapping

import numpy as np

RESAMPLES = 1000
FEWEST_FOR_INTERVALS = 10  # images; with fewer, resampling is meaningless
AT_ONCE = 2**21  # numbers in an array [B, N]: 16 MB
COLUMNS = 512  # of Kendall's matrix in memory at a time


def resample(
    figures: Callable[[np.ndarray], Mapping[str, np.ndarray]], n: int, resamples: int = RESAMPLES
) -> dict[str, np.ndarray]:
    """The values of `figures` on samples of n images: arrays [resamples] by name. figures: from picks [B, n] to arrays [B] by name."""
    random = np.random.default_rng(0)
    rows = max(1, AT_ONCE // n)
    parts = [figures(random.integers(n, size=(min(rows, resamples - at), n))) for at in range(0, resamples, rows)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def interval(values: np.ndarray) -> list[float] | None:
    """The 95 % percentile interval [low, high] of the finite values; None if there are none. Samples of equal values give NaN."""
    defined = values[np.isfinite(values)]
    return [float(end) for end in np.percentile(defined, [2.5, 97.5])] if defined.size else None


def pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row of x and y [B, N]: [B], NaN where either row is constant."""
    constant = (np.ptp(x, 1) == 0) | (np.ptp(y, 1) == 0)
    x, y = (values - values.mean(1, keepdims=True) for values in (x, y))
    length = np.sqrt(np.einsum("bn,bn->b", x, x) * np.einsum("bn,bn->b", y, y))
    usable = ~constant & (length > 0)
    product = np.einsum("bn,bn->b", x, y)
    return np.clip(np.divide(product, length, out=np.full(len(x), np.nan), where=usable), -1, 1)


def ranks(values: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """The ranks of values [N] within each sample [B, N]; ties share their mean rank."""
    order, counts = _counted(values, picks)
    mean_ranks = counts.cumsum(1) - (counts - 1) / 2  # of each distinct value
    return np.take_along_axis(mean_ranks, order[picks], 1)


def kendall(x: np.ndarray, y: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of x and y [N] within each sample: [B], NaN where either is constant."""
    n = len(x)
    (order_x, counts_x), (order_y, counts_y) = _counted(x, picks), _counted(y, picks)
    drawn = _counted(np.arange(n), picks)[1].astype(np.float32)  # whole numbers below 2^24, which float32 holds exactly
    agreeing = np.zeros(len(picks))  # twice (concordant minus discordant pairs)
    for at in range(0, n, COLUMNS):
        columns = slice(at, at + COLUMNS)
        signs = np.sign(order_x[:, None] - order_x[columns]) * np.sign(order_y[:, None] - order_y[columns])
        agreeing += np.einsum("bn,bn->b", drawn @ signs.astype(np.float32), drawn[:, columns], dtype=float)
    untied = [n * (n - 1) - (counts * (counts - 1)).sum(1) for counts in (counts_x, counts_y)]
    length = np.sqrt(untied[0]) * np.sqrt(untied[1])
    return np.divide(agreeing, length, out=np.full(len(picks), np.nan), where=length > 0)


def _counted(values: np.ndarray, picks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The index [N] of each value among the K distinct ones, and how often each of these is drawn in each sample [B, K]."""
    distinct, order = np.unique(values, return_inverse=True)
    rows = np.arange(len(picks))[:, None] * len(distinct)
    counts = np.bincount((order[picks] + rows).ravel(), minlength=len(picks) * len(distinct))
    return order, counts.reshape(len(picks), len(distinct))
