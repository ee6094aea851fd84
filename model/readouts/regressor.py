"""Regressors: from the hidden state that predicts the score token to the score."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

LEAST_VARIANCE = 1e-4  # squared units of the scale


class Regressor(nn.Module):
    """Hidden states [..., D] to scores [...]: linear and ReLU for each width, then one number (paper section 4).

    A block whose two widths agree adds its input (the released code's rule; never so for the published 2048, 1024). No widths: one linear
    layer, as VideoScore has. with_variance: a second number beside the score, from which `score_and_variance` makes its variance
    (paper appendix C.1, the first way).
    """

    def __init__(self, hidden_size: int, widths: Sequence[int], with_variance: bool = False):
        super().__init__()
        sizes = [hidden_size, *widths]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.output = nn.Linear(sizes[-1], 2 if with_variance else 1)

    def _outputs(self, hidden: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            new = F.relu(layer(hidden))
            hidden = hidden + new if new.shape == hidden.shape else new
        return self.output(hidden)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._outputs(hidden)[..., 0]

    def score_and_variance(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores [...] and their variances [...], in squared units, above LEAST_VARIANCE. Raises IndexError without with_variance."""
        outputs = self._outputs(hidden)
        return outputs[..., 0], F.softplus(outputs[..., 1]) + LEAST_VARIANCE
