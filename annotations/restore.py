"""A data folder from a backup: `python -m annotations.restore OUT.zip DATA`."""

import argparse
import re
import shutil
import sys
import zipfile
from pathlib import Path

from annotations import database
from annotations.command_line import follow
from annotations.errors import AnnotationError
from annotations.images import image_sha256
from annotations.store import open_annotations

UNPACKED = ".restoring"  # in the new data folder, which may be a mount: nothing could be renamed into its place
ALLOWED = re.compile(
    rf"{re.escape(database.FILE_NAME)}|images/[0-9a-f]{{2}}/[0-9a-f]{{64}}\.[a-z0-9]{{2,8}}|adapters/[^\\:\0]+"
)


def restore(backup: Path, data_dir: Path) -> None:
    """Make a data folder of a file that `back_up` wrote. The database comes last: until then the folder is none.

    Raises AnnotationError, and leaves the folder as it was, when it is not empty, or the file is damaged or not such a backup.
    """
    folder = data_dir.absolute()
    unpacked = folder / UNPACKED
    try:
        if folder.is_dir() and any(path.name not in (UNPACKED, "lost+found") for path in folder.iterdir()):
            raise AnnotationError(f"{data_dir} is not empty: name a new folder, or put that one aside.")
        made = not folder.exists()
        shutil.rmtree(unpacked, ignore_errors=True)  # of a restore that was killed
        unpacked.mkdir(parents=True)
        try:
            _unpack(backup, unpacked)
            _check(backup, unpacked)
            for part in sorted(unpacked.iterdir(), key=lambda path: path.name == database.FILE_NAME):
                part.rename(folder / part.name)
        finally:
            shutil.rmtree(unpacked)
            if made and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise AnnotationError(
            f"{error.filename or data_dir} cannot be read or written ({error.strerror}): nothing was restored."
        ) from error


def _unpack(backup: Path, unpacked: Path) -> None:
    try:
        with zipfile.ZipFile(backup) as file:
            for entry in file.infolist():
                parts = entry.filename.split("/")
                if not ALLOWED.fullmatch(entry.filename) or any(part in ("", ".", "..") for part in parts):
                    raise AnnotationError(
                        f"{backup} is not a backup: it holds {entry.filename[:80]!r}. Nothing was restored."
                    )
                path = unpacked.joinpath(*parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                with file.open(entry) as packed, path.open("xb") as written:
                    shutil.copyfileobj(packed, written)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, FileExistsError) as error:
        raise AnnotationError(f"{backup} is damaged or not a backup ({error}): nothing was restored.") from error


def _check(backup: Path, unpacked: Path) -> None:
    """Raises AnnotationError when the database is lacking, damaged or newer, or an image is not the one that was rated."""
    path = unpacked / database.FILE_NAME
    if not path.is_file():
        raise AnnotationError(f"{backup} is not a backup: it holds no {database.FILE_NAME}. Nothing was restored.")
    with database.reading(path) as db:
        sound = db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    if not sound:
        raise AnnotationError(f"the database in {backup} is damaged: nothing was restored.")
    with database.sentences(path):
        database.fit_journal(path)
    for image in open_annotations(unpacked).image_files():
        if not image.is_file() or image_sha256(image.read_bytes()) != image.stem:
            raise AnnotationError(f"the image {image.name} in {backup} is missing or damaged: nothing was restored.")


def main() -> int:
    """The command; 0 when the folder was restored, 2 after one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m annotations.restore", description=__doc__)
    parser.add_argument("backup", type=Path, metavar="OUT.zip", help="a file that python -m annotations.backup wrote")
    parser.add_argument("data", type=Path, metavar="DATA", help="the new data folder: missing or empty")

    def act(given: argparse.Namespace) -> None:
        restore(given.backup, given.data)
        counts = open_annotations(given.data).counts()
        print(f"{given.data}: {counts.ratings} ratings of {counts.images} images are back")

    return follow(parser, act)


if __name__ == "__main__":
    sys.exit(main())
