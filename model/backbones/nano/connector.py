"""From the four feature maps of nano's encoder, of an image of any size, to the decoder's 20 image tokens.

    maps --summarise--> features [B, 6112] --NanoConnector--> image tokens [B, 20, D]

Training with a frozen encoder may cache the features on disk (model/paper/frozen_features.py).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from model.backbones.nano.encoder import TAP_CHANNELS, channel_statistics

GRID = 4  # the coarsest map is averaged to GRID x GRID tokens
IMAGE_TOKENS = len(TAP_CHANNELS) + GRID * GRID
STATISTICS = tuple(2 * channels for channels in TAP_CHANNELS)  # mean and std of each channel of each map
WIDTH = sum(STATISTICS) + GRID * GRID * TAP_CHANNELS[-1]
LEAST_STD = 1e-3  # added to the std of each feature, since some are constant


def summarise(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """The four maps to features [B, WIDTH]: each map's channel statistics (sharpness, noise), then the GRID x GRID means of the coarsest
    map (content and layout)."""
    grid = F.adaptive_avg_pool2d(maps[-1], GRID).flatten(2).transpose(1, 2)
    return torch.cat([*(channel_statistics(m) for m in maps), grid.flatten(1)], 1)


class Standardised(nn.Module):
    """Standardises features [B, width] by mean and standard deviation over the first training images; the identity until `fit`. In a trial
    with a frozen encoder (ss01 and ss02 of BIQ2021, 3 epochs, one seed) this raised the validation SRCC from .752 to .777."""

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    @torch.no_grad()
    def fit(self, shown: torch.Tensor) -> None:
        """Take mean and std from features [N, width]."""
        self.mean.copy_(shown.mean(0))
        self.std.copy_(shown.std(0, correction=0) + LEAST_STD)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self.mean) / self.std


class NanoConnector(nn.Module):
    """Features [B, WIDTH] to image tokens [B, 20, D]: one for each map's statistics, 16 for the grid."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.standardised = Standardised(WIDTH)
        self.statistics = nn.ModuleList(nn.Linear(width, hidden_size) for width in STATISTICS)
        self.grid = nn.Linear(TAP_CHANNELS[-1], hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.kind = nn.Parameter(torch.zeros(IMAGE_TOKENS, hidden_size))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        *statistics, grid = self.standardised(features).split([*STATISTICS, WIDTH - sum(STATISTICS)], 1)
        tokens = [project(part).unsqueeze(1) for project, part in zip(self.statistics, statistics, strict=True)]
        cells = grid.unflatten(1, (GRID * GRID, TAP_CHANNELS[-1]))
        return self.norm(torch.cat([*tokens, self.grid(cells)], 1)) + self.kind
