"""How a rater answers, whatever the answers are: too fast to have looked, and the same answer again and again.

These are signs and no proof, so they flag a rater for the study's owner and leave nothing out by themselves.
"""

from collections.abc import Sequence
from itertools import groupby

FAST = 0.8  # seconds; our choice: an image has to be looked at, and a key to be pressed
FAST_SHARE = 0.1  # of the ratings with a known time
AT_LEAST = 10  # ratings, fewer are not judged
RUN = 15  # equal ratings in a row; where half of 300 ratings are of one value, 1 rater in 230 gives so many by chance


def fast_ratings(seconds: Sequence[float | None]) -> tuple[int, int]:
    """How many of a rater's ratings took less than FAST seconds, and how many have a known time (not None)."""
    known = [one for one in seconds if one is not None]
    return sum(one < FAST for one in known), len(known)


def longest_run(values: Sequence[float]) -> int:
    """The most equal ratings in a row, in the order in which they were given."""
    return max((sum(1 for _ in same) for _, same in groupby(values)), default=0)


def habits_in_words(seconds: Sequence[float | None], values: Sequence[float]) -> str | None:
    """What stands out in a rater's ratings, in the order in which they were given; None where nothing does."""
    (fast, known), run = fast_ratings(seconds), longest_run(values)
    said = []
    if known >= AT_LEAST and fast > FAST_SHARE * known:
        said.append(f"{fast} of {known} ratings took less than {FAST:g} s")
    if run >= RUN:
        said.append(f"the same rating {run} times in a row")
    return "; ".join(said) or None
