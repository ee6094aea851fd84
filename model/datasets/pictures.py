"""Where the pictures that labels name lie on disk."""

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from model.errors import DataError


def locate(folder: Path, names: Iterable[str]) -> list[Path]:
    """The pictures' paths; where no file has a name to the letter, the one that differs in case only, or in how Unicode writes its accents.

    Data sets made on Windows or macOS need it: BIQ2021's labels say ss02 (1014).jpg, its folder .JPG.
    """
    listings: dict[Path, dict[str, list[Path]]] = {}  # parent -> folded name -> files
    paths = []
    for path in (folder / name for name in names):
        if not os.path.exists(path):
            if path.parent not in listings:
                alike = listings.setdefault(path.parent, {})
                for other in _files_in(path.parent):
                    alike.setdefault(_folded(other.name), []).append(other)
            match listings[path.parent].get(_folded(path.name)):
                case [only]:
                    path = only
        paths.append(path)
    return paths


def check_there(paths: Sequence[Path]) -> None:
    """Raises DataError that names the first picture that is not there, and says how many."""
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        raise DataError(f"{len(missing)} of {len(paths)} pictures are not there, {missing[0]} for one: copy them again")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def _files_in(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):
        return []  # opening the picture itself will say what is wrong


def find_in(candidates: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """The pictures' paths in the first of the candidate folders that holds any of them, at whatever depth and in whatever case; of two
    of one name the one that lies less deep, since copies of another size are kept below.

    One that is missing there keeps a path that leads nowhere. Raises DataError when no candidate holds any.
    """
    for folder in candidates:
        there: dict[str, Path] = {}
        for place, _, files in sorted(os.walk(folder), key=lambda walked: (walked[0].count(os.sep), walked[0])):
            for file in files:
                there.setdefault(_folded(file), Path(place) / file)
        if any(_folded(name) in there for name in names):
            return [there.get(_folded(name), folder / name) for name in names]
    looked = ", ".join(str(folder) for folder in candidates)
    raise DataError(f"the pictures are not there: {names[0]} and all others are in none of {looked}")
