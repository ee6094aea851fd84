"""The training data of fine-tuning: the held-out split, a check that there are enough images, and a hash. Plain Python, no torch."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from model.common.errors import DataError
from model.datasets.rated import RatedImage
from model.scoring.assessment import Failure

MIN_IMAGES = 8  # fewer are not enough to learn from
HELD_OUT_SHARE = 0.2
MIN_HELD_OUT = 3  # a correlation of two points is always 1 or -1


@dataclass(frozen=True)
class Split:
    """Positions of the images to train on and of the held-out images, both ascending."""

    train: list[int]
    held_out: list[int]


def split(digests: Sequence[str], seen_before: Sequence[str] = ()) -> Split:
    """Hold out a fifth of the images, at least three: those with the smallest SHA-256 `digests`.

    This is as good as random, and repeatable. Images that a resumed adapter was trained on (`seen_before`) are never held out, since
    figures on them would be too optimistic; so fewer than three images, or none, may be held out.
    """
    seen = set(seen_before)
    unseen = sorted((digest, position) for position, digest in enumerate(digests) if digest not in seen)
    count = max(MIN_HELD_OUT, round(HELD_OUT_SHARE * len(digests)))
    held_out = {position for _, position in unseen[:count]}
    return Split([position for position in range(len(digests)) if position not in held_out], sorted(held_out))


def check_enough(count: int, failures: Sequence[Failure] = ()) -> None:
    """Raises DataError when `count` readable images are too few to learn from; the message names the first unreadable image."""
    if count >= MIN_IMAGES:
        return
    unread = (
        f" ({len(failures)} more cannot be read, such as {failures[0].image}: {failures[0].error})" if failures else ""
    )
    raise DataError(
        f"{count} rated images are too few to learn from{unread}: rate at least {MIN_IMAGES}, better 50 or more, and run this again."
    )


def data_hash(rated: Sequence[RatedImage], digests: Sequence[str]) -> str:
    """SHA-256 over the images' digests with their MOS, std, n and scale; independent of order and paths."""
    rows = sorted([digest, r.mos, r.std, r.n, *r.scale] for r, digest in zip(rated, digests, strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
