"""The values that this room hands out."""

import math
from dataclasses import dataclass
from pathlib import Path

from annotations.errors import AnnotationError
from annotations.mos import Opinion

# What a rater had seen when rating.
NOTHING = "nothing"
SCORE = "score"


@dataclass(frozen=True)
class ShownScore:
    """A model's score as a rater saw it, on the model's own scale (low, high).

    Raises AnnotationError when the score is not a finite number or the scale runs backwards.
    """

    model: str
    revision: str
    score: float
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        low, high = self.scale
        if not (math.isfinite(self.score) and -math.inf < low < high < math.inf):
            raise AnnotationError(f"{self.model} showed no usable score: {self.score} on the scale {low} to {high}.")


@dataclass(frozen=True)
class Presentation:
    """One showing of one image to one rater. `key` is unguessable; `seen` is NOTHING or SCORE, at the time of the showing."""

    id: int
    key: str
    rater: str
    sha256: str
    study: str | None
    seen: str


@dataclass(frozen=True)
class ImageProblem:
    """An image that could not be shown to a rater, and why. `name` is what its file was called, None where that is not known."""

    sha256: str
    name: str | None
    sentence: str
    created_at: str


@dataclass(frozen=True)
class Rating:
    """One rating as it was kept. `seen` is NOTHING or SCORE, and `shown` the score that was seen before it; `created_at` is ISO 8601
    in UTC. Databases from before exposures were kept have blind ratings whose `shown` was revealed after them."""

    id: int
    rater: str
    sha256: str
    value: float
    scale: tuple[float, float]
    seen: str
    shown: ShownScore | None
    study: str | None
    supersedes: int | None
    created_at: str


@dataclass(frozen=True)
class Progress:
    """How many images of a queue a rater has rated."""

    done: int
    total: int


@dataclass(frozen=True)
class Counts:
    """Ratings ever given (superseded ones too, ratings = blind + revealed), those who gave them, and images."""

    ratings: int
    blind: int
    revealed: int
    raters: int
    images: int


@dataclass(frozen=True)
class ImageSummary:
    """What people think of one image. `name` is what its file was called when it was added, None where that is not known.
    `ratings`: those that count, each with its rater's number, which is not their name."""

    sha256: str
    path: Path
    opinion: Opinion
    name: str | None
    ratings: tuple[tuple[int, float], ...] = ()
