"""Readouts: from a backbone's hidden states and logits to a score; one function for each kind, and `Readout`, an attribute of a backbone.

Inputs: the hidden state [B, D] and the logits [B, V] at the position that predicts the token to be read, and the ids of the possible
tokens there, worst to best. All computation is in float32, whatever the backbone's dtype.
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
    """The output of a readout for a batch: score [B] and expectation [B] on the scale, probabilities [B, K], token_mass [B], and the
    score's distribution. A readout without tokens has K = 0 and token_mass 0."""

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
    """How scores are read off a backbone. tokens and token_ids [K]: worst to best. regressor: of a score_token readout, in float32."""

    kind: Literal["score_token", "level"]
    tokens: tuple[str, ...]
    token_ids: torch.Tensor
    scale: Scale
    regressor: nn.Module | None = None

    def read(self, hidden: torch.Tensor, logits: torch.Tensor) -> Reading:
        """Scores from hidden states [B, D] and logits [B, V] at the position that predicts the score token or level word."""
        ids = self.token_ids.to(logits.device)
        if self.regressor is not None:
            return read_score_token(hidden, logits, ids, self.scale, self.regressor)
        return read_levels(logits, ids, self.scale)

    def predict(self, hidden: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """For training: scores [B], not clamped, and the variances [B] of the token distribution (paper appendix C.1, second method)."""
        found = over_levels(token_probabilities(logits, self.token_ids.to(logits.device))[0], self.scale)
        return found.mean if self.regressor is None else self.regressor(hidden.float()), found.variance

    def token_of(self, mos: float) -> str:
        """The token of the interval that contains a MOS: its training target."""
        return self.tokens[interval_index(mos, self.scale, len(self.tokens))]


def token_probabilities(logits: torch.Tensor, token_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [B, V] to the softmax over `token_ids` [K] alone, [B, K], and those tokens' total probability [B] in the whole vocabulary. In
    float32, whatever the model's dtype: in half precision Q-Align's scores are multiples of 1/256."""
    logits = logits.float()
    chosen = logits[:, token_ids]
    return chosen.softmax(1), (chosen.logsumexp(1) - logits.logsumexp(1)).exp()


def over_levels(probabilities: torch.Tensor, scale: Scale) -> Pieces:
    """The distribution over the level values with probabilities [B, K]: Q-Align's, whose variance DeQA-Score uses."""
    values = torch.tensor(level_values(scale, probabilities.shape[1]), device=probabilities.device)
    return Pieces(probabilities, values, torch.zeros_like(values))


def over_intervals(probabilities: torch.Tensor, scale: Scale) -> Pieces:
    """The distribution of a score that lies in interval k with probabilities [B, K], uniform within each interval."""
    spans = torch.tensor(intervals(scale, probabilities.shape[1]), device=probabilities.device)
    return Pieces(probabilities, spans.mean(1), spans[:, 1] - spans[:, 0])


def read_levels(logits: torch.Tensor, token_ids: torch.Tensor, scale: Scale) -> Reading:
    """Q-Align (section 3.4), DeQA-Score, the paper's score tokens without a regressor, and with two words Q-Bench's binary softmax: the sum
    of the level values (1, 2, 3, 4, 5 on the scale 1 to 5), weighted by the words' probabilities. Score and expectation are equal."""
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
    The expectation is the sum of the intervals' middles, weighted by the tokens' probabilities; the distribution is uniform within each
    interval. In table 4 the regressor is a hyper network in some rows, and the tokens are level words, alone or before score tokens."""
    probabilities, mass = token_probabilities(logits, token_ids)
    found = over_intervals(probabilities, scale)
    score = regressor(hidden.float()).clamp(*scale)
    return Reading(score, probabilities @ found.centres, probabilities, mass, found)
