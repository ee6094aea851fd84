"""Where the images that labels name lie on disk."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from model.common.csv_cells import unguarded
from model.common.errors import DataError


def locate(folder: Path, names: Iterable[str]) -> list[Path]:
    """The images' paths below the folder, as far as they can be found; else the path that the name says.

    Labels are made on other machines and by other programs. A name that leads nowhere is therefore also looked for

    * in another case, or with accents that Unicode writes in another way: BIQ2021's labels say ss02 (1014).jpg, its folder .JPG;
    * without the apostrophe that keeps it from being a formula (model/common/csv_cells.py);
    * as a Windows path. An absolute path of another machine is looked for by its last parts, as many of them as lead to a file, and a
      relative one that begins with the folder's own name without that.
    """
    listings: dict[Path, dict[str, list[Path]]] = {}
    paths = []
    for name in names:
        spellings = (
            spelling for text in dict.fromkeys([unguarded(name), name]) for spelling in _spellings(folder, text)
        )
        found = (_find(start, parts, listings) for start, parts in spellings)
        paths.append(next((path for path in found if path), folder / name))
    return paths


def _spellings(folder: Path, name: str) -> Iterator[tuple[Path, Sequence[str]]]:
    """Where a name may lead: a folder to start from, and the parts from there."""
    path = PurePosixPath(name)
    yield (Path("/"), path.parts[1:]) if path.is_absolute() else (folder, path.parts)
    path = PureWindowsPath(name)  # takes / for a separator too
    if path.root:
        yield from ((folder, path.parts[n:]) for n in range(1, len(path.parts)))
        return
    yield folder, path.parts
    above = folder.absolute().parts
    for n in range(1, len(path.parts)):
        if list(map(_folded, above[-n:])) == list(map(_folded, path.parts[:n])):
            yield folder, path.parts[n:]


def _find(start: Path, parts: Sequence[str], listings: dict[Path, dict[str, list[Path]]]) -> Path | None:
    """The file that the parts lead to; where none has a name to the letter, the only one that differs in case or Unicode form."""
    path = start.joinpath(*parts)
    if os.path.exists(path):
        return path
    path = start
    for part in parts:
        if not os.path.exists(path / part):
            if path not in listings:
                alike = listings.setdefault(path, {})
                for other in _files_in(path):
                    alike.setdefault(_folded(other.name), []).append(other)
            match listings[path].get(_folded(part)):
                case [only]:
                    path = only
                case _:
                    return None
        else:
            path = path / part
    return path


def check_there(paths: Sequence[Path]) -> None:
    """Raises DataError that names the first image that is not there, and says how many."""
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        raise DataError(f"{len(missing)} of {len(paths)} images are not there, {missing[0]} for one: copy them again")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def _files_in(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):
        return []  # opening the image itself will say what is wrong


def find_in(candidates: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """The images' paths in the first of the candidate folders that holds any of them, at whatever depth and in whatever case; of two
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
    raise DataError(f"the images are not there: {names[0]} and all others are in none of {looked}")
