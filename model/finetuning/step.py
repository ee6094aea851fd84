"""One step of a training on any backbone: from the images of a batch and what is taught of them to the gradients.

The loss is of the whole batch. Where memory holds only a part of it at a time (images of unlike shapes, large models), the parts go through
the model twice: first without gradients, for what each shows the losses; the loss's gradient with respect to that is then carried back
through each part on its own. So norm-in-norm, rankings and means over all taught tokens are the same however a batch is divided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch

from model.backbones.contract import Backbone, Prepared
from model.common.errors import DataError
from model.readouts.levels import soft_label
from model.readouts.objective import Taught, weighted_sum
from model.readouts.reading import Readout

SHOWN = ("answer_logits", "scores", "variances")  # what of Taught comes out of the model


@dataclass(frozen=True)
class Lesson:
    """What is taught of N images, on the scale of the readout: mos [N]; where known stds [N] of the opinions and groups [N], which data set
    each is from; tokens [N] and questions [N] where they are not those of the readout and the backbone."""

    mos: torch.Tensor
    stds: torch.Tensor | None = None
    groups: torch.Tensor | None = None
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
    """Add to the parameters' gradients those of the weighted losses over a batch, whose parts (of one shape_key each) go through the model
    one after the other. Returns the loss. Raises DataError when it is not finite."""
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
    """What the images of one shape_key show of themselves to the losses."""
    readout = backbone.readout
    tokens = lesson.tokens or [readout.token_of(mos) for mos in lesson.mos.tolist()]
    answered = backbone.answer(batch, tokens, lesson.questions)
    at = answered.read_at
    scores, variances = readout.predict(answered.hidden[:, at], answered.logits[:, at])
    device = answered.logits.device

    def there(values: torch.Tensor | None) -> torch.Tensor | None:
        return None if values is None else values.to(device)

    return Taught(
        mos=there(lesson.mos),
        answer_logits=answered.logits.float(),
        answer_ids=answered.ids,
        token_at=answered.read_at,
        token_ids=there(readout.token_ids),
        soft_labels=there(soft_labels(readout, lesson)),
        scale=readout.scale,
        scores=scores,
        variances=variances,
        stds=there(lesson.stds),
        groups=there(lesson.groups),
    )


def soft_labels(readout: Readout, lesson: Lesson) -> torch.Tensor | None:
    """DeQA-Score's soft labels [B, K]; None where the opinions' spread is not known."""
    if lesson.stds is None:
        return None
    rows = zip(lesson.mos.tolist(), lesson.stds.tolist(), strict=True)
    return torch.tensor([soft_label(*row, scale=readout.scale, count=len(readout.tokens)) for row in rows])


def joined(shown: Sequence[Taught]) -> Taught:
    """The parts of a batch as one."""
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
