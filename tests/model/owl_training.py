"""One training step of Q-Align's and Q-Scorer's programs, put together from our model and losses, to be held against their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model import losses
from model.backbones.mplug_owl2 import MplugOwl2Model, image_position
from model.backbones.mplug_owl2_prompts import NO_LABEL
from model.backbones.mplug_owl2_scoring import SCORE_SCALE

ANSWER_WEIGHT = 0.05  # of cross-entropy and squared error together, in the released training scripts


@dataclass(frozen=True)
class TrainingBatch:
    """pixel_values [B, 3, S, S] or [B, n, 3, S, S]; input_ids and labels [B, T], filled up on the right with 0 and NO_LABEL."""

    pixel_values: torch.Tensor
    input_ids: torch.Tensor
    labels: torch.Tensor


def collate(pixels: Sequence[torch.Tensor], examples: Sequence[tuple[list[int], list[int]]]) -> TrainingBatch:
    """Pictures [3, S, S] and the processor's training examples (ids, labels) to a batch."""
    length = max(len(ids) for ids, _ in examples)
    ids = [ids + [0] * (length - len(ids)) for ids, _ in examples]
    labels = [labels + [NO_LABEL] * (length - len(labels)) for _, labels in examples]
    return TrainingBatch(torch.stack(list(pixels)), torch.tensor(ids), torch.tensor(labels))


@dataclass(frozen=True)
class Answers:
    """What the model makes of the supervised tokens of a batch, N in all: hidden [N, D] and logits [N, V] of the positions that predict
    them, their ids [N], and the rows of the batch [N] that they are in."""

    hidden: torch.Tensor
    logits: torch.Tensor
    ids: torch.Tensor
    rows: torch.Tensor


def answers(model: MplugOwl2Model, batch: TrainingBatch) -> Answers:
    """One forward; lm_head is applied where a token is supervised and nowhere else."""
    start = image_position(batch.input_ids)
    image_rows = model.encode(batch.pixel_values)
    hidden = model.decode(image_rows, batch.input_ids, start)
    rows, places = (batch.labels != NO_LABEL).nonzero(as_tuple=True)
    # Past the image mark, which became R rows, everything stands R - 1 later; its predictor one earlier.
    chosen = hidden[rows, places + image_rows.shape[1] - 2]
    return Answers(chosen, model.lm_head(chosen), batch.labels[rows, places], rows)


def cross_entropy(found: Answers) -> torch.Tensor:
    """Q-Align's loss: the mean over all supervised tokens of the batch, in nats."""
    return losses.cross_entropy(found.logits.float(), found.ids)


def squared_error(
    model: MplugOwl2Model, found: Answers, score_token_ids: torch.Tensor, mos: torch.Tensor
) -> torch.Tensor:
    """Q-Scorer's regression loss against the MOS [B], a mean over the pictures, from the hidden states that predict the score tokens.

    Clamped to the scale before the difference: outside of it there is no gradient, as in the released code.
    """
    regressed = torch.isin(found.ids, score_token_ids)
    scores = model.deepmlp(found.hidden[regressed]).float()
    return losses.squared_error(scores, mos[found.rows[regressed]], clamp_to=SCORE_SCALE)


def q_scorer_loss(
    model: MplugOwl2Model, batch: TrainingBatch, score_token_ids: torch.Tensor, mos: torch.Tensor
) -> torch.Tensor:
    """Q-Scorer's loss as its training script weighs it."""
    found = answers(model, batch)
    return ANSWER_WEIGHT * (cross_entropy(found) + squared_error(model, found, score_token_ids, mos))
