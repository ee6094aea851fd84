"""One training of nano: schedule, steps, checkpoints and the choice of the epoch."""

import hashlib
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from model.common.allocator import keep_freed_memory
from model.common.checkpoints import write_state
from model.common.errors import DataError
from model.common.json_files import read_json, write_json
from model.common.new_folder import new_folder
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.evaluation.metrics import plcc, srcc
from model.images.decoding import open_named
from model.training.calibrating import calibrate
from model.training.data import check_shares, read_training
from model.training.images import BATCH_SIZE, Step, epoch_steps, shown_in_epoch
from model.training.trio import Trio

CPU = torch.device("cpu")
READING_EPOCHS = 1  # in which the encoder is frozen
ENCODER_LR, LANGUAGE_LR, WEIGHT_DECAY = 2e-4, 1e-3, 1e-2
TRAINED_LR = 3e-4  # of language models that start from trained weights
WARM_UP = 0.1  # share of the steps in which a learning rate rises
AVERAGED_OVER = 1 / 4  # of the training's steps: the window of the weights' moving average
CHECKPOINT_EVERY = 50  # steps
TRAINING = "training.json"  # in --out: the settings of its training
WEIGHTS = "model.safetensors"  # in the folder of a nano
SHIFTED_BY = 256  # images of a data set from whose scores its shift is computed
SHOWN_FIRST = 32  # steps from whose images each feature's mean and std are computed


def predict(trio: Trio, items: Sequence[RatedImage]) -> dict[str, torch.Tensor]:
    """Scores [N] of whole images by system."""
    return seen_by(trio, items, trio.scores)


@torch.inference_mode()
def seen_by(
    trio: Trio, items: Sequence[RatedImage], look: Callable[[torch.Tensor], dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Applies `look`, from pixels [B, 3, H, W] to rows [B, ...] by system, to whole images; returns [N, ...] by system."""
    trio.eval()
    found: dict[str, torch.Tensor] = {}
    for start in tqdm(range(0, len(items), BATCH_SIZE), desc="scoring", unit="batch", file=sys.stderr, leave=False):
        by_shape: dict[torch.Size, list[tuple[int, torch.Tensor]]] = {}
        for n, item in enumerate(items[start : start + BATCH_SIZE], start):
            pixels = trio.processor.pixels(open_named(item.image))
            by_shape.setdefault(pixels.shape, []).append((n, pixels))
        for members in by_shape.values():
            positions, pixels = zip(*members, strict=True)
            for name, rows in look(torch.stack(pixels)).items():
                found.setdefault(name, torch.empty(len(items), *rows.shape[1:]))[list(positions)] = rows.cpu()
    trio.train()
    return found


def mean_where_defined(figures: Sequence[float]) -> float | None:
    """The mean of the finite ones, None if there are none: a set with a single validation image or equal MOS has no SRCC."""
    defined = [figure for figure in figures if math.isfinite(figure)]
    return float(np.mean(defined)) if defined else None


def rise_and_fall(step: int, first: int, last: int) -> float:
    """A learning rate's share of its peak: 0 before step `first`, linear warm-up, then cosine decay to 0 at `last`."""
    done = (step - first) / max(1, last - first)
    if done < WARM_UP:
        return max(0.0, done / WARM_UP)
    return 0.5 * (1 + math.cos(math.pi * (min(done, 1.0) - WARM_UP) / (1 - WARM_UP)))


@dataclass(frozen=True)
class Recipe:
    """Settings of a training. shares: the share of a part's images (RatedImage.part) that each epoch uses; by default all. start: a folder
    with nano and nano-qalign to start from (None: start from ImageNet's encoder)."""

    epochs: int
    shares: Mapping[str, float] = field(default_factory=dict)
    start: Path | None = None


class TrainingRun:
    """One training: weights, their moving average, optimiser, schedule and position, saved together in one checkpoint file."""

    def __init__(
        self, folder: Path, items: Sequence[RatedImage], recipe: Recipe, seed: int, device: torch.device = CPU
    ):
        torch.manual_seed(seed)
        self.folder, self.items, self.recipe, self.seed = folder, items, recipe, seed
        self.steps_per_epoch = len(shown_in_epoch(items, recipe.shares, np.random.default_rng(0))) // BATCH_SIZE
        self.reading_epochs = 0 if recipe.start else READING_EPOCHS
        total = recipe.epochs * self.steps_per_epoch
        self.trio = Trio(recipe.start).to(device)
        kept = 1 - 1 / max(2.0, AVERAGED_OVER * total)  # weight of the old average in each step
        self.average = AveragedModel(self.trio, multi_avg_fn=get_ema_multi_avg_fn(kept))
        self.trio.speed_up()
        self.average.module.fast = self.trio.fast  # the frozen blocks are the same
        in_encoder = set(self.trio.encoder.parameters())
        nanos = [weight for weight in self.trio.nanos.parameters() if weight not in in_encoder]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(self.trio.adaptable.parameters()), "lr": ENCODER_LR},
                {"params": nanos, "lr": TRAINED_LR if recipe.start else LANGUAGE_LR},
                {"params": list(self.trio.plain.parameters()), "lr": LANGUAGE_LR},
            ],
            weight_decay=WEIGHT_DECAY,
        )
        read_alone = self.reading_epochs * self.steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, [partial(rise_and_fall, first=first, last=total) for first in (read_alone, 0, 0)]
        )
        self.step, self.log, self.shifts = 0, [], {}

    @property
    def parts(self) -> dict:
        return {
            "trio": self.trio,
            "average": self.average,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
        }

    def save(self) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        written = state | {"step": self.step, "log": self.log, "shifts": self.shifts}
        write_state(self.folder / "checkpoint.pt", written)

    def resume(self) -> None:
        """Continue from the checkpoint, or start if there is none."""
        checkpoint = self.folder / "checkpoint.pt"
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True, map_location=self.trio.device)
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.step, self.log, self.shifts = state["step"], state["log"], state["shifts"]
        else:
            self.begin()
        self.items = self.shifted(self.items)

    def shifted(self, items: Sequence[RatedImage]) -> list[RatedImage]:
        """The images with their MOS shifted by data set (see shifts_of_others)."""
        return [replace(item, mos=item.mos + self.shifts.get(item.dataset, 0.0)) for item in items]

    def begin(self) -> None:
        """Compute what a new training needs first: the features' means and stds, or the shifts if it starts from trained weights."""
        if self.recipe.start:
            self.shifts = self.shifts_of_others()
        else:
            self.trio.standardise([step.pixels[:BATCH_SIZE] for step in islice(self._steps(0, 0), SHOWN_FIRST)])

    def shifts_of_others(self) -> dict[str, float]:
        """For each data set but the first, the offset that makes its mean MOS equal to the mean score of the starting weights. The same
        MOS stands for different quality in different sets, and a scale forced on both costs accuracy on the first."""
        of_set: dict[str, list[RatedImage]] = {}
        for item in self.items:
            of_set.setdefault(item.dataset, []).append(item)
        draw = np.random.default_rng(self.seed)
        shifts = {}
        for name, items in islice(of_set.items(), 1, None):
            chosen = [items[n] for n in draw.permutation(len(items))[:SHIFTED_BY]]
            shifts[name] = predict(self.trio, chosen)["nano"].mean().item() - mean(item.mos for item in chosen)
        return shifts

    def _steps(self, epoch: int, skip: int) -> Iterator[Step]:
        return epoch_steps(self.items, self.trio.processor, self.seed, epoch, skip, self.recipe.shares)

    def train_epoch(self, progress: tqdm) -> None:
        epoch = len(self.log)
        self.trio.adaptable.requires_grad_(epoch >= self.reading_epochs)
        done = self.step - epoch * self.steps_per_epoch
        for step in self._steps(epoch, done):
            loss = self.trio.loss(step)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.trio.parameters(), 5.0)
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.trio)
            self.step += 1
            progress.update()
            progress.set_postfix(loss=f"{loss.item():.3f}")
            if self.step % CHECKPOINT_EVERY == 0:
                self.save()

    def validate(self, items: Sequence[RatedImage]) -> None:
        """Log this epoch's figures, averaged over the data sets; keep the averaged weights if nano's SRCC is the best so far."""
        scores = {name: found.numpy() for name, found in predict(self.average.module, items).items()}
        mos, of_set = np.array([item.mos for item in items]), np.array([item.dataset for item in items])
        sets = [of_set == name for name in dict.fromkeys(of_set)]
        figures = {
            name: {
                figure.__name__: mean_where_defined([figure(found[chosen], mos[chosen]) for chosen in sets])
                for figure in (srcc, plcc)
            }
            for name, found in scores.items()
        }
        before, now = [entry["nano"]["srcc"] for entry in self.log], figures["nano"]["srcc"]
        self.log.append(figures)
        # The first epoch is kept even if SRCC is undefined.
        if not before or (now is not None and now > max((one for one in before if one is not None), default=-1.0)):
            write_state(self.folder / "best.pt", self.average.module.state_dict())
        self.save()
        (self.folder / "log.json").write_text(json.dumps(self.log, indent=1))


def train(
    data: Sequence[Path],
    out: Path,
    recipe: Recipe,
    scale: Scale | None = None,
    without: Sequence[str] = (),
    device: torch.device = CPU,
    seed: int = 0,
) -> list[Path]:
    """Train on data sets (see read_training) and return the folders with the best weights of nano and nano-qalign. Raises DataError like
    read_training."""
    keep_freed_memory()
    items, validation = read_training(data, scale, without)
    if len(items) < BATCH_SIZE:
        raise DataError(
            f"Only {len(items)} images are left for training after the validation part: give at least {BATCH_SIZE}."
        )
    check_shares(items, recipe.shares)
    claim(out, items, recipe, without, seed)
    training = TrainingRun(out, items, recipe, seed, device)
    training.resume()
    total = recipe.epochs * training.steps_per_epoch
    with tqdm(total=total, initial=training.step, desc="training", unit="step", file=sys.stderr) as progress:
        while len(training.log) < recipe.epochs:
            training.train_epoch(progress)
            training.validate(validation)
    trio = best_of(out)
    logits = seen_by(trio, validation, trio.token_logits)["nano"]
    calibrate(trio.backbones["nano"], logits, torch.tensor([item.mos for item in training.shifted(validation)]))
    for name in trio.nanos:
        if (out / name).exists():  # of a training that was continued
            shutil.rmtree(out / name)
        with new_folder(out / name, DataError, "free some space, or choose another --out") as folder:
            trio.save(name, folder)
    return [out / name for name in trio.nanos]


def claim(out: Path, items: Sequence[RatedImage], recipe: Recipe, without: Sequence[str], seed: int) -> None:
    """Create the folder and write the training's settings into it. Raises DataError if it holds a training with other settings."""
    out.mkdir(parents=True, exist_ok=True)
    shown = hashlib.sha256(json.dumps([(item.dataset, item.image.name, item.mos) for item in items]).encode())
    mine = {
        "images": shown.hexdigest(),
        "epochs": recipe.epochs,
        "without": sorted(without),
        "shares": dict(sorted(recipe.shares.items())),
        "start": recipe.start and hashlib.sha256((recipe.start / "nano" / WEIGHTS).read_bytes()).hexdigest(),
        "seed": seed,
    }
    said = out / TRAINING
    if said.exists() and read_json(said) != mine:
        raise DataError(f"{out} holds a training with other images or settings: give another --out, or delete it.")
    write_json(said, mine)


def best_of(out: Path) -> Trio:
    """The systems with the best weights by validation. Raises DataError if there are none yet."""
    for name in ("best.pt", TRAINING):
        if not (out / name).exists():
            raise DataError(f"{out / name} is not there: run python -m model.train --out {out} first.")
    trio = Trio()
    trio.load_state_dict(torch.load(out / "best.pt", weights_only=True, map_location=CPU))
    return trio.eval()
