"""The pictures of a training step: cropped and mirrored, which changes no MOS, and some of them damaged, which lowers it.

Everything about a step is drawn from (seed, epoch, step), so that training that was interrupted goes on with the same pictures.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps

from model.backbones.nano import NanoProcessor
from model.degradations import KINDS, degrade
from model.images import open_image
from model.rated import RatedImage

BATCH_SIZE = 16
DAMAGED = 4  # of a batch are shown twice more, damaged mildly and severely
SHARES = (0.5, 0.6, 0.7, 0.8)  # of the picture's height and width that a step looks at
AHEAD = 3  # steps that are made ready while one is computed


@dataclass(frozen=True)
class Step:
    """pixels [BATCH_SIZE + 2 DAMAGED, 3, H, W]: of BATCH_SIZE pictures, then of the first DAMAGED of them damaged mildly, then of the same
    damaged severely; the MOS [BATCH_SIZE]; and how severely [2, DAMAGED]."""

    pixels: torch.Tensor
    mos: torch.Tensor
    severities: torch.Tensor


@dataclass(frozen=True)
class Look:
    """How a step looks at a picture: the window's left and top as shares of where it can lie, its width and height as shares of the
    picture's, and whether mirrored. The scale is the one at which scoring looks."""

    left: float
    top: float
    width: float
    height: float
    mirror: bool

    def pixels(self, picture: Image.Image, processor: NanoProcessor) -> torch.Tensor:
        """What is seen of an RGB picture: [3, h, w], multiples of 32."""
        whole = processor.pixels(ImageOps.mirror(picture) if self.mirror else picture)
        sides = whole.shape[1:]
        height, width = (
            max(64, int(side * share) // 32 * 32) for side, share in zip(sides, (self.height, self.width), strict=True)
        )
        top, left = (
            int(share * (side - seen))
            for share, side, seen in zip((self.top, self.left), sides, (height, width), strict=True)
        )
        return whole[:, top : top + height, left : left + width]


def make_step(items: Sequence[RatedImage], processor: NanoProcessor, draw: np.random.Generator) -> Step:
    """The step that shows these pictures. They have one shape, as BIQ2021's have."""
    width, height = draw.choice(SHARES, 2)
    looks = [Look(*draw.random(2), width, height, bool(draw.integers(2))) for _ in items]
    pictures = [open_image(item.image) for item in items]
    kinds = draw.choice(list(KINDS), DAMAGED)
    mild = draw.uniform(0, 0.5, DAMAGED)
    severities = np.stack([mild, mild + draw.uniform(0.3, 0.5, DAMAGED)])
    seen = [look.pixels(picture, processor) for picture, look in zip(pictures, looks, strict=True)]
    for row in severities:
        for picture, look, kind, severity in zip(pictures, looks, kinds, row, strict=False):
            damaged = degrade(picture, kind, severity, int(draw.integers(2**31)))
            seen.append(look.pixels(damaged, processor))
    mos = torch.tensor([item.mos for item in items])
    return Step(torch.stack(seen), mos, torch.tensor(severities, dtype=torch.float32))


def epoch_steps(
    items: Sequence[RatedImage], processor: NanoProcessor, seed: int, epoch: int, skip: int
) -> Iterator[Step]:
    """The epoch's steps in order, the first `skip` left out, made ready ahead in a thread."""
    order = np.random.default_rng([seed, epoch]).permutation(len(items))

    def step(number: int) -> Step:
        batch = [items[n] for n in order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]]
        return make_step(batch, processor, np.random.default_rng([seed, epoch, number]))

    numbers = range(skip, len(items) // BATCH_SIZE)
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(step, number) for number in numbers[:AHEAD]]
        for number in numbers:
            ready = coming.pop(0).result()
            if number + AHEAD in numbers:
                coming.append(pool.submit(step, number + AHEAD))
            yield ready
