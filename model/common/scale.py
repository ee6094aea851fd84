"""A scale (lowest and highest score; higher is better), and linear maps between scales."""

from typing import NamedTuple


class Scale(NamedTuple):
    """(low, high); in JSON a list of the two. The methods take numbers, arrays or tensors."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def share(self, value):
        """The value's position: 0 at the low end, 1 at the high end."""
        return (value - self.low) / self.width

    def onto(self, other: "Scale", value):
        """A value of this scale, mapped linearly onto another."""
        return other.low + self.share(value) * other.width

    def std_onto(self, other: "Scale", std):
        """A standard deviation of this scale, in units of another."""
        return std * other.width / self.width
