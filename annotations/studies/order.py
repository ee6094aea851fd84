"""What kind of image a rater is shown at each place of a session: plain functions of the study's seed, tested without a database."""

import random
from collections.abc import Sequence

GOLD_IN_A_SESSION = 2
TRAPS_IN_A_SESSION = 1


def generator(seed: int, study: int, rater: int, *what: int) -> random.Random:
    """The random numbers of one rater for one purpose: the same whenever they are asked for, and others for everybody else."""
    return random.Random(":".join(map(str, (seed, study, rater, *what))))


def session_kinds(rng: random.Random, length: int, gold: int, traps: int, repeats: float) -> list[str]:
    """The kinds of the `length` places of one session: "test", "gold", "trap" or "repeat".

    `gold` and `traps` are how many of these images the rater has not seen; a session takes at most two of the one and one of the other.
    Repeats, a share of all places, stand in the second half, each repeating an image of the first: at least a few images lie between.
    None of these comes first.
    """
    kinds = ["test"] * length
    first_repeat = (length + 1) // 2
    late = rng.sample(range(first_repeat, length), min(round(length * repeats), length - first_repeat))
    free = [place for place in range(1, length) if place not in late]
    count = min(traps, TRAPS_IN_A_SESSION) + min(gold, GOLD_IN_A_SESSION)
    special = rng.sample(free, min(count, len(free) // 2))
    names = ["trap"] * min(traps, TRAPS_IN_A_SESSION) + ["gold"] * min(gold, GOLD_IN_A_SESSION)
    for place in late:
        kinds[place] = "repeat"
    for place, name in zip(special, names, strict=False):
        kinds[place] = name
    return kinds


def to_repeat(rng: random.Random, tests: Sequence[str], repeated: set[str]) -> str | None:
    """The image that a repeat shows again: one of the first half of the session's test images, each at most once."""
    candidates = [image for image in tests[: (len(tests) + 1) // 2] if image not in repeated]
    return rng.choice(candidates) if candidates else None
