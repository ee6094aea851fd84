"""The images of a training step: cropped and mirrored, which does not change MOS, and some of them damaged, which lowers it.

A step's images are cropped to one size that fits into all of them. All random choices of a step depend on (seed, epoch, step) only, so
that a resumed training continues with the same images.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from model.backbones.nano.network import NanoProcessor, target_size
from model.datasets.rated import RatedImage
from model.images.damage import TAUGHT, degrade
from model.images.decoding import open_named

BATCH_SIZE = 16
DAMAGED = 4  # images of a batch are added twice more, damaged mildly and severely
SHARES = (0.75, 1.0)  # of the smallest image's height and width that a crop covers
LARGEST = 1024  # pixels of an image's longer side
AHEAD = 3  # steps that are prepared while one is computed


@dataclass(frozen=True)
class Step:
    """pixels [BATCH_SIZE + 2 DAMAGED, 3, H, W]: BATCH_SIZE images, then the first DAMAGED of them damaged mildly, then the same ones
    damaged severely; mos [BATCH_SIZE]; groups [BATCH_SIZE]: the number of each image's data set; severities [2, DAMAGED]."""

    pixels: torch.Tensor
    mos: torch.Tensor
    groups: torch.Tensor
    severities: torch.Tensor

    def to(self, device: torch.device) -> "Step":
        return Step(*(part.to(device) for part in (self.pixels, self.mos, self.groups, self.severities)))


@dataclass(frozen=True)
class Look:
    """A crop of an image: its position as a share of the possible range, its size in pixels of the resized image that scoring uses,
    and whether it is mirrored."""

    left: float
    top: float
    width: int
    height: int
    mirror: bool

    def pixels(self, image: Image.Image, processor: NanoProcessor) -> torch.Tensor:
        """The crop of an RGB image: [3, height, width]."""
        whole = processor.pixels(ImageOps.mirror(image) if self.mirror else image)
        top, left = (
            int(share * (side - seen))
            for share, side, seen in zip((self.top, self.left), whole.shape[1:], (self.height, self.width), strict=True)
        )
        return whole[:, top : top + self.height, left : left + self.width]


def window(images: Sequence[Image.Image], side: int, draw: np.random.Generator) -> tuple[int, int]:
    """Width and height, multiples of 32, of a crop that fits into all images after resizing as for scoring."""
    smallest = np.min([target_size(*image.size, side) for image in images], 0)
    width, height = (
        max(64, int(most * share) // 32 * 32) for most, share in zip(smallest, draw.choice(SHARES, 2), strict=True)
    )
    return width, height


def open_reduced(path: Path) -> Image.Image:
    """An image reduced to at most LARGEST pixels a side, because damage to finer detail would be lost before the model. Raises DataError
    if it cannot be read."""
    image = open_named(path)
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image


def make_step(items: Sequence[RatedImage], processor: NanoProcessor, draw: np.random.Generator) -> Step:
    """The step with these images."""
    images = [open_reduced(item.image) for item in items]
    size = window(images, processor.side, draw)
    looks = [Look(*draw.random(2), *size, bool(draw.integers(2))) for _ in items]
    kinds = draw.choice(list(TAUGHT), DAMAGED)
    mild = draw.uniform(0, 0.5, DAMAGED)
    severities = np.stack([mild, mild + draw.uniform(0.3, 0.5, DAMAGED)])
    seen = [look.pixels(image, processor) for image, look in zip(images, looks, strict=True)]
    for row in severities:
        for image, look, kind, severity in zip(images, looks, kinds, row, strict=False):
            damaged = degrade(image, kind, severity, int(draw.integers(2**31)))
            seen.append(look.pixels(damaged, processor))
    names = list(dict.fromkeys(item.dataset for item in items))
    return Step(
        torch.stack(seen),
        torch.tensor([item.mos for item in items]),
        torch.tensor([names.index(item.dataset) for item in items]),
        torch.tensor(severities, dtype=torch.float32),
    )


def shown_in_epoch(
    items: Sequence[RatedImage], shares: Mapping[str, float], draw: np.random.Generator
) -> list[RatedImage]:
    """The images of an epoch in random order: a random share of each part as given by `shares`, or all of it. Their number does not
    depend on the draw."""
    shuffled = [items[n] for n in draw.permutation(len(items))]
    left = Counter(item.part for item in items)
    left = {part: round(count * shares.get(part, 1.0)) for part, count in left.items()}
    shown = []
    for item in shuffled:
        if left[item.part]:
            left[item.part] -= 1
            shown.append(item)
    return [shown[n] for n in draw.permutation(len(shown))]


def epoch_steps(
    items: Sequence[RatedImage],
    processor: NanoProcessor,
    seed: int,
    epoch: int,
    skip: int,
    shares: Mapping[str, float],
) -> Iterator[Step]:
    """The epoch's steps in order without the first `skip`, prepared ahead in a thread. shares: see shown_in_epoch."""
    shown = shown_in_epoch(items, shares, np.random.default_rng([seed, epoch]))

    def step(number: int) -> Step:
        batch = shown[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]
        return make_step(batch, processor, np.random.default_rng([seed, epoch, number]))

    numbers = range(skip, len(shown) // BATCH_SIZE)
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(step, number) for number in numbers[:AHEAD]]
        for number in numbers:
            ready = coming.pop(0).result()
            if number + AHEAD in numbers:
                coming.append(pool.submit(step, number + AHEAD))
            yield ready
