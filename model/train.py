"""Train nano, nano-qalign and the plain regressor together, on one image encoder, on BIQ2021 or on any data sets.

    python -m model.train --data BIQ2021 --out runs
    python -m model.train --data BIQ2021 koniq10k kadid10k --out runs-of-three
    python -m model.train --data BIQ2021 --out runs-without-ss02 --without ss02    # for model.compare --without ss02

Each of the three reads the same encoder's maps and sends its gradient back into it, so they differ in how they read and in
nothing else. What each is taught: Q-Scorer its answer's cross-entropy, the squared error and the norm-in-norm loss; Q-Align the answer's
cross-entropy; the plain regressor the two losses of the score. All three are shown pictures damaged on purpose too
(model/degradations.py), which should score lower the more they are damaged: photographs with a MOS hardly show noise and
compression alone. The first layers of the encoder stay as ImageNet made them.

Interrupted, the same command goes on from the last checkpoint. After each epoch the moving average of the weights is
checked on the validation part, and the best is kept; the test part is never looked at here (python -m model.compare does that).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import pearsonr, spearmanr
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from model import biq2021
from model.allocator import keep_freed_memory
from model.backbones.lite_encoder import LiteEncoder, load_imagenet_weights
from model.backbones.nano import (
    LEVEL_WORDS,
    SCORE_TOKENS,
    SIDE,
    NanoConfig,
    NanoModel,
    NanoProcessor,
    build_tokenizer,
)
from model.baselines import PlainRegressor
from model.rated import RatedImage
from model.commands import add_scale_option, positive, run
from model.errors import DataError
from model.images import open_image
from model.learner import Examples, Learner
from model.losses import answer_cross_entropy, regression_loss
from model.training_data import SCALE, read_training
from model.training_pictures import BATCH_SIZE, DAMAGED, Step, epoch_steps

FROZEN_BLOCKS = 3  # and the stem: they see edges and noise, and stay as ImageNet made them
ENCODER_LR, LANGUAGE_LR, WEIGHT_DECAY = 3e-4, 1e-3, 1e-2
AVERAGED_OVER = 0.998  # of the moving average is kept in each step
DROP = 0.6  # a picture ruined on purpose (severity 1) should lose this share of what it has above the worst score
CHECKPOINT_EVERY = 50  # steps


def nano_with(tokens: tuple[str, ...], regress: bool, encoder: LiteEncoder) -> Learner:
    """A new nano with one of its readouts on `encoder`."""
    processor = NanoProcessor(build_tokenizer(), side=SIDE)
    config = NanoConfig(
        vocab_size=len(processor.tokenizer),
        regressor_widths=(128, 64) if regress else (),
        readout={
            "kind": "score_token" if regress else "level",
            "tokens": list(tokens),
            "scale": list(SCALE),
        },
    )
    model = NanoModel(config)
    model.encoder = encoder
    if regress:
        nn.init.constant_(model.regressor.output.bias, sum(SCALE) / 2)
    return Learner(model, processor)


class Systems(nn.Module):
    """The three systems on one encoder."""

    def __init__(self):
        super().__init__()
        self.encoder = LiteEncoder()
        load_imagenet_weights(self.encoder)
        for part in (self.encoder.stem, *self.encoder.blocks[:FROZEN_BLOCKS]):
            part.requires_grad_(False)
        self.learners = {
            "nano": nano_with(SCORE_TOKENS, True, self.encoder),
            "nano-qalign": nano_with(LEVEL_WORDS, False, self.encoder),
        }
        self.processor = self.learners["nano"].processor
        self.nanos = nn.ModuleDict({name: learner.model for name, learner in self.learners.items()})
        self.plain = PlainRegressor()
        self.plain.encoder = self.encoder
        nn.init.constant_(self.plain.output.bias, sum(SCALE) / 2)
        self.to(memory_format=torch.channels_last)

    def loss(self, step: Step) -> torch.Tensor:
        """Of the three systems together."""
        maps = self.encoder(step.pixels.contiguous(memory_format=torch.channels_last))
        plain = self.plain.score_maps(maps)
        total = regression_loss(plain[:BATCH_SIZE], step.mos, step.groups) + damage_loss(plain, step)
        mos = torch.cat([step.mos, step.mos[:DAMAGED], step.mos[:DAMAGED]])
        for learner in self.learners.values():
            found = learner.answers(Examples(learner.model.connector(maps), mos))
            labelled = found[:BATCH_SIZE]
            total = total + answer_cross_entropy(labelled.logits, labelled.ids) + damage_loss(found.scores, step)
            if learner.readout == "score_token":
                total = total + regression_loss(labelled.scores, step.mos, step.groups)
        return total

    @torch.inference_mode()
    def scores(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores [B] of pictures [B, 3, H, W], by system."""
        maps = self.encoder(pixels.contiguous(memory_format=torch.channels_last))
        by_nano = {
            name: learner.predict(learner.model.connector(maps)).clone() for name, learner in self.learners.items()
        }
        return {**by_nano, "plain": self.plain.score_maps(maps)}

    def save(self, name: str, folder: Path) -> None:
        """One of the two nanos as a model of its own, in float16: half the size, and scores move by less than .01."""
        self.nanos[name].half().save_pretrained(folder)
        self.processor.save_pretrained(folder)


def damage_loss(scores: torch.Tensor, step: Step) -> torch.Tensor:
    """Ranking loss (paper eq. 33) of the scores of all pictures of a step: a damaged picture should lie below itself undamaged, and
    below itself less damaged, by a margin in proportion to the difference in severity and to what there is to lose."""
    whole, mild, severe = scores[:DAMAGED], scores[BATCH_SIZE : BATCH_SIZE + DAMAGED], scores[BATCH_SIZE + DAMAGED :]
    to_lose = DROP * (step.mos[:DAMAGED] - SCALE[0])
    first, second = step.severities
    return (F.relu(to_lose * first - (whole - mild)) + F.relu(to_lose * (second - first) - (mild - severe))).mean()


@torch.inference_mode()
def predict(systems: Systems, items: Sequence[RatedImage]) -> dict[str, torch.Tensor]:
    """Scores [N] of whole pictures by system."""
    systems.eval()
    found: dict[str, torch.Tensor] = {}
    for start in tqdm(range(0, len(items), BATCH_SIZE), desc="scoring", unit="batch", file=sys.stderr, leave=False):
        by_shape: dict[torch.Size, list[tuple[int, torch.Tensor]]] = {}
        for n, item in enumerate(items[start : start + BATCH_SIZE], start):
            pixels = systems.processor.pixels(open_image(item.image))
            by_shape.setdefault(pixels.shape, []).append((n, pixels))
        for members in by_shape.values():
            positions, pixels = zip(*members, strict=True)
            for name, scores in systems.scores(torch.stack(pixels)).items():
                found.setdefault(name, torch.empty(len(items)))[list(positions)] = scores
    systems.train()
    return found


class TrainingRun:
    """One training: weights, their moving average, optimiser, schedule and position, kept in one checkpoint file."""

    def __init__(self, folder: Path, items: Sequence[RatedImage], epochs: int, seed: int):
        torch.manual_seed(seed)
        self.folder, self.items, self.seed = folder, items, seed
        self.steps_per_epoch, self.epochs = len(items) // BATCH_SIZE, epochs
        self.systems = Systems()
        averaging = get_ema_multi_avg_fn(AVERAGED_OVER)
        self.average = AveragedModel(self.systems, multi_avg_fn=averaging)
        in_encoder = set(self.systems.encoder.parameters())
        moving = [p for p in self.systems.parameters() if p.requires_grad]  # each once, in a fixed order
        groups = [[p for p in moving if p in in_encoder], [p for p in moving if p not in in_encoder]]
        self.optimizer = torch.optim.AdamW([{"params": g} for g in groups], lr=ENCODER_LR, weight_decay=WEIGHT_DECAY)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, [ENCODER_LR, LANGUAGE_LR], total_steps=epochs * self.steps_per_epoch + 1, pct_start=0.1
        )
        self.step, self.log = 0, []

    @property
    def parts(self) -> dict:
        return {
            "systems": self.systems,
            "average": self.average,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
        }

    def save(self) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        unfinished = self.folder / "checkpoint.part"
        torch.save(state | {"step": self.step, "log": self.log}, unfinished)
        unfinished.rename(self.folder / "checkpoint.pt")

    def resume(self) -> None:
        checkpoint = self.folder / "checkpoint.pt"
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.step, self.log = state["step"], state["log"]

    def train_epoch(self, progress: tqdm) -> None:
        epoch = len(self.log)
        done = self.step - epoch * self.steps_per_epoch
        for step in epoch_steps(self.items, self.systems.processor, self.seed, epoch, done):
            loss = self.systems.loss(step)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.systems.parameters(), 5.0)
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.systems)
            self.step += 1
            progress.update()
            progress.set_postfix(loss=f"{loss.item():.3f}")
            if self.step % CHECKPOINT_EVERY == 0:
                self.save()

    def validate(self, items: Sequence[RatedImage]) -> None:
        """Add this epoch's figures, means over the data sets, to the log; keep the averaged weights if nano's SRCC is the best so far."""
        scores = predict(self.average.module, items)
        mos, of_set = np.array([item.mos for item in items]), np.array([item.dataset for item in items])
        sets = [of_set == name for name in dict.fromkeys(of_set)]
        figures = {
            name: {
                "srcc": float(np.mean([spearmanr(found[chosen], mos[chosen]).statistic for chosen in sets])),
                "plcc": float(np.mean([pearsonr(found[chosen], mos[chosen]).statistic for chosen in sets])),
            }
            for name, found in scores.items()
        }
        best = max((entry["nano"]["srcc"] for entry in self.log), default=-1.0)
        self.log.append(figures)
        if figures["nano"]["srcc"] > best or len(self.log) == 1:  # the first counts even where SRCC is undefined
            torch.save(self.average.module.state_dict(), self.folder / "best.pt")
        self.save()
        (self.folder / "log.json").write_text(json.dumps(self.log, indent=1))


def train(
    data: Sequence[Path],
    out: Path,
    epochs: int,
    scale: tuple[float, float] | None = None,
    without: str | None = None,
    seed: int = 0,
) -> list[Path]:
    """Train the systems on data sets (see read_training) and return the folders with the best weights of nano and nano-qalign. Raises
    DataError as read_training does."""
    keep_freed_memory()
    items, validation = read_training(data, scale, without)
    if len(items) < BATCH_SIZE:
        raise DataError(
            f"{len(items)} pictures are left to train on beside those that choose the epoch: give at least {BATCH_SIZE}."
        )
    out.mkdir(parents=True, exist_ok=True)
    training = TrainingRun(out, items, epochs, seed)
    training.resume()
    total = epochs * training.steps_per_epoch
    with tqdm(total=total, initial=training.step, desc="training", unit="step", file=sys.stderr) as progress:
        while len(training.log) < epochs:
            training.train_epoch(progress)
            training.validate(validation)
    systems = best_of(out)
    for name in systems.nanos:
        systems.save(name, out / name)
        systems.float()
    return [out / name for name in systems.nanos]


def best_of(out: Path) -> Systems:
    """The systems with the weights that validation chose. Raises DataError when they were not trained."""
    best = out / "best.pt"
    if not best.exists():
        raise DataError(f"{best} is not there: run python -m model.train --out {out} first.")
    systems = Systems()
    systems.load_state_dict(torch.load(best, weights_only=True))
    return systems.eval()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        nargs="+",
        metavar="PATH",
        help="a clone of github.com/nisarahmedrana/BIQ2021, another published data set's folder, a CSV file or a meta JSON; or several",
    )
    add_scale_option(parser, "of the MOS in a CSV or JSON file")
    parser.add_argument("--out", type=Path, required=True, help="where checkpoints, logs and weights go")
    parser.add_argument("--epochs", type=positive, default=3, help="default: 3")
    parser.add_argument("--without", choices=biq2021.SUBSETS, help="a subset of BIQ2021 to leave out, to be tested on")
    arguments = parser.parse_args()
    return run(lambda: train_all(arguments))


def train_all(arguments: argparse.Namespace) -> int:
    chosen = (arguments.data, arguments.out, arguments.epochs, arguments.scale, arguments.without)
    for folder in train(*chosen):
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
