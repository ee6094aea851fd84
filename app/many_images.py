"""Many images through several models: scored once, with the labels that came along, and how the models agree with these and each other."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from app.errors import Refused
from app.fair_queue import page_is_gone
from app.limits import MINUTE
from app.loaded_scorers import Scorers
from app.score_files import file_sha256
from app.shown_names import file_name, short
from model.backbones.spec import QUALITY
from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.labels_csv import read_labels
from model.datasets.rated import RatedImage
from model.evaluation.evaluating import compared, evaluate
from model.evaluation.metrics import figures
from model.scoring.assessment import Assessment, Failure

MOST_IMAGES = 2000
AT_ONCE = 24  # images between two looks at whether others want their turn, and at a public page's limit


@dataclass(frozen=True)
class Answers:
    """One model's assessments by position in the list of images, and its failures."""

    model: str
    revision: str
    readout: str
    scale: Scale
    assessments: dict[int, Assessment]
    failures: dict[int, Failure]

    @cached_property
    def scores(self) -> dict[int, float]:
        return {n: assessment.score for n, assessment in self.assessments.items()}


@dataclass(frozen=True)
class Many:
    """What was asked of several models. labels: by position, None for an image without; unused: how many labels have no image here.
    stopped: the visitor ended it before all was scored."""

    paths: list[Path]
    digests: list[str]
    labels: list[RatedImage | None]
    unused: int
    answers: list[Answers]
    stopped: bool

    @cached_property
    def names(self) -> list[str]:
        return [file_name(path) for path in self.paths]

    @cached_property
    def systems(self) -> dict[str, Mapping[int, float]]:
        return {answer.model: answer.scores for answer in self.answers}

    @cached_property
    def scored(self) -> list[int]:
        """The images that every model has scored."""
        return [n for n in range(len(self.paths)) if all(n in answer.assessments for answer in self.answers)]

    @cached_property
    def labelled(self) -> list[int]:
        """Those of them that have a MOS."""
        return [n for n in self.scored if self.labels[n]]


def sorted_out(files: Sequence[str]) -> tuple[list[Path], Path | None]:
    """The images of an upload, each name once, and its CSV file of labels. Raises Refused."""
    paths = [Path(file) for file in dict.fromkeys(files)]
    tables = [path for path in paths if path.suffix.lower() == ".csv"]
    images = [path for path in paths if path not in tables]
    if len(tables) > 1:
        raise Refused("These are several CSV files: give one, with the columns image and mos.")
    if not images:
        raise Refused("There are no images yet: drop or choose some, and labels.csv if you have one.")
    if len(images) > MOST_IMAGES:
        raise Refused(
            f"These are {len(images):,} images, and at most {MOST_IMAGES:,} are compared at once here: use the command."
        )
    names = [file_name(path) for path in images]
    if tables and (twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]):
        raise Refused(f"Two images are called {twice[0]}, so it is not clear which one the labels mean: rename one.")
    return images, tables[0] if tables else None


def labels_of(images: Sequence[Path], table: Path | None) -> tuple[list[RatedImage | None], int]:
    """Each image's label by its name, and how many labels have no image here. Raises DataError, with the file's name for its path."""
    if table is None:
        return [None] * len(images), 0
    place = {file_name(path): n for n, path in enumerate(images)}
    with tempfile.TemporaryDirectory() as folder:
        # The reader looks for names in a folder. It may hold no more than these names: a table can name any file of this machine.
        for name in place:
            Path(folder, name).touch()
        try:
            rated = read_labels(table, folder)
        except DataError as error:
            raise DataError(str(error).replace(str(table), file_name(table))) from error
    found: list[RatedImage | None] = [None] * len(images)
    for label in rated:
        if (n := place.get(label.image.name)) is not None and found[n] is None:
            found[n] = replace(label, image=images[n])
    return found, len(rated) - sum(map(bool, found))


def score_many(
    files: Sequence[str],
    specs: Sequence[str],
    scorers: Scorers,
    allow: Callable[[list[Path]], None],
    progress: Callable[..., Any],
    stopped: Callable[[], bool],
) -> Many:
    """Score images by each model; what was scored before is not scored again. allow: raises Refused while a public page's limit is reached.
    Raises ModelError, Refused, DataError."""
    images, table = sorted_out(files)
    labels, unused = labels_of(images, table)
    digests, answers = [file_sha256(path) for path in images], []
    for at, spec in enumerate(specs):
        scorer = scorers.get(spec)
        assessments: dict[int, Assessment] = {}
        failures: dict[int, Failure] = {}
        for n, (path, sha256) in enumerate(zip(images, digests, strict=True)):
            if known := scorers.known.get(scorer.name, scorer.revision, QUALITY, sha256, str(path)):
                assessments[n] = known
        new = [n for n in range(len(images)) if n not in assessments]
        for start in range(0, len(new), AT_ONCE):
            chunk = new[start : start + AT_ONCE]
            if stopped() or not _allowed(allow, [images[n] for n in chunk], progress, stopped):
                break
            for n, outcome in zip(chunk, scorer.assess_files([images[n] for n in chunk]), strict=True):
                if isinstance(outcome, Failure):
                    failures[n] = outcome
                else:
                    assessments[n] = outcome
                    scorers.known.keep(outcome, QUALITY, digests[n])
                done = at * len(images) + len(assessments) + len(failures)
                progress((done, len(specs) * len(images)), desc=f"Scoring with {short(scorer.name)}", unit="images")
                if page_is_gone():
                    raise Refused("The page was closed before its images were scored.")
                if stopped():
                    break
        answers.append(Answers(scorer.name, scorer.revision, scorer.readout, scorer.scale, assessments, failures))
        if stopped():
            break
    return Many(images, digests, labels, unused, answers, stopped())


def _allowed(allow: Callable, paths: list[Path], progress: Callable, stopped: Callable[[], bool]) -> bool:
    """Wait until a public page's limit has room for these images; False if the visitor stops it."""
    deadline = time.monotonic() + 2 * MINUTE
    while not stopped():
        try:
            allow(paths)
            return True
        except Refused:
            if time.monotonic() > deadline:
                raise
        if page_is_gone():
            raise Refused("The page was closed before its images were scored.")
        progress(None, desc="Waiting: a visitor may have a limited number of images scored within a minute here")
        time.sleep(1)
    return False


class Replay:
    """A scorer that repeats given answers, for `evaluate`."""

    def __init__(self, answer: Answers, chosen: Sequence[int]) -> None:
        self.name, self.revision, self.readout, self.scale = answer.model, answer.revision, answer.readout, answer.scale
        self._outcomes = [answer.assessments[n] for n in chosen]

    def assess_files(self, paths, batch_size: int = 8):
        return iter(self._outcomes)


def reports(many: Many) -> list[dict]:
    """The report of each model on the labelled images (model/evaluate.py describes it); all but the first have the key `paired`, the
    comparison of the first with it. Empty without labels."""
    rated = [label for n in many.labelled if (label := many.labels[n])]
    if not rated:
        return []
    evaluations = [evaluate(Replay(answer, many.labelled), rated) for answer in many.answers]
    return [evaluations[0].report] + [
        other.report | {"paired": compared(evaluations[0], other, rated)["paired"]} for other in evaluations[1:]
    ]


def agreements(many: Many) -> list[tuple[str, dict]]:
    """How each other model agrees with the first: its name, and the figures of its scores against the first's."""
    first, *others = many.answers
    return [
        (other.model, figures([other.scores[n] for n in many.scored], [first.scores[n] for n in many.scored]))
        for other in others
    ]
