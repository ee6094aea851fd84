"""What nano looks at in a picture: the whole, made small, and a few crops in which fine detail is still there.

Noise and compression live in single pixels and are gone once a photograph is made small; composition, light and blur are not. So the
encoder sees both: the whole picture on the area of a square of `side` pixels, and CROPS squares of CROP pixels cut from
the picture at (at most) the area of a square of FINE_SIDE pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

CROP = 128  # pixels
FINE_SIDE = 512  # photographs of more pixels are made smaller first, so that detail has about the size it had in training
CENTRES = ((0.25, 0.25), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0.75, 0.75))  # of the crops, as shares of width and height
CROPS = len(CENTRES)


@dataclass(frozen=True)
class Views:
    """One picture, or with one dimension more in front of each a batch: whole [3, H, W] and crops [N, 3, CROP, CROP], float32,
    (rgb - 127) / 128."""

    whole: torch.Tensor
    crops: torch.Tensor

    @property
    def shape_key(self) -> torch.Size:
        """Pictures whose wholes have one shape go through the model together."""
        return self.whole.shape

    def to(self, device: torch.device, dtype: torch.dtype) -> "Views":
        return Views(self.whole.to(device, dtype), self.crops.to(device, dtype))


def together(pictures: Sequence[Views]) -> Views:
    """The views of pictures that have one shape_key as a batch."""
    return Views(torch.stack([p.whole for p in pictures]), torch.stack([p.crops for p in pictures]))


def target_size(width: int, height: int, side: int) -> tuple[int, int]:
    """The size at which the whole is looked at: the area of a `side` x `side` square in the picture's own proportions, each
    side a multiple of 32 and at least 64. Proportions beyond 16:1 are squeezed to it."""
    ratio = min(max(width / height, 1 / 16), 16) ** 0.5
    return max(64, round(side * ratio / 32) * 32), max(64, round(side / ratio / 32) * 32)


def fine_picture(picture: Image.Image) -> Image.Image:
    """The picture that crops are cut from: no more pixels than a square of FINE_SIDE has, and no side shorter than a crop."""
    width, height = picture.size
    scale = max(min(1.0, FINE_SIDE / (width * height) ** 0.5), CROP / min(width, height))
    if scale == 1.0:
        return picture
    size = max(CROP, round(width * scale)), max(CROP, round(height * scale))
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def cut(picture: Image.Image, across: float, down: float) -> Image.Image:
    """The crop whose centre lies `across` and `down` (shares of width and height), moved inside where it would stick out."""
    left = min(max(round(across * picture.width) - CROP // 2, 0), picture.width - CROP)
    top = min(max(round(down * picture.height) - CROP // 2, 0), picture.height - CROP)
    return picture.crop((left, top, left + CROP, top + CROP))


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """An RGB picture to [3, H, W] float32, (rgb - 127) / 128."""
    return (torch.from_numpy(np.array(picture, dtype=np.float32)) - 127.0).div_(128.0).permute(2, 0, 1)


def views(picture: Image.Image, side: int) -> Views:
    """The views of an RGB picture of any size."""
    # reducing_gap lets a photograph of many megapixels be box-filtered down first; at 3 the result looks the same.
    fine = fine_picture(picture)
    whole = picture.resize(target_size(*picture.size, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return Views(to_tensor(whole), torch.stack([to_tensor(cut(fine, *centre)) for centre in CENTRES]))
