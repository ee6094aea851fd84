"""Readouts: how a score is read off a backbone's hidden state and logits at the position that predicts the token."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from model.labels import intervals


@dataclass(frozen=True)
class Reading:
    """What a readout gives for a batch: score [B], expectation [B] (both on the scale), probabilities [B, K], token_mass [B]."""

    score: torch.Tensor
    expectation: torch.Tensor
    probabilities: torch.Tensor
    token_mass: torch.Tensor


def token_probabilities(logits: torch.Tensor, token_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [B, V] to the closed softmax over `token_ids` [K], [B, K], and those tokens' share [B] of the open softmax. In float32,
    whatever the model computes in: in half precision Q-Align's scores sit on a grid of 1/256."""
    logits = logits.float()
    chosen = logits[:, token_ids]
    return chosen.softmax(1), (chosen.logsumexp(1) - logits.logsumexp(1)).exp()


def read_levels(logits: torch.Tensor, token_ids: torch.Tensor, scale: tuple[float, float]) -> Reading:
    """Q-Align (section 3.4): the level words' probabilities weigh values spread evenly from the scale's low end (worst word) to its high
    end (best word), 1, 2, 3, 4, 5 on a scale of 1 to 5. Score and expectation are the same number."""
    probabilities, mass = token_probabilities(logits, token_ids)
    values = torch.linspace(*scale, len(token_ids), device=logits.device)
    score = probabilities @ values
    return Reading(score, score, probabilities, mass)


def read_score_token(
    hidden: torch.Tensor,
    logits: torch.Tensor,
    token_ids: torch.Tensor,
    scale: tuple[float, float],
    regressor: Callable[[torch.Tensor], torch.Tensor],
) -> Reading:
    """Q-Scorer (section 4): the score is regressed from the hidden state [B, D] that predicts the score token, and clamped to the scale.
    The expectation weighs the middle of each token's interval by its probability."""
    probabilities, mass = token_probabilities(logits, token_ids)
    middles = torch.tensor([(a + b) / 2 for a, b in intervals(scale, len(token_ids))], device=logits.device)
    score = regressor(hidden).float().clamp(*scale)
    return Reading(score, probabilities @ middles, probabilities, mass)
