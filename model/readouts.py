"""Readouts: how a score is read off a backbone's hidden states and logits; one function each.

What they need of the backbone: the hidden state [B, D] and the logits [B, V] at the position that predicts the token they read, and the
ids of the tokens that may stand there, worst to best. `read_digits` and `read_comparisons` need several such positions, said there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from model.compare2score import preferences, score_against_anchors
from model.distributions import Distribution, Normal, Pieces
from model.labels import intervals, level_values
from model.regressor import Regressor


@dataclass(frozen=True)
class Reading:
    """What a readout gives for a batch: score [B], expectation [B] (both on the scale), probabilities [B, K], token_mass [B]; and the
    distribution of the score, from which scores can be sampled. A readout without tokens has K = 0 and a token_mass of 0."""

    score: torch.Tensor
    expectation: torch.Tensor
    probabilities: torch.Tensor
    token_mass: torch.Tensor
    distribution: Distribution

    @property
    def uncertainty(self) -> torch.Tensor:
        """The distribution's standard deviation [B], in units of the scale."""
        return self.distribution.std


def token_probabilities(logits: torch.Tensor, token_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [B, V] to the closed softmax over `token_ids` [K], [B, K], and those tokens' share [B] of the open softmax. In float32,
    whatever the model computes in: in half precision Q-Align's scores sit on a grid of 1/256."""
    logits = logits.float()
    chosen = logits[:, token_ids]
    return chosen.softmax(1), (chosen.logsumexp(1) - logits.logsumexp(1)).exp()


def over_levels(probabilities: torch.Tensor, scale: tuple[float, float]) -> Pieces:
    """The distribution that probabilities [B, K] give the levels' values: Q-Align's, and the one of which DeQA-Score takes the variance."""
    values = torch.tensor(level_values(scale, probabilities.shape[1]), device=probabilities.device)
    return Pieces(probabilities, values, torch.zeros_like(values))


def over_intervals(probabilities: torch.Tensor, scale: tuple[float, float]) -> Pieces:
    """The distribution of a score that lies in interval k with probabilities [B, K], anywhere within it equally likely."""
    spans = torch.tensor(intervals(scale, probabilities.shape[1]), device=probabilities.device)
    return Pieces(probabilities, spans.mean(1), spans[:, 1] - spans[:, 0])


def read_levels(logits: torch.Tensor, token_ids: torch.Tensor, scale: tuple[float, float]) -> Reading:
    """Q-Align (section 3.4), DeQA-Score, the paper's score tokens without a regressor, and with two words Q-Bench's binary softmax: the
    words' probabilities weigh values spread evenly from the scale's low end (worst word) to its high end (best word), 1, 2, 3, 4, 5 on a
    scale of 1 to 5. Score and expectation are the same number."""
    probabilities, mass = token_probabilities(logits, token_ids)
    found = over_levels(probabilities, scale)
    score = probabilities @ found.centres
    return Reading(score, score, probabilities, mass, found)


def read_score_token(
    hidden: torch.Tensor,
    logits: torch.Tensor,
    token_ids: torch.Tensor,
    scale: tuple[float, float],
    regressor: Callable[[torch.Tensor], torch.Tensor],
) -> Reading:
    """Q-Scorer (section 4): the score is regressed from the hidden state [B, D] that predicts the score token, and clamped to the scale.
    The expectation weighs the middle of each token's interval by its probability; the distribution is uniform within each. The regressor
    may be a hyper network, and the tokens level words (table 4: bare, or after a level word: mixed)."""
    probabilities, mass = token_probabilities(logits, token_ids)
    found = over_intervals(probabilities, scale)
    score = regressor(hidden).float().clamp(*scale)
    return Reading(score, probabilities @ found.centres, probabilities, mass, found)


def read_score_and_variance(
    hidden: torch.Tensor,
    logits: torch.Tensor,
    token_ids: torch.Tensor,
    scale: tuple[float, float],
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
    is: `std` is the RMSE that was measured on known pictures, the same for every picture."""
    score = head(hidden).float()
    none = score.new_zeros(len(score))
    return Reading(score, score, score.new_zeros(len(score), 0), none, Normal(score, torch.full_like(score, std)))


def read_digits(logits: torch.Tensor, figure_ids: Sequence[torch.Tensor], scale: tuple[float, float]) -> Reading:
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


def read_comparisons(
    logits: torch.Tensor, token_ids: torch.Tensor, anchors: torch.Tensor, scale: tuple[float, float]
) -> Reading:
    """Compare2Score: logits [B, A, V] at the position that predicts the comparison word (`token_ids`, from inferior to superior) of each
    picture with each of the anchors, whose MOS [A] are known. Clamped to the scale. probabilities and token_mass are means over the
    anchors."""
    batch, count, vocabulary = logits.shape
    chances, mass = token_probabilities(logits.reshape(batch * count, vocabulary), token_ids)
    chances, mass = chances.reshape(batch, count, -1), mass.reshape(batch, count)
    score, std = score_against_anchors(preferences(chances), anchors, scale)
    score = score.clamp(*scale)
    return Reading(score, score, chances.mean(1), mass.mean(1), Normal(score, std))
