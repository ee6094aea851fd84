"""Loss functions: pure functions of tensors, each a mean over the batch.

Scores, MOS and standard deviations are in units of one scale; logits cover the whole vocabulary V. Nothing is rounded or clamped unless
stated. model/readouts/objective.py names the losses and has their proportions.

weights [B]: how much each image's label counts, by its reliability; None: all alike. Means over images become weighted means; norm-in-norm
takes weighted means and norms; a pair of images counts by the product of their weights. The token mass does not depend on labels.
"""

import math

import torch
import torch.nn.functional as F

from model.common.scale import Scale
from model.readouts.regressor import LEAST_VARIANCE

NORM_IN_NORM_WEIGHT = 0.5  # paper appendix C.2
MARGIN = 0.1  # of the ranking loss, in units of the scale; our copy of the paper does not state its margin
EPS = 1e-8
LEAST_NORM = 1e-4  # of norm-in-norm, in units of the scale


def weighted_mean(values: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """The mean of values [B], by weights [B] if given."""
    return values.mean() if weights is None else (weights * values).sum() / weights.sum()


def cross_entropy(logits: torch.Tensor, ids: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Token cross-entropy (paper eq. 10): logits [B, A, V] at the positions that predict ids [B, A]; the mean over all of them, in nats.
    The usual loss of language models, also of Q-Align, DeQA-Score and Q-Scorer."""
    if weights is None:
        return F.cross_entropy(logits.flatten(0, -2), ids.flatten())
    return weighted_mean(F.cross_entropy(logits.movedim(-1, 1), ids, reduction="none").mean(1), weights)


def answer_cross_entropy(
    logits: torch.Tensor, answer_ids: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Token cross-entropy summed over the answer: logits [B, A, V] at the positions that predict its ids [B, A], in nats per image.

    nano's loss: the constant words cost nothing once learned, which leaves the cross-entropy of the score token or level word. A mean
    over the answer would divide that by A, relative to the squared error.
    """
    if weights is None:
        return F.cross_entropy(logits.flatten(0, 1), answer_ids.flatten(), reduction="sum") / len(logits)
    return weighted_mean(F.cross_entropy(logits.movedim(-1, 1), answer_ids, reduction="none").sum(1), weights)


def squared_error(
    scores: torch.Tensor, mos: torch.Tensor, clamp_to: Scale | None = None, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean squared error of scores [B] against MOS [B] (paper eq. 11), in squared units of the scale.

    clamp_to: the scale to which the released Q-Scorer clamps the scores first. Off by default: a score outside the scale would have no
    gradient, so a model whose scores all leave the scale could not recover.
    """
    return weighted_mean(((scores if clamp_to is None else scores.clamp(*clamp_to)) - mos).square(), weights)


def soft_label_divergence(
    logits: torch.Tensor, token_ids: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Kullback-Leibler divergence between soft labels [B, K] on `token_ids` [K] and the softmax of logits [B, V] over the vocabulary (paper
    eq. 28; DeQA-Score section 3.3), in nats per image. Probability on any other token is penalised as well."""
    predicted = logits.log_softmax(1)[:, token_ids]
    return weighted_mean(F.kl_div(predicted, labels, reduction="none").sum(1), weights)


def norm_in_norm(scores: torch.Tensor, mos: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """The norm-in-norm loss of scores [B] against MOS [B] (paper eqs. 29 and 30; Li, Jiang & Jiang 2020, with p = 1, q = 2).

    Both are centred and divided by their L2 norm; the sum of absolute differences is scaled to an upper bound of 1. It is 0 if the scores
    are an increasing linear function of the MOS. LEAST_NORM keeps the gradient finite if all scores are equal.
    """
    known = torch.ones_like(scores) if weights is None else weights

    def normalise(values: torch.Tensor) -> torch.Tensor:
        values = values - weighted_mean(values, known)
        return values / ((known * values.square()).sum() + LEAST_NORM**2).sqrt()

    return (known * (normalise(scores) - normalise(mos)).abs()).sum() / (2 * known.sum().sqrt())


def norm_in_norm_within(
    scores: torch.Tensor, mos: torch.Tensor, groups: torch.Tensor | None, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """norm_in_norm within each data set, weighted by its share of the batch. groups [B]: the data set of each image; None: only one."""
    if groups is None:
        return norm_in_norm(scores, mos, weights)
    total = scores.new_zeros(())
    for group in groups.unique():
        own = groups == group
        known = None if weights is None else weights[own]
        total = total + norm_in_norm(scores[own], mos[own], known) * own.float().mean()
    return total


def regression_loss(scores: torch.Tensor, mos: torch.Tensor, groups: torch.Tensor | None = None) -> torch.Tensor:
    """The loss of Q-Scorer's regressor: squared error of scores [B] against MOS [B], plus half the norm-in-norm loss within each data set.
    groups [B]: the data set of each image."""
    return squared_error(scores, mos) + NORM_IN_NORM_WEIGHT * norm_in_norm_within(scores, mos, groups)


def pairs_within(groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs of images of the same data set, each once: positions [P] of the first and second image. groups [B]: the data set of each
    image. No pair spans two data sets, whose MOS are not comparable."""
    first, second = torch.triu_indices(len(groups), len(groups), offset=1, device=groups.device)
    same = groups[first] == groups[second]
    return first[same], second[same]


def pair_weights(weights: torch.Tensor | None, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor | None:
    """The weights [P] of pairs of images at the positions a and b [P]."""
    return None if weights is None else weights[a] * weights[b]


def ranking(
    scores: torch.Tensor, mos: torch.Tensor, groups: torch.Tensor | None = None, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The ranking loss (paper eq. 33, after RankIQA) over all pairs of a batch with unequal MOS: the mean shortfall of the better image's
    score [B] against the worse one's plus MARGIN. 0 without such pairs."""
    a, b = pairs_within(groups if groups is not None else torch.zeros_like(mos))
    unequal = mos[a] != mos[b]
    a, b = a[unequal], b[unequal]
    if not len(a):
        return scores.sum() * 0
    short = F.relu(MARGIN - (mos[a] - mos[b]).sign() * (scores[a] - scores[b]))
    return weighted_mean(short, pair_weights(weights, a, b))


def preference(mean_a: torch.Tensor, mean_b: torch.Tensor, variance: torch.Tensor | float = 2.0) -> torch.Tensor:
    """The probability that A is better than B (Thurstone; paper eqs. 25 and 26). variance: of the difference; 2 if each image has 1."""
    difference = (mean_a - mean_b) / torch.as_tensor(variance, dtype=mean_a.dtype).sqrt()
    return 0.5 * (1 + torch.erf(difference / math.sqrt(2)))


def fidelity(predicted: torch.Tensor, expected: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """The fidelity loss between two preference probabilities [P] (paper eq. 27): 0 if they agree, 1 if they are opposite."""
    agreement = (predicted * expected + EPS).sqrt() + ((1 - predicted) * (1 - expected) + EPS).sqrt()
    return weighted_mean(1 - agreement, weights)


def pair_fidelity(
    scores: torch.Tensor,
    mos: torch.Tensor,
    variances: torch.Tensor | None = None,
    stds: torch.Tensor | None = None,
    groups: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """The fidelity loss over all pairs of one data set in a batch (paper eqs. 25 to 27).

    scores [B] with predicted variances [B] (by a regressor with two outputs, or of the token distribution; default 1), mos [B] with
    stds [B] (default 0: the better image is better with certainty). 0 if the batch has no pair.
    """
    a, b = pairs_within(groups if groups is not None else torch.zeros_like(mos))
    if not len(a):
        return scores.sum() * 0
    spread = torch.ones_like(scores) if variances is None else variances
    known = torch.zeros_like(mos) if stds is None else stds.square()
    expected = preference(mos[a], mos[b], known[a] + known[b] + EPS)
    return fidelity(
        preference(scores[a], scores[b], spread[a] + spread[b] + EPS), expected, pair_weights(weights, a, b)
    )


def token_mass_loss(logits: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
    """Minus the logarithm of the total probability of `token_ids` [K] in the softmax of logits [B, V], in nats; it does not depend on which
    of them is probable. Paper appendix D.1 proposes such a loss without a formula."""
    return (logits.logsumexp(1) - logits[:, token_ids].logsumexp(1)).mean()


def calibration(
    scores: torch.Tensor, variances: torch.Tensor, mos: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Trains variances [B] to match the squared errors: the negative log-likelihood of the MOS [B] under a normal distribution around the
    score [B], in nats, without its constant. Minimal if the variance equals the squared error. No gradient reaches the scores, so a model
    cannot trade accuracy for variance. Variances are clamped to at least LEAST_VARIANCE; a single token's is 0."""
    error = (scores - mos).detach().square()
    variances = variances.clamp(min=LEAST_VARIANCE)
    return 0.5 * weighted_mean(variances.log() + error / variances, weights)
