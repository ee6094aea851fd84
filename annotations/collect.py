"""What fine-tuning and export take from the ratings: plain records."""

from dataclasses import dataclass
from pathlib import Path

from annotations import database
from annotations.store import open_annotations


@dataclass(frozen=True)
class MosRecord:
    """One image (absolute path) with the MOS of its n raters on 1..5; std is None where n is 1. name: what its file was called when
    it was added, None where that is not known."""

    image: Path
    sha256: str
    mos: float
    std: float | None
    n: int
    name: str | None


def collect_mos(data_dir: str | Path, include_revealed: bool = False) -> list[MosRecord]:
    """The MOS of every rated image in order of sha256; empty when nothing was rated, and then nothing is created.

    Raises AnnotationError when there is a database that cannot be read.
    """
    path = Path(data_dir, database.FILE_NAME)
    with database.sentences(path):
        if not path.exists():
            return []
    return [
        MosRecord(
            summary.path, summary.sha256, summary.opinion.mos, summary.opinion.std, summary.opinion.n, summary.name
        )
        for summary in open_annotations(data_dir).summaries(include_revealed)
    ]
