"""Scores from comparisons of two images."""

from dataclasses import dataclass

import choix
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from annotations.mos import CONFIDENCE

# Half a comparison, divided among all pairs of an image, that it wins and loses: an image that won all its comparisons has a score.
PRIOR = 0.5


@dataclass(frozen=True)
class BradleyTerry:
    """Per image a score, whose mean is 0: i beats j with the probability 1 / (1 + exp(score[j] - score[i])); and half the width of its 95 %
    interval. NaN for an image that was never compared."""

    score: NDArray[np.float64]
    half: NDArray[np.float64]


def bradley_terry(wins: NDArray) -> BradleyTerry:
    """Of a matrix in which wins[i, j] counts how often i was preferred to j; a tie is half a win of each.

    The scores maximise the likelihood by choix's iterative Luce spectral ranking; the intervals come from the information matrix there.
    """
    compared = (wins.sum(0) + wins.sum(1)) > 0
    some = wins[np.ix_(compared, compared)].astype(float)
    count = len(some)
    score = half = np.full(len(wins), np.nan)
    if count < 2:
        return BradleyTerry(score, half)
    some += PRIOR / (count - 1) * (1 - np.eye(count))
    found = choix.ilsr_pairwise_dense(some, max_iter=10_000, tol=1e-8)
    found -= found.mean()
    beats = expit(found[:, None] - found[None, :])
    information = -(some + some.T) * beats * (1 - beats)
    np.fill_diagonal(information, 0)
    np.fill_diagonal(information, -information.sum(1))
    variance = np.diag(np.linalg.pinv(information, hermitian=True))  # of scores whose sum is held at 0
    score, half = score.copy(), half.copy()
    score[compared], half[compared] = found, ndtri((1 + CONFIDENCE) / 2) * np.sqrt(variance)
    return BradleyTerry(score, half)
