"""Calibration of nano's score-token distribution: its central 90 % should contain 90 % of the validation part's MOS.

The score tokens' logits are divided by one temperature, in the weights. The most probable token and the regressed score do not change.
"""

import torch

from model.backbones.nano.backbone import NanoBackbone
from model.common.scale import Scale
from model.readouts.reading import over_intervals

COVERED = 0.9
LARGEST = 8.0  # temperature; its inverse is the smallest
HALVINGS = 30


def coverage(logits: torch.Tensor, mos: torch.Tensor, scale: Scale, temperature: float = 1.0) -> float:
    """The share of MOS [N] within the central COVERED of the distribution given by token logits [N, K] divided by the temperature."""
    below = over_intervals((logits.float() / temperature).softmax(1), scale).below(mos)
    tail = (1 - COVERED) / 2
    return ((below > tail) & (below < 1 - tail)).float().mean().item()


def fit_temperature(logits: torch.Tensor, mos: torch.Tensor, scale: Scale) -> float:
    """The temperature at which COVERED of the MOS [N] are covered, limited to [1/LARGEST, LARGEST]."""
    low, high = 1 / LARGEST, LARGEST
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if coverage(logits, mos, scale, middle) >= COVERED else (middle, high)
    return high


@torch.no_grad()
def calibrate(nano: NanoBackbone, logits: torch.Tensor, mos: torch.Tensor) -> float:
    """Divide the score tokens' rows of lm_head by the temperature fitted to token logits [N, K] and MOS [N]; returns the temperature."""
    temperature = fit_temperature(logits, mos, nano.readout.scale)
    nano.model.lm_head.weight[nano.readout.token_ids] /= temperature
    return temperature
