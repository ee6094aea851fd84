"""BIQ2021 (Ahmed & Asif 2022): 12,000 photographs of 512 x 512 with MOS from a laboratory study, official 10,000/2,000 split.

The folder is a clone of the public repository nisarahmedrana/BIQ2021: `Images/` and two CSV files. Its MOS lie in [0, 1] and
come from five ACR categories; here they are put back onto [1, 5].

Some test pictures have a near-duplicate in the training part (model/near_duplicates.py). They are left out of the test set;
the validation part is drawn from the training part in whole groups of near-duplicates, so that none has a twin in training.
"""

import csv
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from model.errors import DataError

SCALE = (1.0, 5.0)
VALIDATION_SHARE = 0.1
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Labelled:
    """A picture and its MOS on [1, 5]."""

    image: Path
    mos: float


def read_part(folder: Path, part: str) -> list[Labelled]:
    """The official part "Train" or "Test", in the file's order. Raises DataError when the folder is not a clone of BIQ2021."""
    table = folder / f"{part} (Images and MOS).csv"
    if not table.is_file():
        raise DataError(
            f"{folder} is not a copy of BIQ2021: it lacks '{table.name}'. Clone github.com/nisarahmedrana/BIQ2021."
        )
    low, high = SCALE
    with table.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["Image Name"]]
    # One file's suffix is spelled .JPG on disk and .jpg in the table.
    on_disk = {path.name.lower(): path for path in (folder / "Images").iterdir()}
    return [Labelled(on_disk[row["Image Name"].lower()], low + (high - low) * float(row["MOS"])) for row in rows]


def all_images(folder: Path) -> list[Path]:
    """All 12,000 pictures of both parts, sorted by name."""
    return sorted(item.image for part in ("Train", "Test") for item in read_part(folder, part))


def read_column(name: str, column: str) -> list[str]:
    with (HERE / name).open(newline="") as lines:
        return [row[column] for row in csv.DictReader(lines)]


def test_part(folder: Path) -> list[Labelled]:
    """The official test part without the pictures that have a near-duplicate in the training part."""
    dropped = set(read_column("biq2021_near_duplicates.csv", "image"))
    return [item for item in read_part(folder, "Test") if item.image.name not in dropped]


def train_and_validation(folder: Path, seed: int = 0) -> tuple[list[Labelled], list[Labelled]]:
    """The official training part, split at random into training and a tenth for validation, near-duplicates kept together."""
    items = read_part(folder, "Train")
    group_of = dict(
        zip(
            read_column("biq2021_train_groups.csv", "image"),
            read_column("biq2021_train_groups.csv", "group"),
            strict=True,
        )
    )
    groups = defaultdict(list)
    for item in items:
        groups[group_of.get(item.image.name, item.image.name)].append(item)
    shuffled = list(groups.values())
    random.Random(seed).shuffle(shuffled)
    validation, train = [], []
    for group in shuffled:
        (validation if len(validation) < VALIDATION_SHARE * len(items) else train).extend(group)
    return train, validation
