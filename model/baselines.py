"""What the method is measured against: a plain regressor on the same encoder, with no language model between."""

import torch
import torch.nn.functional as F
from torch import nn

from model.backbones.lite_encoder import TAP_CHANNELS, LiteEncoder, channel_statistics


def pooled(maps: list[torch.Tensor]) -> torch.Tensor:
    """Four feature maps [B, C, H, W] to each channel's mean and standard deviation over the picture, side by side [B, 992]."""
    return torch.cat([channel_statistics(m) for m in maps], 1)


class PlainRegressor(nn.Module):
    """The encoder, pooled, and one hidden layer of 256 units: pictures to scores [B]."""

    def __init__(self):
        super().__init__()
        self.encoder = LiteEncoder()
        width = 2 * sum(TAP_CHANNELS)
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, 256)
        self.output = nn.Linear(256, 1)

    def score_maps(self, maps: list[torch.Tensor]) -> torch.Tensor:
        return self.output(F.relu(self.hidden(self.norm(pooled(maps))))).squeeze(-1)
