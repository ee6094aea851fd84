"""What the owner of a study asks for: one YAML file, docs/studies.md has its fields."""

import re
from dataclasses import dataclass
from functools import lru_cache

from annotations.errors import AnnotationError
from annotations.studies.fields import Fields, is_number, read_fields

ACR, CONTINUOUS = "acr", "continuous"
# Absolute category rating, five points, worst first (ITU-T P.910, clause 7.1).
ACR_LABELS = ("Bad", "Poor", "Fair", "Good", "Excellent")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
FIELDS = (
    "study",
    "title",
    "question",
    "scale",
    "labels",
    "images",
    "ratings_per_image",
    "session_length",
    "instructions",
    "training",
    "gold",
    "traps",
    "repeats",
    "blind",
    "reveal",
    "seed",
)


@dataclass(frozen=True)
class RatingScale:
    """What raters answer on: `acr` is the whole numbers 1 to 5 with a label each, `continuous` any number from 0 to 100 whose labels
    stand evenly along it. Worst first."""

    kind: str
    labels: tuple[str, ...]

    @property
    def low(self) -> float:
        return 1.0 if self.kind == ACR else 0.0

    @property
    def high(self) -> float:
        return 5.0 if self.kind == ACR else 100.0

    def clean(self, value: float) -> float:
        """A rating on this scale as a float; raises AnnotationError for anything else."""
        if not is_number(value) or not self.low <= value <= self.high or (self.kind == ACR and value != int(value)):
            what = "a whole number" if self.kind == ACR else "a number"
            raise AnnotationError(f"A rating here must be {what} from {self.low:g} to {self.high:g}, not {value!r}.")
        return float(value)


@dataclass(frozen=True)
class Special:
    """A training, gold or trapping image of a definition, and the line that names it. `accept`: the ratings that are right, both ends
    included, of a gold or trapping image; `explanation`: what a rater is told after rating a training image."""

    image: str
    line: int
    accept: tuple[float, float] | None = None
    explanation: str | None = None


@dataclass(frozen=True)
class Definition:
    """A study as its file describes it; the fields are those of the file."""

    study: str
    title: str
    question: str
    scale: RatingScale
    images: tuple[str, ...]
    ratings_per_image: int
    session_length: int
    instructions: str
    training: tuple[Special, ...]
    gold: tuple[Special, ...]
    traps: tuple[Special, ...]
    repeats: float
    blind: bool
    reveal: bool
    seed: int

    def specials(self) -> dict[str, tuple[Special, ...]]:
        """Training, gold and trapping images by their kind."""
        return {"training": self.training, "gold": self.gold, "trap": self.traps}


@lru_cache(maxsize=64)
def parse(text: str, file: str) -> Definition:
    """The definition in the text of a YAML file called `file`; raises AnnotationError that names the line and the field."""
    fields = read_fields(text, file, FIELDS)
    name = fields.text("study")
    if not NAME.fullmatch(name):
        fields.wrong("study", f"must be of a-z, 0-9, - and _, at most 60 characters, not {name!r}")
    scale = _scale(fields)
    blind, reveal, repeats = (
        fields.flag("blind", True),
        fields.flag("reveal", False),
        fields.number("repeats", 0, 0.5, 0.08),
    )
    if blind and reveal and repeats:
        fields.wrong(
            "reveal", "needs `repeats: 0` in a blind study: an image whose score was shown is not rated blind again"
        )
    return Definition(
        study=name,
        title=fields.text("title", name, longest=200),
        question=fields.text("question", longest=500),
        scale=scale,
        images=fields.texts("images"),
        ratings_per_image=fields.whole("ratings_per_image", 1, 100_000, 15),
        session_length=fields.whole("session_length", 1, 10_000, 100),
        instructions=fields.text("instructions", ""),
        training=tuple(
            Special(one.text("image"), one.line, explanation=one.text("explanation", ""))
            for one in fields.each("training", ("image", "explanation"))
        ),
        gold=_with_answers(fields, "gold", scale),
        traps=_with_answers(fields, "traps", scale),
        repeats=repeats,
        blind=blind,
        reveal=reveal,
        seed=fields.whole("seed", 0, 2**63 - 1, 0),
    )


def _scale(fields: Fields) -> RatingScale:
    kind = fields.choice("scale", (ACR, CONTINUOUS), ACR)
    labels = fields.texts("labels", ACR_LABELS)
    if kind == ACR and len(labels) != 5:
        fields.wrong("labels", f"must be five, worst first, not {len(labels)}")
    if not 2 <= len(labels) <= 11:
        fields.wrong("labels", f"must be 2 to 11, worst first, not {len(labels)}")
    return RatingScale(kind, labels)


def _with_answers(fields: Fields, name: str, scale: RatingScale) -> tuple[Special, ...]:
    return tuple(
        Special(one.text("image"), one.line, accept=one.span("accept", scale.low, scale.high))
        for one in fields.each(name, ("image", "accept"))
    )
