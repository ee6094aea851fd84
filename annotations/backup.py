"""A data folder as one file: `python -m annotations.backup DATA OUT.zip`, also while the app runs."""

import argparse
import os
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from annotations import database
from annotations.command_line import follow
from annotations.errors import AnnotationError
from annotations.store import open_annotations


def back_up(data_dir: Path, out: Path) -> None:
    """Write ratings, rated images and adapters to a zip file, which is there in whole or not at all and replaces an earlier one.

    The database is copied at one moment (https://sqlite.org/backup.html), before the images, of which none that it lists is ever
    changed. Raises AnnotationError when there is no database, or the file cannot be written.
    """
    source = data_dir.absolute() / database.FILE_NAME
    if not source.is_file():
        raise AnnotationError(f"{data_dir} has no {database.FILE_NAME}: name the app's data folder.")
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=out.absolute().parent) as beside:
            copy, packed = Path(beside, database.FILE_NAME), Path(beside, "packed.zip")
            _copy_database(source, copy)
            with zipfile.ZipFile(packed, "w") as file:  # stored: images and weights are compressed already
                file.write(copy, database.FILE_NAME, zipfile.ZIP_DEFLATED)
                for path in _files(source.parent):
                    file.write(path, path.relative_to(source.parent).as_posix())
            with packed.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(packed, out)
    except OSError as error:
        raise AnnotationError(
            f"{error.filename or out} cannot be read or written ({error.strerror}): no backup was made."
        ) from error


def _copy_database(source: Path, copy: Path) -> None:
    with database.reading(source) as db, closing(sqlite3.connect(copy, isolation_level=None)) as target:
        db.conn.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file; restoring chooses the journal anew


def _files(data_dir: Path) -> Iterator[Path]:
    """The images that are kept, and the files of finished adapters."""
    annotations = open_annotations(data_dir)
    yield from annotations.image_files()
    adapters = data_dir / "adapters"
    for path in sorted(adapters.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(adapters).parts)  # as unfinished ones are
        if path.is_file() and not hidden:
            yield path


def main() -> int:
    """The command; 0 when the backup was written, 2 after one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m annotations.backup", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="the app's data folder")
    parser.add_argument("out", type=Path, metavar="OUT.zip", help="the file to write; an earlier one is replaced")

    def act(given: argparse.Namespace) -> None:
        back_up(given.data, given.out)
        counts = open_annotations(given.data).counts()
        print(
            f"{given.out}: {counts.ratings} ratings of {counts.images} images, {given.out.stat().st_size / 1e6:.1f} MB"
        )

    return follow(parser, act)


if __name__ == "__main__":
    sys.exit(main())
