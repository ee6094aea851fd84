"""Rated images: what training and evaluation read, which of them are held out, and a hash of all. Plain Python, no torch."""

import random
import statistics
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.common.errors import DataError
from model.common.scale import Scale


@dataclass(frozen=True)
class RatedImage:
    """One image with the MOS of its n raters and their std; both in units of `scale` (low, high), higher is better.

    std: the raters' spread about the MOS, None for n = 1 and where a data set does not publish it. n: None where it is not known.
    scale: None where labels came without one. dataset and split ("training", "validation", "test"): "" where there is none. part: a
    named part of the data set, such as a subset or a kind of degradation. content: what images of one content share, such as their
    reference image; a split must not part them. ratings: (rater, rating) of each rating in the MOS, where they are known; a rater is any
    text that stands for one person in all images.
    """

    image: Path
    mos: float
    std: float | None
    n: int | None
    scale: Scale | None = Scale(1.0, 5.0)
    dataset: str = ""
    split: str = ""
    part: str = ""
    content: str = ""
    ratings: tuple[tuple[str, float], ...] = ()

    def mos_on(self, scale: Scale) -> float:
        """The MOS put linearly onto another scale. Raises DataError where the labels came without a scale."""
        if self.scale is None:
            raise DataError(
                f"the labels of {self.image.name} came without a scale: give it where they are read (--scale)."
            )
        return self.scale.onto(scale, self.mos)

    def on(self, scale: Scale) -> "RatedImage":
        """The same image with MOS and std put linearly onto another scale. Raises DataError as mos_on does."""
        mos = self.mos_on(scale)
        std = None if self.std is None else self.scale.std_onto(scale, self.std)
        ratings = tuple((rater, self.scale.onto(scale, value)) for rater, value in self.ratings)
        return replace(self, mos=mos, std=std, scale=scale, ratings=ratings)

    def rated_by(self, some: Callable[[str], bool]) -> "RatedImage | None":
        """The same image with the MOS of some of its raters; None where none of them rated it."""
        ratings = tuple((rater, value) for rater, value in self.ratings if some(rater))
        if not ratings:
            return None
        values = [value for _, value in ratings]
        std = statistics.stdev(values) if len(values) > 1 else None
        return replace(self, mos=statistics.fmean(values), std=std, n=len(values), ratings=ratings)


def hold_out(images: Sequence[RatedImage], share: float, seed: int = 0) -> tuple[list[RatedImage], list[RatedImage]]:
    """Draw about `share` of the images at random, contents whole: (the others, those held out).

    For data sets that publish no split. Images of one content come together; one without a content is a content of its own.
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
