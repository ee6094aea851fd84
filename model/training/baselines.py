"""What the method is measured against: a plain regressor on the same encoder, with no language model between."""

import torch
import torch.nn.functional as F
from torch import nn

from model.backbones.nano.connector import STATISTICS, Standardised


class PlainRegressor(nn.Module):
    """One hidden layer of 256 units over the statistics of the encoder's maps."""

    def __init__(self):
        super().__init__()
        self.standardised = Standardised(sum(STATISTICS))
        self.hidden = nn.Linear(sum(STATISTICS), 256)
        self.output = nn.Linear(256, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features [B, WIDTH] as nano's connector takes them to scores [B]; the grid's are left out."""
        statistics = features[:, : sum(STATISTICS)]
        return self.output(F.relu(self.hidden(self.standardised(statistics)))).squeeze(-1)
