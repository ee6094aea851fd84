"""Which standard deviations ratings on a scale can have. Pure functions."""

import math

from model.common.scale import Scale

SLACK = 1.01  # published figures are rounded


def largest_std(scale: Scale, n: int | None) -> float:
    """The largest sample std (n - 1 below) of n ratings on the scale: half of them at either end. Where n is not known, or 1: the scale's
    width, which is more than any."""
    width = scale[1] - scale[0]
    return width if n is None or n < 2 else width / 2 * math.sqrt(n / (n - 1))


def why_no_std(std: float | None, n: int | None, scale: Scale | None, what: str = "std") -> str | None:
    """A sentence where `std` cannot be that of n ratings on the scale (None: not known); None where it can, or there is none."""
    if std is None:
        return None
    if not math.isfinite(std):
        return f"the {what} is {std:g}, not a number"
    if std < 0:
        return f"the {what} is {std:g}, and none can be negative"
    if scale and std > SLACK * largest_std(scale, n):
        most = f"that of {n or 'any'} ratings on the scale {scale[0]:g} to {scale[1]:g} is at most {largest_std(scale, n):.3g}"
        return f"the {what} is {std:g}, and {most}"
    return None
