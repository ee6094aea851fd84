"""Train nano, nano-qalign and the plain regressor on BIQ2021.

    python -m model.train --data BIQ2021 --out runs            # all three, one after the other
    python -m model.train --data BIQ2021 --out runs --system nano

The stem of the encoder stays as ImageNet made it, so its output is computed once a picture and kept on disk in half precision;
everything after it is trained. A crop of that map with random height, width and place, perhaps mirrored, stands for the crop of the
picture: neither changes how good a picture looks.

Interrupted, the same command goes on from the last checkpoint: order and crops are drawn from (seed, epoch, step), so the result
is the same. After each epoch the SRCC on the validation part decides whether these weights are the best so far; the test part
is never looked at here (python -m model.evaluate does that).
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr
from torch import nn
from tqdm import tqdm

from model import biq2021
from model.allocator import keep_freed_memory
from model.backbones.lite_encoder import STEM_CHANNELS, LiteEncoder, load_imagenet_weights
from model.backbones.nano import LEVEL_WORDS, SCORE_TOKENS, NanoConfig, NanoModel, NanoProcessor, build_tokenizer
from model.baselines import PlainRegressor
from model.commands import run
from model.images import open_image
from model.learner import Examples, Learner
from model.losses import regression_loss
from model.rated import RatedImage

SIDE = 320  # pixels; the area nano looks at is SIDE x SIDE
CELLS = SIDE // 4  # the stem's map is a quarter as wide
CROPS = (48, 56, 64, 72)  # crop sides in cells: 192 to 288 pixels
BATCH_SIZE = 16
ENCODER_LR, LANGUAGE_LR, WEIGHT_DECAY = 3e-4, 1e-3, 1e-2
CHECKPOINT_EVERY = 100  # steps


class StemCache:
    """The frozen stem's maps of all pictures, float16 [N, 80, 80, 24] on disk: about 300 kB a picture."""

    def __init__(self, path: Path, images: list[Path]):
        self.index = {image: n for n, image in enumerate(images)}
        if not path.exists():
            self._fill(path, images)
        self.maps = np.load(path, mmap_mode="r")

    @staticmethod
    @torch.inference_mode()
    def _fill(path: Path, images: list[Path]) -> None:
        encoder = LiteEncoder()
        load_imagenet_weights(encoder)
        encoder.to(memory_format=torch.channels_last)
        processor = NanoProcessor(build_tokenizer(), side=SIDE)
        unfinished = path.with_suffix(".part")
        shape = (len(images), CELLS, CELLS, STEM_CHANNELS)
        maps = np.lib.format.open_memmap(unfinished, "w+", np.float16, shape)
        with ThreadPoolExecutor(2) as pool:
            for start in tqdm(range(0, len(images), 32), desc="stem", unit="batch", file=sys.stderr):
                batch = images[start : start + 32]
                pixels = torch.stack(list(pool.map(lambda image: processor.pixels(open_image(image)), batch)))
                stem = encoder.forward_stem(pixels.contiguous(memory_format=torch.channels_last))
                maps[start : start + len(batch)] = stem.permute(0, 2, 3, 1).half().numpy()
        maps.flush()
        unfinished.rename(path)

    def batch(self, items: list[RatedImage], crop: tuple[slice, slice], mirror: bool) -> torch.Tensor:
        """Maps [B, 24, h, w] in float32 of these pictures."""
        rows, columns = crop
        maps = np.stack([self.maps[self.index[item.image], rows, columns] for item in items])
        if mirror:
            maps = maps[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(maps)).float().permute(0, 3, 1, 2)


class NanoSystem(nn.Module):
    """nano with one of its two readouts, and the loss that teaches it."""

    def __init__(self, tokens: tuple[str, ...], regress: bool):
        super().__init__()
        self.processor = NanoProcessor(build_tokenizer(), side=SIDE)
        kind = "score_token" if regress else "level"
        config = NanoConfig(
            vocab_size=len(self.processor.tokenizer),
            regressor_widths=(128, 64) if regress else (),
            readout={"kind": kind, "tokens": list(tokens), "scale": list(biq2021.SCALE)},
        )
        self.model = NanoModel(config)
        load_imagenet_weights(self.model.encoder)
        if regress:
            nn.init.constant_(self.model.regressor.output.bias, sum(biq2021.SCALE) / 2)
        self.learner = Learner(self.model, self.processor)

    @property
    def encoder(self) -> LiteEncoder:
        return self.model.encoder

    def image_tokens(self, stem_maps: torch.Tensor) -> torch.Tensor:
        return self.model.connector(self.encoder.forward_from_stem(stem_maps))

    def loss(self, stem_maps: torch.Tensor, mos: torch.Tensor) -> torch.Tensor:
        return self.learner.loss(Examples(self.image_tokens(stem_maps), mos))

    def scores(self, stem_maps: torch.Tensor) -> torch.Tensor:
        return self.learner.predict(self.image_tokens(stem_maps))

    def save(self, folder: Path) -> None:
        self.model.half().save_pretrained(folder)  # float16: half the size; scores move by less than .01
        self.processor.save_pretrained(folder)


class PlainSystem(PlainRegressor):
    """The bar to beat: the same encoder, data, schedule and score losses, without the language model."""

    def __init__(self):
        super().__init__()
        load_imagenet_weights(self.encoder)
        nn.init.constant_(self.output.bias, sum(biq2021.SCALE) / 2)

    def scores(self, stem_maps: torch.Tensor) -> torch.Tensor:
        return self.score_maps(self.encoder.forward_from_stem(stem_maps))

    def loss(self, stem_maps: torch.Tensor, mos: torch.Tensor) -> torch.Tensor:
        scores = self.scores(stem_maps)
        return regression_loss(scores, mos)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.state_dict(), folder / "plain.pt")


SYSTEMS = {
    "nano": lambda: NanoSystem(SCORE_TOKENS, regress=True),
    "nano-qalign": lambda: NanoSystem(LEVEL_WORDS, regress=False),
    "plain": PlainSystem,
}


def epoch_batches(
    items: list[RatedImage], seed: int, epoch: int, skip: int
) -> Iterator[tuple[list[RatedImage], tuple[slice, slice], bool]]:
    """The epoch's batches with their crop and whether mirrored, drawn from (seed, epoch, step) alone; the first `skip` left out."""
    order = np.random.default_rng([seed, epoch]).permutation(len(items))
    for step in range(skip, len(items) // BATCH_SIZE):
        draw = np.random.default_rng([seed, epoch, step])
        height, width = draw.choice(CROPS, 2)
        top, left = draw.integers(CELLS - height + 1), draw.integers(CELLS - width + 1)
        crop = slice(top, top + height), slice(left, left + width)
        batch = [items[n] for n in order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]]
        yield batch, crop, bool(draw.integers(2))


@torch.inference_mode()
def predict(system: nn.Module, cache: StemCache, items: list[RatedImage]) -> np.ndarray:
    """Scores [N] of whole pictures."""
    whole = slice(0, CELLS), slice(0, CELLS)
    system.eval()
    scores = [system.scores(cache.batch(items[n : n + 32], whole, False)) for n in range(0, len(items), 32)]
    system.train()
    return torch.cat(scores).numpy()


class TrainingRun:
    """One system's training: weights, optimiser, schedule and position, kept in one checkpoint file."""

    def __init__(self, name: str, folder: Path, steps_per_epoch: int, epochs: int, seed: int):
        torch.manual_seed(seed)
        self.system = SYSTEMS[name]().to(memory_format=torch.channels_last)
        self.folder, self.steps_per_epoch, self.epochs = folder, steps_per_epoch, epochs
        encoder = self.system.encoder
        for part in (encoder.stem, *encoder.blocks[:3]):
            part.requires_grad_(False)
        in_encoder = set(encoder.parameters())
        language = [p for p in self.system.parameters() if p not in in_encoder]
        groups = [{"params": [p for p in in_encoder if p.requires_grad]}, {"params": language}]
        # A set has no order: sort by name so that a resumed run gives each tensor its own moments.
        position = {p: n for n, p in enumerate(self.system.parameters())}
        groups[0]["params"].sort(key=position.get)
        self.optimizer = torch.optim.AdamW(groups, lr=ENCODER_LR, weight_decay=WEIGHT_DECAY)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, [ENCODER_LR, LANGUAGE_LR], total_steps=epochs * steps_per_epoch + 1, pct_start=0.1
        )
        self.step, self.log = 0, []

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        state = {
            "system": self.system.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "log": self.log,
        }
        unfinished = self.checkpoint.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.rename(self.checkpoint)

    def resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        self.system.load_state_dict(state["system"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.log = state["step"], state["log"]

    def train_epoch(self, cache: StemCache, items: list[RatedImage], seed: int, progress: tqdm) -> None:
        epoch = len(self.log)
        done = self.step - epoch * self.steps_per_epoch
        for batch, crop, mirror in epoch_batches(items, seed, epoch, done):
            mos = torch.tensor([item.mos for item in batch])
            loss = self.system.loss(cache.batch(batch, crop, mirror), mos)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.system.parameters(), 5.0)
            self.optimizer.step()
            self.schedule.step()
            self.step += 1
            progress.update()
            progress.set_postfix(
                loss=f"{loss.item():.3f}", **{k: f"{v:.4f}" for k, v in (self.log[-1] if self.log else {}).items()}
            )
            if self.step % CHECKPOINT_EVERY == 0:
                self.save()

    def validate(self, cache: StemCache, items: list[RatedImage]) -> None:
        """Add this epoch's figures to the log; keep the weights if their SRCC is the best so far."""
        scores, mos = predict(self.system, cache, items), [item.mos for item in items]
        figures = {"srcc": float(spearmanr(scores, mos).statistic), "plcc": float(pearsonr(scores, mos).statistic)}
        best = max((entry["srcc"] for entry in self.log), default=-1.0)
        self.log.append(figures)
        if figures["srcc"] > best or len(self.log) == 1:  # the first counts even where SRCC is undefined
            torch.save(self.system.state_dict(), self.folder / "best.pt")
        self.save()
        (self.folder / "log.json").write_text(json.dumps(self.log, indent=1))


def train(name: str, data: Path, out: Path, epochs: int, seed: int = 0) -> Path:
    """Train one system and return the folder with its best weights. Raises DataError when `data` is not BIQ2021."""
    keep_freed_memory()
    train_items, validation_items = biq2021.train_and_validation(data)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    cache = StemCache(out / "stem.npy", biq2021.all_images(data))
    training = TrainingRun(name, folder, len(train_items) // BATCH_SIZE, epochs, seed)
    training.resume()
    total = epochs * training.steps_per_epoch
    with tqdm(total=total, initial=training.step, desc=name, unit="step", file=sys.stderr) as progress:
        while len(training.log) < epochs:
            training.train_epoch(cache, train_items, seed, progress)
            training.validate(cache, validation_items)
    training.system.load_state_dict(torch.load(folder / "best.pt", weights_only=True))
    training.system.save(folder / "best")
    return folder / "best"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a clone of github.com/nisarahmedrana/BIQ2021")
    parser.add_argument(
        "--out", type=Path, required=True, help="where checkpoints, logs and weights go; 3 GB for the stem's maps"
    )
    parser.add_argument("--system", choices=SYSTEMS, action="append", help="train only this one (may be given again)")
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    return run(lambda: train_all(arguments))


def train_all(arguments: argparse.Namespace) -> int:
    for name in arguments.system or SYSTEMS:
        print(train(name, arguments.data, arguments.out, arguments.epochs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
