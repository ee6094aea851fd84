"""DeQA-Score's method: soft labels from MOS and its spread, and the losses between pairs of pictures; pure functions.

Source: You et al., "Teaching Large Language Models to Regress Accurate Image Quality Scores using Score Distribution" (DeQA-Score). Levels
run from worst to best, as everywhere here, and have the values 1 to 5.
"""

import math

import torch
import torch.nn.functional as F

VALUES = (1.0, 2.0, 3.0, 4.0, 5.0)
MIN_STD, MAX_SHIFT = 0.2, 0.1  # below and above these the labels are interpolated between two levels
NEXT_TOKEN_WEIGHT = 0.05  # of the next-token loss of each of the two pictures
EPS = 1e-8


def soft_label(mos: float, std: float, by_area: bool) -> list[float]:
    """Probabilities of the five levels, worst to best, for a MOS and its standard deviation on the scale 1 to 5.

    by_area: the normal distribution's area within half a level (as for SPAQ) instead of its density at the level (KonIQ, KADID). A linear
    correction makes sum and mean right; what it takes below zero is cut off, so that the sum may come out a little off 1.
    """
    raw = [level_area(v, mos, std) if by_area else level_density(v, mos, std) for v in VALUES]
    total, first = sum(raw), sum(p * v for p, v in zip(raw, VALUES, strict=True))
    alpha = (mos - 3) / (first - 3 * total + 1e-9)
    beta = (1 - alpha * total) / 5
    corrected = [max(alpha * p + beta, 0.0) for p in raw]
    shift = abs(sum(p * v for p, v in zip(corrected, VALUES, strict=True)) - mos)
    if std < MIN_STD or shift > MAX_SHIFT:
        return [max(0.0, 1 - abs(mos - v)) for v in VALUES]
    return corrected


def level_density(value: float, mean: float, std: float) -> float:
    return math.exp(-0.5 * ((value - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def level_area(value: float, mean: float, std: float) -> float:
    below, above = ((value + side - mean) / (std * math.sqrt(2)) for side in (-0.5, 0.5))
    return 0.5 * (math.erf(above) - math.erf(below))


def soft_cross_entropy(
    logits: torch.Tensor, ids: torch.Tensor, level_ids: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The next-token loss: cross-entropy of the supervised tokens (logits [N, V], ids [N]) but the level words, and the Kullback-Leibler
    divergence of the open softmax from the soft labels [B, 5] there; in nats."""
    is_level = torch.isin(ids, level_ids)
    target = torch.zeros(len(labels), logits.shape[1], dtype=logits.dtype, device=logits.device)
    target[:, level_ids] = labels
    divergence = F.kl_div(logits[is_level].log_softmax(1), target, reduction="batchmean")
    return F.cross_entropy(logits[~is_level], ids[~is_level]) + divergence


def spread(logits: torch.Tensor, level_ids: torch.Tensor, closed: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Score [B] and standard deviation [B] that logits [B, V] give the levels.

    closed: by the softmax over the levels; else by their part of the softmax over all tokens, which sums to less than 1.
    """
    probabilities = logits[:, level_ids].softmax(1) if closed else logits.softmax(1)[:, level_ids]
    values = torch.tensor(VALUES, dtype=logits.dtype, device=logits.device)
    score = probabilities @ values
    return score, (probabilities * (values - score[:, None]).square()).sum(1).sqrt()


def preference(mean_a: torch.Tensor, mean_b: torch.Tensor, variance: torch.Tensor | float = 2.0) -> torch.Tensor:
    """How probable it is that A is better than B (Thurstone): `variance` is of the difference, 2 where each has 1."""
    difference = (mean_a - mean_b) / torch.as_tensor(variance, dtype=mean_a.dtype).sqrt()
    return 0.5 * (1 + torch.erf(difference / math.sqrt(2)))


def fidelity(predicted: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """The fidelity loss between probabilities [B] of a preference: 0 where they agree."""
    agreement = (predicted * expected + EPS).sqrt() + ((1 - predicted) * (1 - expected) + EPS).sqrt()
    return (1 - agreement).mean()


def binary_fidelity(predicted: torch.Tensor, better: torch.Tensor) -> torch.Tensor:
    """The fidelity loss where it is only known whether A is better (bool [B]), not how surely."""
    return (1 - (torch.where(better, predicted, 1 - predicted) + EPS).sqrt()).mean()


def off_level_mass(logits: torch.Tensor, level_ids: torch.Tensor) -> torch.Tensor:
    """The in-level loss: the mean probability that is on no level word, at least 0.01."""
    return (1 - logits.softmax(1)[:, level_ids].sum(1).mean()).clamp(min=0.01)
