"""Which pictures a training sees: of one data set or of several, put on one scale, with a part of each kept apart to choose the epoch."""

from collections.abc import Sequence
from pathlib import Path

from model import biq2021
from model.datasets.reading import is_published, read_dataset
from model.errors import DataError
from model.rated import RatedImage, hold_out

SCALE = (1.0, 5.0)  # on which nano answers


def read_training(
    folders: Sequence[Path], scale: tuple[float, float] | None = None, without: str | None = None
) -> tuple[list[RatedImage], list[RatedImage]]:
    """(training, validation) of data sets, each with its MOS put linearly from its own scale onto SCALE.

    A set's training split is taken, or all of a set that has no splits; its validation split, or a tenth of the former, pictures of one
    content whole. scale: of CSV and JSON files, which do not say theirs. without: a subset of BIQ2021 to leave out. Raises DataError for
    what is no data set, has no training split or no scale, and for a subset where BIQ2021 is not the only set.
    """
    if without:
        if len(folders) > 1:
            raise DataError("--without leaves a subset of BIQ2021 out: give BIQ2021 alone as --data.")
        training, validation, _ = biq2021.leave_one_subset_out(folders[0], without)
        return training, validation
    training, validation = [], []
    for folder in folders:
        of_set = _read(folder, scale)
        for part, pictures in zip((training, validation), of_set, strict=True):
            part += [picture.on(SCALE) for picture in pictures]
    return training, validation


def _read(folder: Path, scale: tuple[float, float] | None) -> tuple[list[RatedImage], list[RatedImage]]:
    rated = read_dataset(folder, scale=None if is_published(folder) else scale)
    by_split = {
        name: [picture for picture in rated if picture.split == name] for name in ("", "training", "validation")
    }
    training = by_split["training"] or by_split[""]
    if not training:
        raise DataError(f"{folder} has no training split: nothing can be learnt from its test pictures.")
    if by_split["validation"]:
        return training, by_split["validation"]
    return hold_out(training, biq2021.VALIDATION_SHARE)
