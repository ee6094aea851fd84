"""Regressors: from the hidden state that predicts the score token to the score."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

LEAST_VARIANCE = 1e-4  # squared units of the scale


class Regressor(nn.Module):
    """Hidden states [..., D] to scores [...]: a linear layer and ReLU for each width, then a linear layer to one number (paper section 4).

    A block whose input and output widths are equal adds its input (the released code's rule; never the case for the published 2048, 1024).
    No widths: a single linear layer, as in VideoScore. with_variance: a second output, which `score_and_variance` turns into the score's
    variance (paper appendix C.1, first method).
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
