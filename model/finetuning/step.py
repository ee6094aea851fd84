"""One training step on any backbone: from a batch of images and labels to gradients.

The loss is computed on the whole batch. If that must be split (images of different shapes, large models), each part goes through the
model twice: first without gradients, to collect the inputs of the losses; then the gradient of the loss with respect to these is
propagated back through each part. So norm-in-norm, ranking losses and means over tokens do not depend on the split.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace

import torch

from model.backbones.contract import Answered, Backbone, Prepared
from model.common.errors import DataError
from model.common.scale import Scale
from model.readouts.levels import soft_label
from model.readouts.objective import Taught, weighted_sum

SHOWN = ("answer_logits", "scores", "variances")  # the fields of Taught that the model computes


@dataclass(frozen=True)
class Lesson:
    """Labels of N images, on the readout's scale: mos [N]; optionally stds [N] of the ratings, groups [N] (the data set of each image),
    weights [N] by reliability (1 on the average), tokens [N] and questions [N] that replace those of the readout and the backbone."""

    mos: torch.Tensor
    stds: torch.Tensor | None = None
    groups: torch.Tensor | None = None
    weights: torch.Tensor | None = None
    tokens: Sequence[str] | None = None
    questions: Sequence[str] | None = None

    def __getitem__(self, rows: Sequence[int]) -> "Lesson":
        def chosen(values):
            if values is None or isinstance(values, torch.Tensor):
                return values if values is None else values[list(rows)]
            return [values[row] for row in rows]

        return Lesson(**{field.name: chosen(getattr(self, field.name)) for field in fields(self)})


def batch_gradients(
    backbone: Backbone, parts: Sequence[tuple[Sequence[Prepared], Lesson]], weights: Mapping[str, float]
) -> float:
    """Accumulate the gradients of the weighted losses on a batch, whose parts (of equal shape_key) go through the model one by one.
    Returns the loss. Raises DataError when it is NaN or infinite."""
    if len(parts) == 1:
        loss = finite(weighted_sum(weights, taught(backbone, *parts[0]))[0])
        loss.backward()
        return loss.item()
    states, shown = [], []
    with torch.no_grad():
        for part in parts:
            states.append(random_state(backbone.device))
            shown.append(taught(backbone, *part))
    whole = joined(shown)
    leaves = {name: getattr(whole, name).requires_grad_() for name in SHOWN if getattr(whole, name) is not None}
    loss = finite(weighted_sum(weights, whole)[0])
    gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()), allow_unused=True), strict=True))
    start = 0
    for part, state in zip(parts, states, strict=True):
        set_random_state(state, backbone.device)  # the same dropout as the first time
        found, rows = taught(backbone, *part), slice(start, start + len(part[0]))
        used = [name for name, gradient in gradients.items() if gradient is not None]
        torch.autograd.backward([getattr(found, name) for name in used], [gradients[name][rows] for name in used])
        start = rows.stop
    return loss.item()


def taught(backbone: Backbone, batch: Sequence[Prepared], lesson: Lesson) -> Taught:
    """The inputs of the losses for images of equal shape_key."""
    readout = backbone.readout
    tokens = lesson.tokens or [readout.token_of(mos) for mos in lesson.mos.tolist()]
    with mixed_precision(backbone):
        answered = backbone.answer(batch, tokens, lesson.questions)
    at = answered.read_at
    found = readout.predict(answered.hidden[:, at], answered.logits[:, at])
    return taught_by(answered, lesson, readout.token_ids, readout.scale, *found)


def mixed_precision(backbone: Backbone) -> AbstractContextManager:
    """Where parts of a bfloat16 model are trained in full, which are float32: a context in which both compute in bfloat16."""
    mixed = bool(backbone.also_trained) and torch.bfloat16 in {weight.dtype for weight in backbone.model.parameters()}
    return torch.autocast(backbone.device.type, torch.bfloat16) if mixed else nullcontext()


def taught_by(
    answered: Answered,
    lesson: Lesson,
    token_ids: torch.Tensor,
    scale: Scale,
    scores: torch.Tensor | None,
    variances: torch.Tensor | None,
) -> Taught:
    """The inputs of the losses from a backbone's output along the right answers, the ids [K] of the tokens that may be read, and the scores
    and variances [B] that were read."""
    device = answered.logits.device

    def moved(values: torch.Tensor | None) -> torch.Tensor | None:
        return None if values is None else values.to(device)

    return Taught(
        mos=lesson.mos.to(device),
        answer_logits=answered.logits.float(),
        answer_ids=answered.ids,
        token_at=answered.read_at,
        token_ids=token_ids.to(device),
        soft_labels=moved(soft_labels(lesson, scale, len(token_ids))),
        scale=scale,
        scores=scores,
        variances=variances,
        stds=moved(lesson.stds),
        groups=moved(lesson.groups),
        weights=moved(lesson.weights),
    )


def soft_labels(lesson: Lesson, scale: Scale, count: int) -> torch.Tensor | None:
    """DeQA-Score's soft labels [B, K] on `count` tokens; None if the std of the ratings is unknown, or there are no several tokens."""
    if lesson.stds is None or count < 2:
        return None
    rows = zip(lesson.mos.tolist(), lesson.stds.tolist(), strict=True)
    return torch.tensor([soft_label(*row, scale=scale, count=count) for row in rows])


def joined(shown: Sequence[Taught]) -> Taught:
    """The parts of a batch, concatenated."""
    first = shown[0]
    names = [
        f.name for f in fields(Taught) if isinstance(getattr(first, f.name), torch.Tensor) and f.name != "token_ids"
    ]
    return replace(first, **{name: torch.cat([getattr(part, name) for part in shown]) for name in names})


def finite(loss: torch.Tensor) -> torch.Tensor:
    if not loss.isfinite():
        raise DataError("training diverged: the loss is NaN or infinite; run it again with another --seed.")
    return loss


def random_state(device: torch.device) -> tuple:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def set_random_state(state: tuple, device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
