"""What nano's encoder, as ImageNet made it, sees in each picture: computed once, kept on disk, and read by trainings that leave it frozen.

    features = FrozenFeatures(Path("runs"), pictures)      # one pass over the pictures, or none where they lie there
    tokens = FeatureConnector(256, features.of(training))(features.of(some))      # [B, 20, 256]

The file's name holds a revision: a hash of the encoder's weights, of how pictures come to it and of which pictures they are, so that a file
that another encoder made is never read.
"""

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from tqdm import tqdm

from model.backbones.lite_encoder import TAP_CHANNELS, LiteEncoder, channel_statistics, load_imagenet_weights
from model.images import open_image

SIDE = 320  # pixels; pictures are looked at as a square of this side
GRID = 4  # the coarsest map is kept as GRID x GRID means
STATISTICS = tuple(2 * channels for channels in TAP_CHANNELS)  # mean and std of each channel of each map
WIDTH = sum(STATISTICS) + GRID * GRID * TAP_CHANNELS[-1]
LEAST_STD = 1e-3  # of a feature; one that never changes says nothing
BATCH = 16


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


def look(picture: Image.Image) -> torch.Tensor:
    """An RGB picture to what the encoder takes: [3, 320, 320], (rgb - 127) / 128."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return (torch.from_numpy(np.array(small, np.float32)) - 127.0).div_(128.0).permute(2, 0, 1)


def summarise(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """An encoder's four maps to features [B, WIDTH]: each map's channel statistics, then the 4 x 4 means of the coarsest map."""
    grid = F.adaptive_avg_pool2d(maps[-1], GRID).flatten(2).transpose(1, 2)
    return torch.cat([*(channel_statistics(m) for m in maps), grid.flatten(1)], 1)


class FrozenFeatures:
    """Features of pictures, float16 on disk: 12 kB a picture. encoder: the revision of the encoder that saw them."""

    def __init__(self, folder: Path, pictures: Sequence[Path]):
        encoder = frozen_encoder()
        self.encoder = encoder_revision(encoder)
        self.index = {picture: n for n, picture in enumerate(pictures)}
        path = folder / f"features-{self._revision(pictures)}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _fill(path, encoder, pictures)
        self.values = np.load(path, mmap_mode="r")

    def _revision(self, pictures: Sequence[Path]) -> str:
        """A hash of all that decides the file's content, but for the pictures' pixels, for which name and size in bytes stand."""
        parts = [self.encoder, str((SIDE, GRID, WIDTH)), *(f"{p.name} {p.stat().st_size}" for p in pictures)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def of(self, pictures: Sequence[Path]) -> torch.Tensor:
        """Features [N, WIDTH] in float32 of some of the pictures, in their order."""
        return torch.from_numpy(self.values[[self.index[picture] for picture in pictures]].astype(np.float32))


@torch.inference_mode()
def _fill(path: Path, encoder: LiteEncoder, pictures: Sequence[Path]) -> None:
    unfinished = path.with_suffix(".part")
    values = np.lib.format.open_memmap(unfinished, "w+", np.float16, (len(pictures), WIDTH))
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(pictures), BATCH), desc="features", unit="batch", file=sys.stderr):
            batch = pictures[start : start + BATCH]
            pixels = torch.stack(list(pool.map(lambda picture: look(open_image(picture)), batch)))
            maps = encoder(pixels.contiguous(memory_format=torch.channels_last))
            values[start : start + len(batch)] = summarise(maps).numpy()
    values.flush()
    unfinished.rename(path)


class FeatureConnector(nn.Module):
    """Features [B, WIDTH] to 20 image tokens [B, 20, D]: one of each map's statistics, 16 of the grid. What stands for nano's connector
    where only features are kept of the maps; it is trained.

    shown [N, WIDTH]: the features of the training pictures. Each feature is taken less its mean and by its standard deviation over them; in
    a trial on ss01 and ss02, 3 epochs of one seed, that raised the SRCC on the validation part from .752 to .777.
    """

    def __init__(self, hidden_size: int, shown: torch.Tensor):
        super().__init__()
        self.register_buffer("mean", shown.mean(0))
        self.register_buffer("std", shown.std(0, correction=0) + LEAST_STD)
        self.statistics = nn.ModuleList(nn.Linear(width, hidden_size) for width in STATISTICS)
        self.grid = nn.Linear(TAP_CHANNELS[-1], hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.kind = nn.Parameter(torch.zeros(len(STATISTICS) + GRID * GRID, hidden_size))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        *statistics, grid = ((features - self.mean) / self.std).split([*STATISTICS, GRID * GRID * TAP_CHANNELS[-1]], 1)
        tokens = [project(part).unsqueeze(1) for project, part in zip(self.statistics, statistics, strict=True)]
        cells = grid.unflatten(1, (GRID * GRID, TAP_CHANNELS[-1]))
        return self.norm(torch.cat([*tokens, self.grid(cells)], 1)) + self.kind
