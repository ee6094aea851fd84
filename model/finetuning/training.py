"""The optimisation: minimise losses on examples, resumable after a kill at any step."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from model.backbones.contract import Backbone, Options, Prepared
from model.common.checkpoints import read_state, write_state
from model.finetuning.examples import OnDisk, in_memory, together
from model.finetuning.step import Lesson, batch_gradients, random_state, set_random_state

SAVE_EVERY = 60  # seconds between checkpoints


def steps_of(count: int, options: Options) -> tuple[int, int, int]:
    """(epochs, batches per epoch, steps in total) of a training on `count` images."""
    batches = max(1, round(count / options.batch_size))
    per_epoch = -(-batches // options.accumulate)
    epochs = max(options.epochs, -(-options.min_steps // per_epoch))
    steps = epochs * per_epoch
    return epochs, batches, min(steps, options.max_steps) if options.max_steps else steps


def batches_of(count: int, options: Options, seed: int) -> Iterator[list[list[int]]]:
    """For each step the positions of its images, by batch: in each epoch all images once, in an order drawn from the seed."""
    epochs, batches, _ = steps_of(count, options)
    random = np.random.default_rng(seed)
    for _ in range(epochs):
        drawn = [batch.tolist() for batch in np.array_split(random.permutation(count), batches)]
        for start in range(0, batches, options.accumulate):
            yield drawn[start : start + options.accumulate]


def train(
    backbone: Backbone,
    examples: Sequence[Prepared | OnDisk],
    lesson: Lesson,
    options: Options,
    seed: int,
    losses: Mapping[str, float] | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Minimise `losses` (default: the backbone's) on `examples` and their `lesson` with Adam; the learning rate rises over a tenth of the
    steps, then falls to zero.

    checkpoint: a file that is written every SAVE_EVERY seconds; if it exists, training resumes from it, with the same result. Raises
    DataError when the loss is NaN or infinite, or the checkpoint is damaged.
    """
    steps = steps_of(len(examples), options)[2]
    weights = [weight for weight in backbone.model.parameters() if weight.requires_grad]
    # No weight decay: it would pull the weights towards zero, not towards the base.
    optimizer = torch.optim.Adam(weights, lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=steps + 1, pct_start=0.1
    )
    done = resume(checkpoint, backbone.device, weights, optimizer, schedule) if checkpoint else 0
    backbone.model.train()
    saved = time.monotonic()
    with tqdm(total=steps, initial=done, desc="fine-tuning", unit="step", file=sys.stderr, disable=None) as progress:
        for step, batches in enumerate(batches_of(len(examples), options, seed)):
            if step < done or step >= steps:
                continue
            optimizer.zero_grad()
            shares = {name: weight / len(batches) for name, weight in (losses or backbone.losses).items()}
            loss = 0.0
            for batch in batches:
                parts = together(batch, examples)
                taught = [(in_memory(part, examples, backbone), lesson[part]) for part in parts]
                loss += batch_gradients(backbone, taught, shares)
            nn.utils.clip_grad_norm_(weights, 5.0)
            optimizer.step()
            schedule.step()
            progress.update()
            progress.set_postfix(loss=f"{loss:.3f}")
            if checkpoint and step + 1 < steps and time.monotonic() - saved >= SAVE_EVERY:
                save(checkpoint, step + 1, backbone.device, weights, optimizer, schedule)
                saved = time.monotonic()


def save(
    checkpoint: Path, step: int, device: torch.device, weights: Sequence[nn.Parameter], optimizer, schedule
) -> None:
    """Write weights, optimiser, schedule and random state after `step` steps."""
    state = {"weights": [weight.detach() for weight in weights], "random": random_state(device)}
    write_state(checkpoint, state | {"step": step, "adam": optimizer.state_dict(), "rate": schedule.state_dict()})


@torch.no_grad()
def resume(checkpoint: Path, device: torch.device, weights: Sequence[nn.Parameter], optimizer, schedule) -> int:
    """Load a checkpoint, if there is one; returns the number of steps that were done. Raises DataError for a damaged file."""
    if not checkpoint.exists():
        return 0
    state = read_state(checkpoint, device)
    for weight, known in zip(weights, state["weights"], strict=True):
        weight.copy_(known)
    optimizer.load_state_dict(state["adam"])
    schedule.load_state_dict(state["rate"])
    cpu, cuda = state["random"]
    set_random_state((cpu.cpu(), cuda if cuda is None else cuda.cpu()), device)
    return state["step"]
