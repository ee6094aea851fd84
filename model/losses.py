"""What training minimises; pure functions of tensors."""

import torch
import torch.nn.functional as F

NORM_IN_NORM_WEIGHT = 0.5  # paper appendix C.2


def answer_cross_entropy(logits: torch.Tensor, answer_ids: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the answer: logits [B, A, V] at the positions that predict the answer's ids [B, A].

    Summed over the answer and averaged over the batch, in nats a picture: the words that never change cost nothing once learned, and
    what remains is the cross-entropy of the score token or level word.
    """
    return F.cross_entropy(logits.flatten(0, 1), answer_ids.flatten(), reduction="sum") / len(logits)


def squared_error(scores: torch.Tensor, mos: torch.Tensor) -> torch.Tensor:
    """Mean squared error of scores [B] against MOS [B], in squared units of the scale.

    Not clamped to the scale before the difference, as the released Q-Scorer does: a score outside would then have no gradient.
    """
    return F.mse_loss(scores, mos)


def norm_in_norm(scores: torch.Tensor, mos: torch.Tensor) -> torch.Tensor:
    """The norm-in-norm loss of scores [B] against MOS [B] (paper eqs. 29 and 30; Li, Jiang & Jiang 2020, with p = 1, q = 2).

    Both are centred and divided by their L2 norm; the mean absolute difference is scaled so that 1 is its upper bound. It is 0
    when scores are a rising linear function of the MOS.
    """
    eps = 1e-8

    def normalise(values: torch.Tensor) -> torch.Tensor:
        values = values - values.mean()
        return values / (values.norm() + eps)

    return (normalise(scores) - normalise(mos)).abs().sum() / (2 * len(scores) ** 0.5)


def regression_loss(scores: torch.Tensor, mos: torch.Tensor) -> torch.Tensor:
    """What teaches Q-Scorer's regressor: squared error of scores [B] against MOS [B], and half the norm-in-norm loss."""
    return squared_error(scores, mos) + NORM_IN_NORM_WEIGHT * norm_in_norm(scores, mos)
