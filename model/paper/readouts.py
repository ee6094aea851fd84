"""Readouts of the paper's other systems: a regressor with a variance, a linear layer, digits, comparisons, a hyper network."""

from collections.abc import Callable, Sequence

import torch

from model.common.scale import Scale
from model.paper.compare2score import preferences, score_against_anchors
from model.readouts.distributions import Normal, Pieces
from model.readouts.reading import Reading, read_score_token, token_probabilities
from model.readouts.regressor import Regressor


def read_score_and_variance(
    hidden: torch.Tensor,
    logits: torch.Tensor,
    token_ids: torch.Tensor,
    scale: Scale,
    regressor: Regressor,
) -> Reading:
    """Q-Scorer with a regressor of two outputs (appendix C.1): as `read_score_token`, but the distribution is normal, with the variance
    that is regressed beside the score."""
    reading = read_score_token(hidden, logits, token_ids, scale, regressor)
    variance = regressor.score_and_variance(hidden)[1].float()
    found = Normal(reading.score, variance.sqrt())
    return Reading(reading.score, reading.expectation, reading.probabilities, reading.token_mass, found)


def read_linear(hidden: torch.Tensor, head: Callable[[torch.Tensor], torch.Tensor], std: float) -> Reading:
    """VideoScore: a linear layer on the last hidden state [B, D] of the prompt, unclamped; no token is read. It says nothing of how sure it
    is: `std` is the RMSE that was measured on known images, the same for every image."""
    score = head(hidden).float()
    none = score.new_zeros(len(score))
    return Reading(score, score, score.new_zeros(len(score), 0), none, Normal(score, torch.full_like(score, std)))


def read_digits(logits: torch.Tensor, figure_ids: Sequence[torch.Tensor], scale: Scale) -> Reading:
    """RealQA: the score is the number that is written greedily, figure by figure, clamped to the scale.

    logits [B, S, V] at the positions that predict its S figures (the point is not among them), each read after the likeliest figures before
    it; figure_ids: for each position the ids of its figures: the first from int(scale low) to int(scale high), the others 0 to 9. The
    distribution knows where the figures that were not chosen would have led to within their interval only. probabilities and token_mass
    are of the first figure.
    """
    low, high = scale
    start = torch.full(logits.shape[:1], float(int(low)), device=logits.device)  # of what the figures so far leave open
    reached = torch.ones_like(start)  # how probable they are together
    parts, edges, ends, first = [], [], [], None
    for place, ids in enumerate(figure_ids):
        chances, mass = token_probabilities(logits[:, place], ids)
        first = first or (chances, mass)
        step = 10.0**-place
        left = start[:, None] + step * torch.arange(len(ids), device=logits.device)
        best = chances.argmax(1)
        joint = reached[:, None] * chances
        start = left.gather(1, best[:, None])[:, 0]
        if place < len(figure_ids) - 1:  # the chosen one is divided further
            reached = joint.gather(1, best[:, None])[:, 0]
            joint = joint.scatter(1, best[:, None], 0.0)
            ends.append(left + step)
        else:  # a number of two decimals stands for what is rounded to it
            left, chosen = left - step / 2, start
            ends.append(left + step)
        parts.append(joint)
        edges.append(left)
    left, right = torch.cat(edges, 1).clamp(low, high), torch.cat(ends, 1).clamp(low, high)
    found = Pieces(torch.cat(parts, 1), (left + right) / 2, right - left)
    return Reading(chosen.clamp(low, high), found.mean, *first, found)


def read_comparisons(logits: torch.Tensor, token_ids: torch.Tensor, anchors: torch.Tensor, scale: Scale) -> Reading:
    """Compare2Score: logits [B, A, V] at the position that predicts the comparison word (`token_ids`, from inferior to superior) of each
    image with each of the anchors, whose MOS [A] are known. Clamped to the scale. probabilities and token_mass are means over the
    anchors."""
    batch, count, vocabulary = logits.shape
    chances, mass = token_probabilities(logits.reshape(batch * count, vocabulary), token_ids)
    chances, mass = chances.reshape(batch, count, -1), mass.reshape(batch, count)
    score, std = score_against_anchors(preferences(chances), anchors, scale)
    score = score.clamp(*scale)
    return Reading(score, score, chances.mean(1), mass.mean(1), Normal(score, std))
