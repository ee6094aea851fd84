"""Q-Scorer's regressor: an MLP from the hidden state that predicts the score token to the score."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


class Regressor(nn.Module):
    """Hidden states [..., D] to scores [...]: linear and ReLU for each width, then one number (paper section 4; FACTS 5.1).

    A block whose two widths agree adds its input (the released code's rule; never so for the published 2048, 1024).
    """

    def __init__(self, hidden_size: int, widths: Sequence[int]):
        super().__init__()
        sizes = [hidden_size, *widths]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.output = nn.Linear(sizes[-1], 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            new = F.relu(layer(hidden))
            hidden = hidden + new if new.shape == hidden.shape else new
        return self.output(hidden).squeeze(-1)
