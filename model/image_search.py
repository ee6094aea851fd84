"""Which files of a folder are images."""

import os
from collections.abc import Iterable
from pathlib import Path

from model.errors import DataError, reason_of
from model.image_formats import SUFFIXES

NOTHING = "no pictures in this folder"


def find_images(
    paths: Iterable[str | Path], suffixes: frozenset[str] = SUFFIXES
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """List the picture files under paths: (files, problems).

    A file is taken as given, whatever its name. A folder is walked with its subfolders: its files with one of `suffixes`
    follow in sorted order; hidden files and folders are left out, links to folders are not followed. The order of paths is kept.
    problems lists (path, sentence) for each path that is missing, cannot be read or holds no picture, so that a caller
    reports these and goes on with the rest. Raises nothing.
    """
    files: list[Path] = []
    problems: list[tuple[Path, str]] = []
    for path in map(Path, paths):
        if path.is_dir():
            found, unreadable = _walk(path, suffixes)
            files += found
            problems += unreadable
            if not found and not unreadable:
                problems.append((path, NOTHING))
        elif os.path.lexists(path):
            files.append(path)
        else:
            problems.append((path, "no such file or folder"))
    return files, problems


def find_all_images(paths: Iterable[str | Path]) -> list[Path]:
    """find_images for one path or more, none of which may be left out: raises DataError for the first that has a problem."""
    files, problems = find_images(paths)
    if problems:
        path, sentence = problems[0]
        raise DataError(f"{path}: {sentence}")
    return files


def _walk(folder: Path, suffixes: frozenset[str]) -> tuple[list[Path], list[tuple[Path, str]]]:
    found: list[Path] = []
    problems: list[tuple[Path, str]] = []

    def note(error: OSError) -> None:
        problems.append((Path(error.filename), f"cannot read this folder: {reason_of(error)}"))

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name) for name in names if not name.startswith(".") and Path(name).suffix.lower() in suffixes
        ]
    return sorted(found), sorted(problems)
