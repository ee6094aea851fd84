"""What nano's encoder, as ImageNet made it, sees in each image: computed once, kept on disk, and read by trainings that leave it frozen.

    features = FrozenFeatures(Path("runs"), images)      # one pass over the images, or none where they lie there
    tokens = nano.connector(features.of(some))             # [B, 20, D]

The file's name holds a revision: a hash of the encoder's weights, of how images come to it and of which images they are, so that a file
that another encoder made is never read.
"""

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from model.backbones.nano.connector import GRID, WIDTH, summarise
from model.backbones.nano.encoder import LiteEncoder, load_imagenet_weights
from model.datasets.image_paths import check_there
from model.images.decoding import open_named

SIDE = 320  # pixels; images are looked at as a square of this side
BATCH = 16
CPU = torch.device("cpu")


def frozen_encoder() -> LiteEncoder:
    """The encoder with ImageNet's weights: it has seen no opinion score."""
    encoder = LiteEncoder().requires_grad_(False).eval()
    load_imagenet_weights(encoder)
    return encoder.to(memory_format=torch.channels_last)


def encoder_revision(encoder: LiteEncoder) -> str:
    """A hash of the encoder's weights: 12 hexadecimal figures."""
    digest = hashlib.sha256()
    for name, weight in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def look(image: Image.Image) -> torch.Tensor:
    """An RGB image to what the encoder takes: [3, 320, 320], (rgb - 127) / 128."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return (torch.from_numpy(np.array(small, np.float32)) - 127.0).div_(128.0).permute(2, 0, 1)


class FrozenFeatures:
    """Features of images, float16 on disk: 12 kB an image. encoder: the revision of the encoder that saw them. Raises DataError for an
    image that is not there or cannot be read."""

    def __init__(self, folder: Path, images: Sequence[Path], device: torch.device = CPU):
        check_there(images)
        encoder = frozen_encoder()
        self.encoder = encoder_revision(encoder)
        self.index = {image: n for n, image in enumerate(images)}
        path = folder / f"features-{self._revision(images)}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _fill(path, encoder.to(device), images, device)
        self.values = np.load(path, mmap_mode="r")

    def _revision(self, images: Sequence[Path]) -> str:
        """A hash of all that decides the file's content, but for the images' pixels, for which name and size in bytes stand."""
        parts = [self.encoder, str((SIDE, GRID, WIDTH)), *(f"{p.name} {p.stat().st_size}" for p in images)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def of(self, images: Sequence[Path]) -> torch.Tensor:
        """Features [N, WIDTH] in float32 of some of the images, in their order."""
        return torch.from_numpy(self.values[[self.index[image] for image in images]].astype(np.float32))


@torch.inference_mode()
def _fill(path: Path, encoder: LiteEncoder, images: Sequence[Path], device: torch.device) -> None:
    unfinished = path.with_suffix(".part")
    values = np.lib.format.open_memmap(unfinished, "w+", np.float16, (len(images), WIDTH))
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(images), BATCH), desc="features", unit="batch", file=sys.stderr):
            batch = images[start : start + BATCH]
            pixels = torch.stack(list(pool.map(lambda image: look(open_named(image)), batch)))
            maps = encoder(pixels.to(device, memory_format=torch.channels_last))
            values[start : start + len(batch)] = summarise(maps).cpu().numpy()
    values.flush()
    unfinished.rename(path)
