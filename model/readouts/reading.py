"""Readouts: how a score is read off a backbone's hidden states and logits; one function each, and `Readout`, which a backbone has.

What they need of the backbone: the hidden state [B, D] and the logits [B, V] at the position that predicts the token they read, and the
ids of the tokens that may stand there, worst to best. All is computed in float32, whatever the backbone computes in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from model.common.scale import Scale
from model.readouts.distributions import Distribution, Pieces
from model.readouts.levels import interval_index, intervals, level_values


@dataclass(frozen=True)
class Reading:
    """What a readout gives for a batch: score [B], expectation [B] (both on the scale), probabilities [B, K], token_mass [B]; and the
    distribution of the score. A readout without tokens has K = 0 and a token_mass of 0."""

    score: torch.Tensor
    expectation: torch.Tensor
    probabilities: torch.Tensor
    token_mass: torch.Tensor
    distribution: Distribution

    @property
    def uncertainty(self) -> torch.Tensor:
        """The distribution's standard deviation [B], in units of the scale."""
        return self.distribution.std


@dataclass(frozen=True)
class Readout:
    """How a backbone is read. tokens and token_ids [K]: worst to best. regressor: of a score_token readout, its weights in float32."""

    kind: Literal["score_token", "level"]
    tokens: tuple[str, ...]
    token_ids: torch.Tensor
    scale: Scale
    regressor: nn.Module | None = None

    def read(self, hidden: torch.Tensor, logits: torch.Tensor) -> Reading:
        """Hidden states [B, D] and logits [B, V] where the score token or level word is predicted, to what they say."""
        ids = self.token_ids.to(logits.device)
        if self.regressor is not None:
            return read_score_token(hidden, logits, ids, self.scale, self.regressor)
        return read_levels(logits, ids, self.scale)

    def predict(self, hidden: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """For training: scores [B], not clamped, and the variances [B] of the tokens' distribution (paper appendix C.1, the second way)."""
        found = over_levels(token_probabilities(logits, self.token_ids.to(logits.device))[0], self.scale)
        return found.mean if self.regressor is None else self.regressor(hidden.float()), found.variance

    def token_of(self, mos: float) -> str:
        """The token of the interval in which a MOS lies: what is taught of it."""
        return self.tokens[interval_index(mos, self.scale, len(self.tokens))]


def token_probabilities(logits: torch.Tensor, token_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [B, V] to the closed softmax over `token_ids` [K], [B, K], and those tokens' share [B] of the open softmax. In float32,
    whatever the model computes in: in half precision Q-Align's scores sit on a grid of 1/256."""
    logits = logits.float()
    chosen = logits[:, token_ids]
    return chosen.softmax(1), (chosen.logsumexp(1) - logits.logsumexp(1)).exp()


def over_levels(probabilities: torch.Tensor, scale: Scale) -> Pieces:
    """The distribution that probabilities [B, K] give the levels' values: Q-Align's, and the one of which DeQA-Score takes the variance."""
    values = torch.tensor(level_values(scale, probabilities.shape[1]), device=probabilities.device)
    return Pieces(probabilities, values, torch.zeros_like(values))


def over_intervals(probabilities: torch.Tensor, scale: Scale) -> Pieces:
    """The distribution of a score that lies in interval k with probabilities [B, K], anywhere within it equally likely."""
    spans = torch.tensor(intervals(scale, probabilities.shape[1]), device=probabilities.device)
    return Pieces(probabilities, spans.mean(1), spans[:, 1] - spans[:, 0])


def read_levels(logits: torch.Tensor, token_ids: torch.Tensor, scale: Scale) -> Reading:
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
    scale: Scale,
    regressor: Callable[[torch.Tensor], torch.Tensor],
) -> Reading:
    """Q-Scorer (section 4): the score is regressed from the hidden state [B, D] that predicts the score token, and clamped to the scale.
    The expectation weighs the middle of each token's interval by its probability; the distribution is uniform within each. The regressor
    may be a hyper network, and the tokens level words (table 4: bare, or after a level word: mixed)."""
    probabilities, mass = token_probabilities(logits, token_ids)
    found = over_intervals(probabilities, scale)
    score = regressor(hidden.float()).clamp(*scale)
    return Reading(score, probabilities @ found.centres, probabilities, mass, found)
