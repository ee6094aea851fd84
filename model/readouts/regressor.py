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


class HyperRegressor(nn.Module):
    """Hidden states [B, D] to scores [B] by a network whose weights are made for each image (paper eqs. 31 and 32, after HyperIQA).

    A hyper network D -> units -> P, with ReLU, makes all P weights of a target network D -> TARGET_WIDTH -> 1, which reads the same
    hidden state. The paper gives `units` (16 and 64) and not the target's width.
    """

    TARGET_WIDTH = 16

    def __init__(self, hidden_size: int, units: int):
        super().__init__()
        self.shapes = [(self.TARGET_WIDTH, hidden_size), (self.TARGET_WIDTH,), (1, self.TARGET_WIDTH), (1,)]
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        self.sizes = sizes
        self.hidden = nn.Linear(hidden_size, units)
        self.output = nn.Linear(units, sum(sizes))
        # At first every image gets nearly the network that PyTorch would draw; what differs between images is learned.
        target = nn.Sequential(nn.Linear(hidden_size, self.TARGET_WIDTH), nn.Linear(self.TARGET_WIDTH, 1))
        with torch.no_grad():
            self.output.weight.mul_(0.1)
            self.output.bias.copy_(torch.cat([p.flatten() for p in target.parameters()]))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        made = self.output(F.relu(self.hidden(hidden))).split(self.sizes, dim=-1)
        first, first_bias, second, second_bias = (
            part.unflatten(-1, shape) for part, shape in zip(made, self.shapes, strict=True)
        )
        inner = F.relu(torch.einsum("boi,bi->bo", first, hidden) + first_bias)
        return (torch.einsum("boi,bi->bo", second, inner) + second_bias).squeeze(-1)


def build_regressor(
    hidden_size: int, widths: Sequence[int], hyper_units: int = 0, middle: float = 0.0, with_variance: bool = False
) -> "Regressor | HyperRegressor":
    """An untrained regressor, whose scores begin about `middle`; with hyper_units a HyperRegressor instead of one with `widths`."""
    if hyper_units:
        hyper = HyperRegressor(hidden_size, hyper_units)
        nn.init.constant_(hyper.output.bias[-1:], middle)
        return hyper
    head = Regressor(hidden_size, widths, with_variance)
    nn.init.constant_(head.output.bias[:1], middle)
    return head
