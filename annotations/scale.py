"""The scale that people rate on."""

import math

from annotations.errors import AnnotationError

# Absolute category rating, five points: 1 bad, 2 poor, 3 fair, 4 good, 5 excellent (ITU-T P.910, ITU-R BT.500).
RATING_SCALE = (1.0, 5.0)


def clean_value(value: float) -> float:
    """A rating as a float; raises AnnotationError when it is not a number on RATING_SCALE."""
    low, high = RATING_SCALE
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        raise AnnotationError(f"A rating must be a number from {low:g} to {high:g}, not {value!r}.")
    return number
