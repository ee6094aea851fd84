"""What the Score tab does with files: images and videos in, scores out; one that cannot be scored gives its sentence."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import Refused
from app.fair_queue import page_is_gone
from app.known_scores import KnownScores
from app.session import Scored
from app.shown_images import is_video
from app.shown_names import file_name
from model.backbones.spec import QUALITY
from model.common.errors import ImageError, ScoringFailed
from model.scoring.assessment import Assessment, Failure
from model.scoring.output import write_csv

if TYPE_CHECKING:
    from model.scoring.scorer import Scorer

VIDEO = "video"
MOST_FILES = 500  # at once; the results of all stand on the page


def each_once(paths: Sequence[str]) -> list[str]:
    """The files of one upload without repetitions. Raises Refused for more than MOST_FILES."""
    files = list(dict.fromkeys(paths))
    if len(files) > MOST_FILES:
        raise Refused(
            f"These are {len(files)} files, and at most {MOST_FILES} are scored at once: add the others afterwards, or use "
            "the command python -m model.score."
        )
    return files


def score_files(scorer: "Scorer", paths: Sequence[str], task: str, known: KnownScores) -> Iterator[Scored | Failure]:
    """Each file's score, in order: of an image for `task`, of a video for its quality; what is `known` is not computed again. Raises
    ModelError when the model knows no such task, Refused when the page was closed meanwhile."""
    asking = scorer.asking(task)
    digests = {path: file_sha256(path) for path in paths if Path(path).is_file()}
    ready = {
        path: assessment
        for path, sha256 in digests.items()
        if (assessment := known.get(scorer.name, scorer.revision, task, sha256, path)) and not is_video(path)
    }
    images = asking.assess_files([path for path in paths if not is_video(path) and path not in ready])
    for path in paths:
        if page_is_gone():
            raise Refused("The page was closed before its files were scored.")
        outcome = ready.get(path) or (score_video(scorer, path) if is_video(path) else next(images))
        if isinstance(outcome, Assessment):
            known.keep(outcome, task, digests[path])
            outcome = Scored(Path(path), outcome, digests[path], task)
        yield outcome


def score_video(scorer: "Scorer", path: str) -> Scored | Failure:
    """One video's score, and which of its frames it comes from."""
    asking = scorer.asking(VIDEO)
    try:
        clip = asking.prepare_video(path)
        (assessment,) = asking.assess_prepared([clip], [path], batch_size=1)
    except (ImageError, ScoringFailed) as error:
        return Failure(path, str(error))
    return Scored(
        Path(path), assessment, file_sha256(path), VIDEO, frames_in_words(len(clip.pixels), asking.most_frames)
    )


def file_sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def frames_in_words(frames: int, most: int) -> str:
    """How much of a video was looked at."""
    if frames == most:
        return f"its first {frames} seconds, one frame each; what follows is not looked at"
    return f"{frames} frames, one a second" if frames > 1 else "1 frame"


def invitation(videos: Sequence[str], model: str, public: bool) -> str:
    """What to do about videos that the model in use does not take."""
    names = ", ".join(dict.fromkeys(map(file_name, videos)))
    if public:
        return f"{model} looks at images only. Q-Scorer Studio on your own machine also scores {names}, with the model one-align."
    return f"{model} looks at images only. To score {names}, pick one-align as the model: it takes videos too."


def csv_file(results: Sequence[Scored], failures: Sequence[Failure]) -> str:
    """A CSV with the columns of `python -m model.score --format csv`, image by file name, and the task of each where one is not quality;
    returns its path, in which the file's name tells what was asked for."""
    tasks = [scored.task for scored in results]
    asked = set(tasks) - {QUALITY, VIDEO}
    path = Path(tempfile.mkdtemp(prefix="scores-"), "-".join([*asked, "scores"]) + ".csv")
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        outcomes = [*(scored.assessment for scored in results), *failures]
        named = (replace(outcome, image=file_name(outcome.image)) for outcome in outcomes)
        write_csv(file, named, None if set(tasks) <= {QUALITY} else [*tasks, *[""] * len(failures)])
    return str(path)
