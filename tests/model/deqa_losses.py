"""DeQA-Score's loss as its program puts it together, on pairs of pictures, from the losses in model/losses.py.

Source: You et al., "Teaching Large Language Models to Regress Accurate Image Quality Scores using Score Distribution" (DeQA-Score). Its
soft labels are model.labels.soft_label, its fidelity loss model.losses.fidelity. Levels run from worst to best and have the values 1 to 5.
"""

import torch
import torch.nn.functional as F

from model.labels import level_values
from model.losses import EPS, soft_label_divergence

NEXT_TOKEN_WEIGHT = 0.05  # of the next-token loss of each of the two pictures


def soft_cross_entropy(
    logits: torch.Tensor, ids: torch.Tensor, level_ids: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The next-token loss: cross-entropy of the supervised tokens (logits [N, V], ids [N]) but the level words, and the Kullback-Leibler
    divergence of the open softmax from the soft labels [B, 5] there; in nats."""
    is_level = torch.isin(ids, level_ids)
    divergence = soft_label_divergence(logits[is_level], level_ids, labels)
    return F.cross_entropy(logits[~is_level], ids[~is_level]) + divergence


def spread(logits: torch.Tensor, level_ids: torch.Tensor, closed: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Score [B] and standard deviation [B] that logits [B, V] give the levels.

    closed: by the softmax over the levels; else by their part of the softmax over all tokens, which sums to less than 1.
    """
    probabilities = logits[:, level_ids].softmax(1) if closed else logits.softmax(1)[:, level_ids]
    values = torch.tensor(level_values((1.0, 5.0), len(level_ids)), dtype=logits.dtype, device=logits.device)
    score = probabilities @ values
    return score, (probabilities * (values - score[:, None]).square()).sum(1).sqrt()


def binary_fidelity(predicted: torch.Tensor, better: torch.Tensor) -> torch.Tensor:
    """The fidelity loss where it is only known whether A is better (bool [B]), not how surely."""
    return (1 - (torch.where(better, predicted, 1 - predicted) + EPS).sqrt()).mean()


def off_level_mass(logits: torch.Tensor, level_ids: torch.Tensor) -> torch.Tensor:
    """The in-level loss: the mean probability that is on no level word, at least 0.01."""
    return (1 - logits.softmax(1)[:, level_ids].sum(1).mean()).clamp(min=0.01)
