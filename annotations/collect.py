"""What fine-tuning and export take from the ratings: plain records."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotations import database
from annotations.store import open_annotations


@dataclass(frozen=True)
class MosRecord:
    """One image (absolute path) with the MOS of its n raters on 1..5; std is None where n is 1. name: what its file was called when
    it was added, None where that is not known. ratings: of which the MOS is the mean, each with its rater's number."""

    image: Path
    sha256: str
    mos: float
    std: float | None
    n: int
    name: str | None
    ratings: tuple[tuple[int, float], ...] = ()


def collect_mos(data_dir: str | Path, include_revealed: bool = False) -> list[MosRecord]:
    """The MOS of every rated image in order of sha256; empty when nothing was rated, and then nothing is created.

    Raises AnnotationError when there is a database that cannot be read.
    """
    folder = Path(data_dir).absolute()
    path = folder / database.FILE_NAME
    with database.sentences(path):
        if not path.exists():
            return []
    with writable(folder) as opened:
        return [
            MosRecord(
                folder / summary.path.relative_to(opened),
                summary.sha256,
                summary.opinion.mos,
                summary.opinion.std,
                summary.opinion.n,
                summary.name,
                summary.ratings,
            )
            for summary in open_annotations(opened).summaries(include_revealed)
        ]


@contextmanager
def writable(folder: Path) -> Iterator[Path]:
    """The data folder, or where it is read-only a folder with a copy of its database: SQLite writes beside a database in WAL mode even
    to read it, and one of an older version is brought up to date."""
    if os.access(folder, os.W_OK):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="ratings-") as copy:
        with database.sentences(folder / database.FILE_NAME):
            for file in folder.glob(f"{database.FILE_NAME}*"):
                if not file.name.endswith("-shm"):  # an index of the -wal file, made anew
                    shutil.copyfile(file, Path(copy, file.name))
        yield Path(copy)
