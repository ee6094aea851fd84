"""Finds image files in folders."""

import logging
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from model.common.command_line import printable
from model.common.errors import DataError, reason_of
from model.images.formats import CAMERA_RAW, SUFFIXES, UNSUPPORTED_SUFFIXES, unsupported

log = logging.getLogger(__name__)
NOTHING = "no images in this folder"
# System folders, in lower case: thumbnails, deleted files and metadata, none of them the user's images.
SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp"),  # NAS: Synology, QNAP
        *("$recycle.bin", "recycler", "recycled", "system volume information", "$windows.~bt"),  # Windows
        *("__macosx", "network trash folder", "temporary items"),  # macOS and its zip files
        *("lost+found", "thumbnails"),  # Linux
    }
)


def find_images(
    paths: Iterable[str | Path], suffixes: frozenset[str] = SUFFIXES
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Find the image files under paths: (files, problems). Raises nothing.

    A path to a file is returned whatever its name. A folder is searched recursively for files with one of `suffixes`, in sorted order;
    hidden files, hidden folders and SYSTEM_FOLDERS are skipped, links to folders are not followed. The order of paths is kept.
    problems has (path, message) for each path that is missing, cannot be read or has no image, and for each unsupported format that was
    skipped in a folder. Of a photograph in two files, such as IMG_1.JPG and IMG_1.CR2, the camera raw file is skipped; the log counts
    these.
    """
    files: list[Path] = []
    problems: list[tuple[Path, str]] = []
    for path in map(Path, paths):
        if path.is_dir():
            found, trouble = _walk(path, suffixes)
            files += found
            problems += trouble
            if not found and not trouble:
                problems.append((path, NOTHING))
        elif os.path.lexists(path):
            files.append(path)
        else:
            problems.append((path, "no such file or folder"))
    return files, problems


def find_all_images(paths: Iterable[str | Path]) -> list[Path]:
    """find_images without tolerance: raises DataError for the first problem."""
    files, problems = find_images(paths)
    if problems:
        path, sentence = problems[0]
        raise DataError(f"{path}: {sentence}")
    return files


def _walk(folder: Path, suffixes: frozenset[str]) -> tuple[list[Path], list[tuple[Path, str]]]:
    found: list[Path] = []
    problems: list[tuple[Path, str]] = []
    left_out: Counter[str] = Counter()
    pairs = 0
    unsupported_suffixes = UNSUPPORTED_SUFFIXES if suffixes == SUFFIXES else {}  # a search for videos reports no images

    def note(error: OSError) -> None:
        problems.append((Path(error.filename), f"cannot read this folder: {reason_of(error)}"))

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".") and name.lower() not in SYSTEM_FOLDERS]
        shown = [Path(name) for name in names if not name.startswith(".")]
        images = [path for path in shown if path.suffix.lower() in suffixes]
        found += [Path(parent, path) for path in images]
        stems = {path.stem.lower() for path in images}
        for path in shown:
            format = unsupported_suffixes.get(path.suffix.lower())
            if format == CAMERA_RAW and path.stem.lower() in stems:
                pairs += 1
            elif format:
                left_out[format] += 1
    if pairs:
        said = "1 camera raw file lies" if pairs == 1 else f"{pairs} camera raw files lie"
        log.warning("%s: %s beside an image of the same name, which stands for both", printable(str(folder)), said)
    for name, count in sorted(left_out.items()):
        problems.append((folder, f"{count} file{'s' if count > 1 else ''} left out: {unsupported(name)}"))
    return sorted(found), sorted(problems)
