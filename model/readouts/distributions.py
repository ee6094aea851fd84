"""Distributions of the score of each image in a batch, in units of the scale."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Pieces:
    """A mixture of uniform distributions: piece n of image b has probability probabilities[b, n] and covers centre +- width / 2. Width 0
    is a single value.

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
    """A normal distribution for each image: mean [B] and std [B]."""

    mean: torch.Tensor
    std: torch.Tensor

    @property
    def variance(self) -> torch.Tensor:
        """[B], in squared units."""
        return self.std.square()


Distribution = Pieces | Normal
