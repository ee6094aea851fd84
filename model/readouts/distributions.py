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

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """`count` independent scores of each image: [count, B]."""
        pieces = torch.multinomial(self.probabilities, count, replacement=True, generator=generator)  # [B, count]
        centres, widths = (p.expand_as(self.probabilities).gather(1, pieces) for p in (self.centres, self.widths))
        offsets = torch.rand(pieces.shape, generator=generator, device=pieces.device) - 0.5
        return (centres + widths * offsets).T


@dataclass(frozen=True)
class Normal:
    """A normal distribution of each image: mean [B] and std [B]."""

    mean: torch.Tensor
    std: torch.Tensor

    @property
    def variance(self) -> torch.Tensor:
        """[B], in squared units."""
        return self.std.square()

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """`count` independent scores of each image: [count, B]. They may lie outside of the scale."""
        drawn = torch.randn(count, len(self.mean), generator=generator, device=self.mean.device)
        return self.mean + self.std * drawn


Distribution = Pieces | Normal
