"""The training objective: losses by name, their inputs, and their weighted sum."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from model.common.scale import Scale
from model.readouts import losses


@dataclass(frozen=True)
class Taught:
    """The inputs of the losses for a batch of B images; None for what a system does not have.

    answer_logits [B, A, V] at the positions that predict answer_ids [B, A]; token_at: the index within A of the token that is read;
    token_ids [K]: the possible tokens there; soft_labels [B, K]; scale: of scores and MOS; scores and variances [B]: predicted, not
    clamped; mos and stds [B]: of the labels; groups [B]: the data set of each image; weights [B]: how much each label counts.
    """

    mos: torch.Tensor
    answer_logits: torch.Tensor | None = None
    answer_ids: torch.Tensor | None = None
    token_at: int = 0
    token_ids: torch.Tensor | None = None
    soft_labels: torch.Tensor | None = None
    scale: Scale | None = None
    scores: torch.Tensor | None = None
    variances: torch.Tensor | None = None
    stds: torch.Tensor | None = None
    groups: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    @property
    def token_logits(self) -> torch.Tensor:
        """Logits [B, V] at the position that predicts the token that is read."""
        return self.answer_logits[:, self.token_at]


def _but_token(t: Taught) -> torch.Tensor:
    others = [n for n in range(t.answer_ids.shape[1]) if n != t.token_at]
    return losses.cross_entropy(t.answer_logits[:, others], t.answer_ids[:, others], t.weights)


LOSSES: dict[str, Callable[[Taught], torch.Tensor]] = {
    "cross_entropy": lambda t: losses.cross_entropy(t.answer_logits, t.answer_ids, t.weights),
    "answer_cross_entropy": lambda t: losses.answer_cross_entropy(t.answer_logits, t.answer_ids, t.weights),
    "cross_entropy_but_token": _but_token,  # DeQA-Score: the token is trained by the soft label
    "squared_error": lambda t: losses.squared_error(t.scores, t.mos, None, t.weights),
    "clamped_squared_error": lambda t: losses.squared_error(t.scores, t.mos, t.scale, t.weights),
    "soft_label_divergence": lambda t: losses.soft_label_divergence(
        t.token_logits, t.token_ids, t.soft_labels, t.weights
    ),
    "norm_in_norm": lambda t: losses.norm_in_norm_within(t.scores, t.mos, t.groups, t.weights),
    "ranking": lambda t: losses.ranking(t.scores, t.mos, t.groups, t.weights),
    "fidelity": lambda t: losses.pair_fidelity(t.scores, t.mos, t.variances, t.stds, t.groups, t.weights),
    "unit_fidelity": lambda t: losses.pair_fidelity(
        t.scores, t.mos, None, t.stds, t.groups, t.weights
    ),  # DeQA-Score: each variance is 1
    "token_mass": lambda t: losses.token_mass_loss(t.token_logits, t.token_ids),
    "calibration": lambda t: losses.calibration(t.scores, t.variances, t.mos, t.weights),
}

# nano's: the answer's cross-entropy is summed, so that the score token has the same weight as the squared error.
BALANCED_LEVELS = {"answer_cross_entropy": 1.0}
BALANCED = BALANCED_LEVELS | {"squared_error": 1.0, "norm_in_norm": losses.NORM_IN_NORM_WEIGHT}


def weighted_sum(weights: Mapping[str, float], taught: Taught) -> tuple[torch.Tensor, dict[str, float]]:
    """The weighted sum of the named losses, and each one's unweighted value. Raises ValueError for an unknown name."""
    unknown = next((name for name in weights if name not in LOSSES), None)
    if unknown is not None:
        raise ValueError(f"there is no loss '{unknown}': use some of {', '.join(LOSSES)}")
    parts = {name: LOSSES[name](taught) for name in weights}
    total = sum(weight * parts[name] for name, weight in weights.items())
    return total, {name: part.item() for name, part in parts.items()}
