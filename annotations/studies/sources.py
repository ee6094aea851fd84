"""The image files that a definition names: folders, CSV files of paths, zip archives and single files."""

import csv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annotations.errors import AnnotationError
from annotations.images import MAX_BYTES, OTHER_SPELLINGS, SUFFIXES, check_size

KINDS = {*SUFFIXES, *OTHER_SPELLINGS}


@dataclass(frozen=True)
class Source:
    """An image file: on disk, or (`member`) in the zip archive at `path`. `name` is its path within what the definition named."""

    name: str
    path: Path
    member: str | None = None

    @property
    def suffix(self) -> str:
        return Path(self.member or self.path).suffix

    def read(self) -> bytes:
        """The file; raises AnnotationError where it cannot be read, is empty or too large."""
        try:
            if self.member is None:
                data = self.path.read_bytes()
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                    data = file.read(MAX_BYTES + 1)
        except (
            OSError,
            zipfile.BadZipFile,
            RuntimeError,
            NotImplementedError,
        ) as error:  # encrypted; unknown compression
            raise AnnotationError(f"{self.path} / {self.name} cannot be read ({error}).") from error
        check_size(data)
        return data


def find_sources(place: str, base: Path) -> list[Source]:
    """The images that one item of `images:` stands for, in the order of their names (a CSV: of its lines).

    `place` is relative to the folder `base`. Raises AnnotationError where there is none.
    """
    path = base / place
    try:
        if path.is_dir():
            found = _in_folder(path)
        elif path.suffix.lower() == ".csv":
            found = list(_in_csv(path))
        elif path.suffix.lower() == ".zip":
            found = _in_zip(path)
        elif path.is_file():
            found = [Source(path.name, path)]
        else:
            raise AnnotationError(f"{path} is neither a folder nor a file: images are relative to the definition.")
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read ({error.strerror or error}).") from error
    if not found:
        raise AnnotationError(f"{path} holds no images: use one of {', '.join(SUFFIXES)}.")
    return found


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower().removeprefix(".") in KINDS and not Path(name).name.startswith(".")


def _in_folder(folder: Path) -> list[Source]:
    files = sorted(file for file in folder.rglob("*") if _is_image(file.name) and file.is_file())
    return [Source(file.relative_to(folder).as_posix(), file) for file in files]


def _in_zip(path: Path) -> list[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    except zipfile.BadZipFile as error:
        raise AnnotationError(f"{path} is not a zip archive ({error}): copy it again.") from error
    return [Source(name, path, name) for name in members if _is_image(name) and not name.startswith("__MACOSX/")]


def _in_csv(path: Path) -> Iterator[Source]:
    """One image a line: the column `image`, or the only one, relative to the CSV's folder."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            column = "image" if "image" in columns else columns[0] if len(columns) == 1 else None
            if column is None:
                raise AnnotationError(f"{path}, line 1: there is no column named image.")
            for row in reader:
                name = (row[column] or "").strip()
                where = path.parent / name
                if not _is_image(name) or not where.is_file():
                    raise AnnotationError(
                        f"{path}, line {reader.line_num}: {name!r} is not an image file that is there."
                    )
                yield Source(name, where)
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"{path} is not a CSV file in UTF-8 ({error}).") from error
