"""The pictures of a training step: cropped and mirrored, which changes no MOS, and some of them damaged, which lowers it.

Everything about a step is drawn from (seed, epoch, step), so that training that was interrupted goes on with the same pictures.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps

from model.backbones.nano_views import Views, cut, fine_picture, target_size, to_tensor, together
from model.degradations import KINDS, degrade
from model.images import open_image
from model.rated import RatedImage

BATCH_SIZE = 16
DAMAGED = 4  # of a batch are shown twice more, damaged mildly and severely
TRAINED_CROPS = 2  # a picture; fewer than scoring takes, at random places
SHARES = (0.65, 0.75, 0.85, 0.95)  # of the whole's height and width that a step looks at
AHEAD = 3  # steps that are made ready while one is computed


@dataclass(frozen=True)
class Step:
    """Views of BATCH_SIZE pictures, then of DAMAGED of them damaged mildly, then of the same damaged severely; the MOS [BATCH_SIZE]; and
    how severely [2, DAMAGED]."""

    views: Views
    mos: torch.Tensor
    severities: torch.Tensor


@dataclass(frozen=True)
class Look:
    """How a step looks at its pictures: the part of the whole (shares: left, top, width, height), where the crops lie, mirrored or not."""

    window: tuple[float, float, float, float]
    centres: tuple[tuple[float, float], ...]
    mirror: bool


def draw_look(draw: np.random.Generator, width: float, height: float) -> Look:
    """A look of its own for each picture; width and height of the window are the batch's."""
    window = draw.uniform(0, 1 - width), draw.uniform(0, 1 - height), width, height
    centres = tuple(tuple(draw.uniform(0, 1, 2)) for _ in range(TRAINED_CROPS))
    return Look(window, centres, bool(draw.integers(2)))


def looked_at(picture: Image.Image, look: Look, side: int) -> Views:
    """The views of an RGB picture under `look`: the scale is the one at which scoring looks, the part is smaller."""
    picture = ImageOps.mirror(picture) if look.mirror else picture
    left, top, width, height = look.window
    whole = picture.resize(target_size(*picture.size, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    w, h = (max(64, int(length * share) // 32 * 32) for length, share in zip(whole.size, (width, height), strict=True))
    x, y = int(left * whole.width), int(top * whole.height)
    x, y = min(x, whole.width - w), min(y, whole.height - h)
    crops = torch.stack([to_tensor(cut(picture, *centre)) for centre in look.centres])
    return Views(to_tensor(whole.crop((x, y, x + w, y + h))), crops)


def make_step(items: Sequence[RatedImage], side: int, draw: np.random.Generator) -> Step:
    """The step that shows these pictures. They have one shape, as BIQ2021's have."""
    width, height = draw.choice(SHARES, 2)
    looks = [draw_look(draw, width, height) for _ in items]
    pictures = [fine_picture(open_image(item.image)) for item in items]
    kinds = draw.choice(list(KINDS), DAMAGED)
    mild = draw.uniform(0, 0.5, DAMAGED)
    severities = np.stack([mild, mild + draw.uniform(0.3, 0.5, DAMAGED)])
    seen = [looked_at(picture, look, side) for picture, look in zip(pictures, looks, strict=True)]
    for row in severities:
        for picture, look, kind, severity in zip(pictures, looks, kinds, row, strict=False):
            damaged = degrade(picture, kind, severity, int(draw.integers(2**31)))
            seen.append(looked_at(damaged, look, side))
    mos = torch.tensor([item.mos for item in items])
    return Step(together(seen), mos, torch.tensor(severities, dtype=torch.float32))


def epoch_steps(items: Sequence[RatedImage], side: int, seed: int, epoch: int, skip: int) -> Iterator[Step]:
    """The epoch's steps in order, the first `skip` left out, made ready ahead in a thread."""
    order = np.random.default_rng([seed, epoch]).permutation(len(items))

    def step(number: int) -> Step:
        batch = [items[n] for n in order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]]
        return make_step(batch, side, np.random.default_rng([seed, epoch, number]))

    numbers = range(skip, len(items) // BATCH_SIZE)
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(step, number) for number in numbers[:AHEAD]]
        for number in numbers:
            ready = coming.pop(0).result()
            if number + AHEAD in numbers:
                coming.append(pool.submit(step, number + AHEAD))
            yield ready
