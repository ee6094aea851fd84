"""Distributions of a score, as readouts give them: what is left open about each image of a batch, on the scale's units."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Pieces:
    """A mixture: piece n of an image has probability probabilities[b, n] and is uniform over centre +- width / 2; width 0 is one value.

    probabilities [B, N]; centres and widths [N] or [B, N], in units of the scale.
    """

    probabilities: torch.Tensor
    centres: torch.Tensor
    widths: torch.Tensor

    @property
    def mean(self) -> torch.Tensor:
        """[B]"""
        return (self.probabilities * self.centres).sum(1)

    @property
    def variance(self) -> torch.Tensor:
        """[B], in squared units."""
        away = (self.centres - self.mean[:, None]).square() + self.widths.square() / 12
        return (self.probabilities * away).sum(1)

    @property
    def std(self) -> torch.Tensor:
        """[B]"""
        return self.variance.clamp(min=0).sqrt()

    def below(self, values: torch.Tensor) -> torch.Tensor:
        """The probability [B] of a score of at most values [B]."""
        low, width = self.centres - self.widths / 2, self.widths.clamp(min=torch.finfo(self.widths.dtype).tiny)
        return (self.probabilities * ((values[:, None] - low) / width).clamp(0, 1)).sum(1)


@dataclass(frozen=True)
class Normal:
    """A normal distribution of each image: mean [B] and std [B]."""

    mean: torch.Tensor
    std: torch.Tensor

    @property
    def variance(self) -> torch.Tensor:
        """[B], in squared units."""
        return self.std.square()


Distribution = Pieces | Normal
