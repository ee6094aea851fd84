"""One door to all data sets: a folder, a CSV file or a meta JSON becomes a list of rated images."""

from collections.abc import Sequence
from pathlib import Path

from model.datasets.labels_csv import read_labels
from model.datasets.meta_json import read_meta
from model.datasets.published import read_published
from model.datasets.spread import why_no_std
from model.errors import DataError
from model.rated import RatedImage

SPLITS = ("training", "validation", "test")


def read_dataset(
    path: str | Path, images: str | Path | None = None, scale: tuple[float, float] | None = None
) -> list[RatedImage]:
    """Read what `path` holds: the folder of a published set, a folder with labels.csv, a CSV file or a meta JSON.

    images: the folder that names in a CSV or JSON file start from (default: the file's own). scale: of a CSV or JSON file's
    figures; published sets have their own. Raises DataError in one sentence for what cannot be read, and for a std that no ratings on
    the scale can have.
    """
    rated = _read(Path(path), images, scale)
    for image in rated:
        sentence = why_no_std(image.std, image.n, image.scale, f"std of {image.image.name}")
        if sentence:
            raise DataError(f"{path}: {sentence}: is it a variance, or on another scale?")
    return rated


def is_published(path: Path) -> bool:
    """Whether the path is a published set's folder, which has its own scale and pictures."""
    return path.is_dir() and not (path / "labels.csv").is_file()


def _read(path: Path, images: str | Path | None, scale: tuple[float, float] | None) -> list[RatedImage]:
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
