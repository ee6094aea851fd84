"""One door to all data sets: a folder, a CSV file or a meta JSON becomes a list of rated images."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.labels_csv import read_labels
from model.datasets.meta_json import read_meta
from model.datasets.published import FEW, NARROW_OF_FEW, read_published
from model.datasets.rated import RatedImage
from model.datasets.spread import why_no_std

SPLITS = ("training", "validation", "test")


def read_dataset(path: str | Path, images: str | Path | None = None, scale: Scale | None = None) -> list[RatedImage]:
    """Read what `path` holds: the folder of a published set, a folder with labels.csv, a CSV file or a meta JSON.

    images: the folder that names in a CSV or JSON file start from (default: the file's own). scale: of a CSV or JSON file's
    figures; published sets have their own. Raises DataError in one sentence for what cannot be read, an image that is named twice, a std
    that no ratings on the scale can have, and MOS that lie in less than a twentieth of the given scale.
    """
    rated = _read(Path(path), images, scale)
    named = Counter(os.path.normpath(image.image) for image in rated)
    twice = next((name for name, count in named.items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: {twice} is named more than once: give each image once")
    if scale and len(rated) >= FEW:
        _check_span(Path(path), rated, scale)
    for image in rated:
        sentence = why_no_std(image.std, image.n, image.scale, f"std of {image.image.name}")
        if sentence:
            raise DataError(f"{path}: {sentence}: is it a variance, or on another scale?")
    return rated


def _check_span(path: Path, rated: Sequence[RatedImage], scale: Scale) -> None:
    worst, best = min(image.mos for image in rated), max(image.mos for image in rated)
    if 0 < best - worst < NARROW_OF_FEW * (scale[1] - scale[0]):
        raise DataError(
            f"{path}: its {len(rated)} MOS all lie in {worst:g} to {best:g}, hardly any of the scale {scale[0]:g} to {scale[1]:g}: "
            "give the scale they are on"
        )


def is_published(path: Path) -> bool:
    """Whether the path is a published set's folder, which has its own scale and images."""
    return path.is_dir() and not (path / "labels.csv").is_file()


def _read(path: Path, images: str | Path | None, scale: Scale | None) -> list[RatedImage]:
    if is_published(path):
        if images or scale:
            raise DataError(f"{path} is a data set's folder: leave out its images and scale, it has its own")
        return read_published(path)
    if path.is_dir():
        path = path / "labels.csv"
    images = images or path.parent
    if path.suffix.lower() == ".json":
        return read_meta(path, images, scale)
    return read_labels(path, images, scale)


def choose_split(rated: Sequence[RatedImage], split: str | None) -> list[RatedImage]:
    """The images of one split; None: of the test split where there is one, else all. Raises DataError for a split that is not there."""
    there = {image.split for image in rated}
    if split == "all" or (split is None and "test" not in there):
        return list(rated)
    chosen = [image for image in rated if image.split == (split or "test")]
    if not chosen:
        known = ", ".join(sorted(there - {""})) or "none"
        raise DataError(f"the data set has no split '{split}' (it has: {known}): choose another or 'all'")
    return chosen
