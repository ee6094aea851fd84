"""The values that this room hands out."""

import math
from dataclasses import dataclass
from pathlib import Path

from annotations.errors import AnnotationError
from annotations.mos import Opinion

# What a rater had seen when voting.
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
class Rating:
    """One vote as it was kept. `seen` is NOTHING or SCORE; `created_at` is ISO 8601 in UTC."""

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
    """Votes ever given (superseded ones too, ratings = blind + revealed), raters and images."""

    ratings: int
    blind: int
    revealed: int
    raters: int
    images: int


@dataclass(frozen=True)
class ImageSummary:
    """What people think of one image. `scores` maps a model's name to the mean of what it showed, put onto 1..5; `name` is what
    its file was called when it was added, None where that is not known."""

    sha256: str
    path: Path
    opinion: Opinion
    scores: dict[str, float]
    name: str | None
