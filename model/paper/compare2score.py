"""Compare2Score: from comparisons of an image with anchors whose MOS is known to its score.

Source: Zhu et al., "Adaptive Image Quality Assessment via Teaching Large Multimodal Model to Compare" (Compare2Score). It finds the
scores of image and anchors together on a scale of its own, from a matrix of preferences; here the anchors keep their MOS, so that the
score comes out on their scale and each image is one concave problem in one unknown. (choix, the usual library for pairs, takes whole
comparisons won and lost and lets no item's score be known.)
"""

import math
from collections.abc import Sequence

import torch

from model.common.scale import Scale
from model.paper.labels import COMPARISONS
from model.readouts.levels import interval_index, middles

WEIGHTS = tuple(n / (len(COMPARISONS) - 1) for n in range(len(COMPARISONS)))  # inferior 0 ... superior 1
ANCHORS = 5
HALVINGS = 40  # of an interval three scales wide: exact to float32


def choose_anchors(mos: Sequence[float], scale: Scale) -> list[int]:
    """Positions of at most ANCHORS anchors, worst to best: in each of as many intervals of the scale the image nearest to the middle
    (Compare2Score section 3.3 takes the one on which raters agree most: BIQ2021 does not say). An interval without images gives none."""
    centres, best = middles(scale, ANCHORS), {}
    for n, value in enumerate(mos):
        place = interval_index(value, scale, ANCHORS)
        fault = abs(value - centres[place])
        if place not in best or fault < best[place][0]:
            best[place] = (fault, n)
    return [best[place][1] for place in sorted(best)]


def preferences(probabilities: torch.Tensor) -> torch.Tensor:
    """Probabilities [..., 5] of the comparison words, worst to best, to how probable the image is better than the anchor [...]."""
    return probabilities @ torch.tensor(WEIGHTS, dtype=probabilities.dtype, device=probabilities.device)


def score_against_anchors(
    preferred: torch.Tensor, anchors: torch.Tensor, scale: Scale
) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores [B] that best explain how probable each image is better than each anchor, preferred [B, A], under Thurstone's model, and
    their standard deviations [B]; both in units of the scale, which anchors [A] (their MOS) are on too.

    The maximum a posteriori estimate: prior N(middle of the scale, (half its width)^2), P(better) = Phi((score - anchor) / noise).
    noise, the std of the difference between two opinions, is taken to be a quarter of the scale's width. The std is that of the normal
    distribution that touches the posterior at its top.
    """
    low, high = scale
    middle, width = (low + high) / 2, high - low
    noise = width / 4
    below, above = (
        torch.full(preferred.shape[:1], end, device=preferred.device) for end in (low - width, high + width)
    )

    def slope_and_curvature(score: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = (score[:, None] - anchors) / noise
        won, lost = hazard(z), hazard(-z)
        slope = (preferred * won - (1 - preferred) * lost).sum(1) / noise - (score - middle) / (width / 2) ** 2
        bend = (preferred * won * (won + z) + (1 - preferred) * lost * (lost - z)).sum(1)
        return slope, bend / noise**2 + 1 / (width / 2) ** 2

    for _ in range(HALVINGS):  # the posterior is concave: its slope falls and crosses zero once
        score = (below + above) / 2
        rising = slope_and_curvature(score)[0] > 0
        below, above = torch.where(rising, score, below), torch.where(rising, above, score)
    return score, slope_and_curvature(score)[1].rsqrt()


def hazard(z: torch.Tensor) -> torch.Tensor:
    """The derivative of log Phi: the normal density over Phi, without overflow far below zero."""
    return (-0.5 * z.square() - 0.5 * math.log(2 * math.pi) - torch.special.log_ndtr(z)).exp()
