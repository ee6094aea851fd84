"""Labels of the paper's other systems: numbers of tokens, sets of words, comparisons."""

import math

from model.readouts.levels import LEVEL_WORDS, score_tokens

COUNTS = (1, 3, 5, 7, 9)  # of score tokens; the paper's are 5 and 1
BINARY_WORDS = ("poor", "good")  # Q-Bench
# Compare2Score: what the first image is, beside the second.
COMPARISONS = ("inferior", "worse", "similar", "better", "superior")
# The paper's table 1, worst to best.
WORD_SETS = {
    "common": LEVEL_WORDS,
    "reversed": LEVEL_WORDS[::-1],
    "number": ("one", "two", "three", "four", "five"),
    "random": ("car", "bag", "tree", "fog", "apple"),
    "score tokens": score_tokens(5),
}


def comparison_index(mos_a: float, mos_b: float, std_a: float, std_b: float) -> int:
    """Compare2Score's label of the first image against the second, as an index into COMPARISONS: how many standard deviations of the
    difference lie between their MOS; up to one is "similar", up to two "better" or "worse"."""
    difference, spread = mos_a - mos_b, math.hypot(std_a, std_b)
    steps = 2 if abs(difference) > 2 * spread else 1 if abs(difference) > spread else 0
    return 2 + (steps if difference > 0 else -steps)
