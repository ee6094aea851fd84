"""What training minimises; pure functions of tensors, each a mean over the batch.

Scores, MOS and standard deviations are in units of one scale; logits are of the open vocabulary V. Nothing is rounded or clamped unless
said. model/readouts/objective.py names them, model/paper/systems.py weighs them.
"""

import math

import torch
import torch.nn.functional as F

from model.common.scale import Scale
from model.readouts.regressor import LEAST_VARIANCE

NORM_IN_NORM_WEIGHT = 0.5  # paper appendix C.2
MARGIN = 0.1  # of the ranking loss, in units of the scale; the paper's is not given in our copy of it
EPS = 1e-8
LEAST_NORM = 1e-4  # of norm-in-norm, in units of the scale


def cross_entropy(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of taught words (paper eq. 10): logits [..., V] at the positions that predict ids [...]; the mean over all of them in
    nats, as language models are trained, and Q-Align, DeQA-Score and Q-Scorer with them."""
    return F.cross_entropy(logits.flatten(0, -2), ids.flatten())


def answer_cross_entropy(logits: torch.Tensor, answer_ids: torch.Tensor) -> torch.Tensor:
    """The same, summed over the answer: logits [B, A, V] at the positions that predict the answer's ids [B, A], in nats an image.

    This is how nano is trained: the words that never change cost nothing once learned, and what remains is the cross-entropy of the
    score token or level word, which a mean over the answer would make A times as light beside a squared error.
    """
    return F.cross_entropy(logits.flatten(0, 1), answer_ids.flatten(), reduction="sum") / len(logits)


def squared_error(scores: torch.Tensor, mos: torch.Tensor, clamp_to: Scale | None = None) -> torch.Tensor:
    """Mean squared error of scores [B] against MOS [B] (paper eq. 11), in squared units of the scale.

    clamp_to: the scale to which the released Q-Scorer clamps the scores before the difference. It is off: a score outside would have no
    gradient at all and, where a batch or a bad start puts every score outside, would never come back.
    """
    return F.mse_loss(scores if clamp_to is None else scores.clamp(*clamp_to), mos)


def soft_label_divergence(logits: torch.Tensor, token_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of the open softmax of logits [B, V] from soft labels [B, K] on `token_ids` [K] (paper eq. 28; DeQA-Score
    section 3.3), in nats an image. Probability on any other token is punished too."""
    predicted = logits.log_softmax(1)[:, token_ids]
    return F.kl_div(predicted, labels, reduction="batchmean")


def norm_in_norm(scores: torch.Tensor, mos: torch.Tensor) -> torch.Tensor:
    """The norm-in-norm loss of scores [B] against MOS [B] (paper eqs. 29 and 30; Li, Jiang & Jiang 2020, with p = 1, q = 2).

    Both are centred and divided by their L2 norm; the mean absolute difference is scaled so that 1 is its upper bound. It is 0 when scores
    are a rising linear function of the MOS. LEAST_NORM keeps the gradient finite where all scores are equal.
    """

    def normalise(values: torch.Tensor) -> torch.Tensor:
        values = values - values.mean()
        return values / (values.square().sum() + LEAST_NORM**2).sqrt()

    return (normalise(scores) - normalise(mos)).abs().sum() / (2 * len(scores) ** 0.5)


def norm_in_norm_within(scores: torch.Tensor, mos: torch.Tensor, groups: torch.Tensor | None) -> torch.Tensor:
    """norm_in_norm within each data set, each counting by its share of the batch. groups [B]: which data set; None: all of one."""
    if groups is None:
        return norm_in_norm(scores, mos)
    return sum(
        norm_in_norm(scores[groups == group], mos[groups == group]) * (groups == group).float().mean()
        for group in groups.unique()
    )


def regression_loss(scores: torch.Tensor, mos: torch.Tensor, groups: torch.Tensor | None = None) -> torch.Tensor:
    """What teaches Q-Scorer's regressor: squared error of scores [B] against MOS [B], and half the norm-in-norm loss, taken within each
    data set. groups [B]: which."""
    return squared_error(scores, mos) + NORM_IN_NORM_WEIGHT * norm_in_norm_within(scores, mos, groups)


def pairs_within(groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs of images of one data set, each once: positions [P] of their first and second image. groups [B]: which data set.
    MOS of two data sets are not comparable, so no pair spans two."""
    first, second = torch.triu_indices(len(groups), len(groups), offset=1, device=groups.device)
    same = groups[first] == groups[second]
    return first[same], second[same]


def ranking(scores: torch.Tensor, mos: torch.Tensor, groups: torch.Tensor | None = None) -> torch.Tensor:
    """The ranking loss (paper eq. 33, after RankIQA) over all pairs of a batch with unequal MOS: how far, on the mean, the better image's
    score [B] falls short of the worse one's plus MARGIN. 0 where there is no such pair."""
    a, b = pairs_within(groups if groups is not None else torch.zeros_like(mos))
    sign = (mos[a] - mos[b]).sign()
    short = F.relu(MARGIN - sign * (scores[a] - scores[b]))[sign != 0]
    return short.mean() if len(short) else scores.sum() * 0


def preference(mean_a: torch.Tensor, mean_b: torch.Tensor, variance: torch.Tensor | float = 2.0) -> torch.Tensor:
    """How probable it is that A is better than B (Thurstone; paper eqs. 25 and 26): `variance` is of the difference, 2 where each has 1."""
    difference = (mean_a - mean_b) / torch.as_tensor(variance, dtype=mean_a.dtype).sqrt()
    return 0.5 * (1 + torch.erf(difference / math.sqrt(2)))


def fidelity(predicted: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """The fidelity loss between probabilities [P] of a preference (paper eq. 27): 0 where they agree, 1 where they are opposite."""
    agreement = (predicted * expected + EPS).sqrt() + ((1 - predicted) * (1 - expected) + EPS).sqrt()
    return (1 - agreement).mean()


def pair_fidelity(
    scores: torch.Tensor,
    mos: torch.Tensor,
    variances: torch.Tensor | None = None,
    stds: torch.Tensor | None = None,
    groups: torch.Tensor | None = None,
) -> torch.Tensor:
    """The fidelity loss over all pairs of one data set in a batch (paper eqs. 25 to 27).

    scores [B] with predicted variances [B] (of a regressor with two outputs or of the token distribution; without them 1 each), mos [B]
    with stds [B] (without them the better image is better for certain). 0 where the batch holds no pair.
    """
    a, b = pairs_within(groups if groups is not None else torch.zeros_like(mos))
    if not len(a):
        return scores.sum() * 0
    spread = torch.ones_like(scores) if variances is None else variances
    known = torch.zeros_like(mos) if stds is None else stds.square()
    expected = preference(mos[a], mos[b], known[a] + known[b] + EPS)
    return fidelity(preference(scores[a], scores[b], spread[a] + spread[b] + EPS), expected)


def token_mass_loss(logits: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
    """How far all of `token_ids` [K] together are from probability 1 in the open softmax of logits [B, V] (paper appendix D.1, which
    proposes such a loss and gives none): minus the logarithm of their mass, in nats. It says nothing about which of them."""
    return (logits.logsumexp(1) - logits[:, token_ids].logsumexp(1)).mean()


def calibration(scores: torch.Tensor, variances: torch.Tensor, mos: torch.Tensor) -> torch.Tensor:
    """Teaches a variance [B] to be the squared error that is made: the negative log-likelihood of the MOS [B] under a normal distribution
    about the score [B], in nats, without its constant. Least where variance and squared error agree; no gradient reaches the scores, so
    that a model does not excuse its errors by doubt. A variance below LEAST_VARIANCE, such as the 0 of one token alone, counts as that."""
    error = (scores - mos).detach().square()
    variances = variances.clamp(min=LEAST_VARIANCE)
    return 0.5 * (variances.log() + error / variances).mean()
