"""Rated images: what training and evaluation read, which of them are held out, and a hash of all. Plain Python, no torch."""

import hashlib
import json
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.assessment import Failure
from model.errors import DataError

MIN_IMAGES = 8  # fewer say nothing about anybody's taste
HELD_OUT_SHARE = 0.2
MIN_HELD_OUT = 3  # a correlation of two points is always 1 or -1


@dataclass(frozen=True)
class RatedImage:
    """One image with the MOS of its n raters and their std; both in units of `scale` (low, high), higher is better.

    std: the raters' spread about the MOS, None for n = 1 and where a data set does not publish it. n: None where it is not known.
    scale: None where labels came without one. dataset and split ("training", "validation", "test"): "" where there is none. part: a
    named part of the data set, such as a subset or a kind of degradation. content: what pictures of one content share, such as their
    reference picture; a split must not part them.
    """

    image: Path
    mos: float
    std: float | None
    n: int | None
    scale: tuple[float, float] | None = (1.0, 5.0)
    dataset: str = ""
    split: str = ""
    part: str = ""
    content: str = ""

    def mos_on(self, scale: tuple[float, float]) -> float:
        """The MOS put linearly onto another scale. Raises DataError where the labels came without a scale."""
        if self.scale is None:
            raise DataError(
                f"the labels of {self.image.name} came without a scale: give it where they are read (--scale)."
            )
        low, high = self.scale
        return scale[0] + (self.mos - low) / (high - low) * (scale[1] - scale[0])

    def on(self, scale: tuple[float, float]) -> "RatedImage":
        """The same image with MOS and std put linearly onto another scale. Raises DataError as mos_on does."""
        mos, width = self.mos_on(scale), scale[1] - scale[0]
        std = None if self.std is None else self.std * width / (self.scale[1] - self.scale[0])
        return replace(self, mos=mos, std=std, scale=scale)


@dataclass(frozen=True)
class Split:
    """Positions of the images to train on and of those held out, both ascending."""

    train: list[int]
    held_out: list[int]


def split(digests: Sequence[str], seen_before: Sequence[str] = ()) -> Split:
    """Hold out a fifth of the images, at least three: those whose SHA-256 `digests` come first.

    The digest of a picture is as good as a draw, and the same images are held out whenever the command is run again.
    What an adapter that is continued was trained on (`seen_before`) is never held out: figures on it would flatter;
    then fewer than three, even none, may be left.
    """
    seen = set(seen_before)
    unseen = sorted((digest, position) for position, digest in enumerate(digests) if digest not in seen)
    count = max(MIN_HELD_OUT, round(HELD_OUT_SHARE * len(digests)))
    held_out = {position for _, position in unseen[:count]}
    return Split([position for position in range(len(digests)) if position not in held_out], sorted(held_out))


def hold_out(images: Sequence[RatedImage], share: float, seed: int = 0) -> tuple[list[RatedImage], list[RatedImage]]:
    """Draw about `share` of the images at random, contents whole: (the others, those held out).

    For data sets that publish no split. Pictures of one content come together; one without a content is a content of its own.
    """
    contents: dict[str, list[RatedImage]] = {}
    for image in images:
        contents.setdefault(image.content or str(image.image), []).append(image)
    shuffled = list(contents.values())
    random.Random(seed).shuffle(shuffled)
    kept, held_out = [], []
    for group in shuffled:
        (held_out if len(held_out) < share * len(images) else kept).extend(group)
    return kept, held_out


def leave_out(images: Sequence[RatedImage], parts: Collection[str]) -> list[RatedImage]:
    """The images that are in none of the parts and share no content with one that is: what may be trained on where these parts are to
    be tested on."""
    seen = {image.content for image in images if image.part in parts} - {""}
    return [image for image in images if image.part not in parts and image.content not in seen]


def check_enough(count: int, failures: Sequence[Failure] = ()) -> None:
    """Raises DataError when `count` readable images are too few to learn from; the sentence names the first that could not be read."""
    if count >= MIN_IMAGES:
        return
    unread = (
        f" ({len(failures)} more cannot be read, {failures[0].image} for one: {failures[0].error})" if failures else ""
    )
    raise DataError(
        f"{count} rated images are too few to learn from{unread}: rate at least {MIN_IMAGES}, better 50 or more, and run this again."
    )


def data_hash(rated: Sequence[RatedImage], digests: Sequence[str]) -> str:
    """SHA-256 over the images' digests with their MOS, std and n, whatever their order and wherever they lie."""
    rows = sorted([digest, r.mos, r.std, r.n, *r.scale] for r, digest in zip(rated, digests, strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
