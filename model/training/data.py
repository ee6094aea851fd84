"""The images of a training: one data set or several, on one scale, with a validation part of each to choose the epoch."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets import biq2021
from model.datasets.image_paths import check_there
from model.datasets.rated import RatedImage, hold_out, leave_out
from model.datasets.reading import is_published, read_dataset

SCALE = Scale(1.0, 5.0)  # of nano's scores


def read_training(
    folders: Sequence[Path], scale: Scale | None = None, without: Collection[str] = ()
) -> tuple[list[RatedImage], list[RatedImage]]:
    """(training, validation) images of data sets, with each set's MOS mapped linearly from its own scale to SCALE.

    Uses a set's training split, or all of a set without splits, and its validation split, or else a tenth of the training images,
    never separating images of the same content. scale: of CSV and JSON files, which do not state theirs. without: parts of the sets to
    leave out (RatedImage.part), such as a subset of BIQ2021. Raises DataError if a folder is not a data set, lacks a training split or
    a scale, or is given twice, if no set has a part in `without`, and for missing images.
    """
    twice = next((folder for folder, count in Counter(map(Path.resolve, folders)).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{twice} is given twice: give each data set once.")
    sets = told_apart(
        [read_dataset(folder, scale=None if is_published(folder) else scale) for folder in folders], folders
    )
    there = {image.part for rated in sets for image in rated}
    for part in without:
        if part not in there:
            known = ", ".join(sorted(there - {""})) or "none"
            raise DataError(f"there is no part '{part}' to leave out: the data have {known}.")
    training, validation = [], []
    for folder, rated in zip(folders, sets, strict=True):
        for chosen, images in zip((training, validation), _parted(folder, rated, without), strict=True):
            chosen += [image.on(SCALE) for image in images]
    check_there([image.image for image in training + validation])
    return training, validation


def check_shares(items: Sequence[RatedImage], shares: Mapping[str, float]) -> None:
    """Raises DataError if no image has a part in `shares`, or a share is not in (0, 1]."""
    known = {item.part for item in items} - {""}
    for part, share in shares.items():
        if part not in known:
            raise DataError(
                f"there is no part '{part}' to show a share of: the data have {', '.join(sorted(known)) or 'none'}."
            )
        if not 0 < share <= 1:
            raise DataError(f"The share of {part} is {share:g}: give one above 0 and at most 1.")


def told_apart(sets: Sequence[list[RatedImage]], folders: Sequence[Path]) -> list[list[RatedImage]]:
    """The sets, with sets of the same name (two files called labels.csv) named by their paths instead."""
    names = Counter(rated[0].dataset for rated in sets)
    return [
        [replace(image, dataset=str(folder)) for image in rated] if names[rated[0].dataset] > 1 else rated
        for folder, rated in zip(folders, sets, strict=True)
    ]


def _parted(
    folder: Path, rated: Sequence[RatedImage], without: Collection[str]
) -> tuple[list[RatedImage], list[RatedImage]]:
    seen = leave_out([image for image in rated if image.split != "test"], without)
    validation = [image for image in seen if image.split == "validation"]
    training = [image for image in seen if image.split != "validation"]
    if not training:
        raise DataError(f"{folder} has no training images, and its test images are not used for training.")
    return (training, validation) if validation else hold_out(training, biq2021.VALIDATION_SHARE)
