"""BIQ2021 (Ahmed & Asif 2022): 12,000 photographs of 512 x 512 with MOS from a laboratory study, official 10,000/2,000 split.

The folder is a clone of the public repository nisarahmedrana/BIQ2021: `Images/` and two CSV files. Its MOS lie in [0, 1] and
come from five ACR categories; here they are put back onto [1, 5]. Each is the mean of 30 observers in a laboratory; their spread
is not published.

Some test images have a near-duplicate in the training part (model/near_duplicates.py). They are left out of the test set;
the validation part is drawn from the training part in whole groups of near-duplicates, so that none has a twin in training.

An image's name begins with its subset: ss01 (2,000 photographs that were not taken for the purpose), ss02 (2,000 taken for it,
with blur, bad light and noise made on purpose), ss03 (8,000 from Unsplash).
"""

import csv
from pathlib import Path

from model.common.csv_cells import unguarded
from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.image_paths import locate
from model.datasets.rated import RatedImage, hold_out
from model.datasets.tables import TableRow, read_table

NAME = "BIQ2021"
SCALE = Scale(1.0, 5.0)
PUBLISHED_SCALE = Scale(0.0, 1.0)
RATERS = 30
SUBSETS = ("ss01", "ss02", "ss03")
VALIDATION_SHARE = 0.1
SPLITS = {"Train": "training", "Test": "test"}
HERE = Path(__file__).parent
NEAR_DUPLICATES, TRAIN_GROUPS = "biq2021_near_duplicates.csv", "biq2021_train_groups.csv"  # by model/near_duplicates.py


def table_of(folder: Path, part: str) -> Path:
    """Where a clone of BIQ2021 has the table of the official part "Train" or "Test"."""
    return folder / f"{part} (Images and MOS).csv"


def read_part(folder: Path, part: str) -> list[RatedImage]:
    """The official part "Train" or "Test", in the file's order. Raises DataError when the folder is not a clone of BIQ2021."""
    table = table_of(folder, part)
    if not table.is_file():
        raise DataError(
            f"{folder} is not a copy of BIQ2021: it lacks '{table.name}'. Clone github.com/nisarahmedrana/BIQ2021."
        )
    rows = [row for row in read_table(table, ["image name", "mos"]) if row.text("image name")]
    if not rows:
        raise DataError(f"{table} has no rows below its first line: copy it again.")
    names = [row.text("image name") for row in rows]
    group_of = duplicate_groups()
    return [
        RatedImage(
            image=path,
            mos=_mos(row, name),
            std=None,
            n=RATERS,
            scale=SCALE,
            dataset=NAME,
            split=SPLITS[part],
            part=name[:4],
            content=group_of.get(name, ""),
        )
        for row, name, path in zip(rows, names, locate(folder / "Images", names), strict=True)
    ]


def _mos(row: TableRow, name: str) -> float:
    (low, high), value = PUBLISHED_SCALE, row.number("mos", f"MOS of {name}")
    if not low <= value <= high:
        raise row.error(
            f"the MOS of {name} is {value:g}, and BIQ2021's lie in {low:g} to {high:g}: take the published table."
        )
    return SCALE[0] + (SCALE[1] - SCALE[0]) * value


def all_images(folder: Path) -> list[Path]:
    """All 12,000 images of both parts, sorted by name."""
    return sorted(item.image for part in ("Train", "Test") for item in read_part(folder, part))


def read_column(name: str, column: str) -> list[str]:
    with (HERE / name).open(newline="", encoding="utf-8") as lines:
        return [unguarded(row[column]) for row in csv.DictReader(lines)]


def near_duplicates() -> set[str]:
    """Names of the official test images that have a near-duplicate in the training part."""
    return set(read_column(NEAR_DUPLICATES, "image"))


def duplicate_groups() -> dict[str, str]:
    """For each training image that has near-duplicates within the training part, a name for its group."""
    names, groups = (read_column(TRAIN_GROUPS, column) for column in ("image", "group"))
    return {name: f"near-duplicates {group}" for name, group in zip(names, groups, strict=True)}


def test_part(folder: Path) -> list[RatedImage]:
    """The official test part without the images that have a near-duplicate in the training part."""
    dropped = near_duplicates()
    return [item for item in read_part(folder, "Test") if item.image.name not in dropped]


def train_and_validation(folder: Path) -> tuple[list[RatedImage], list[RatedImage]]:
    """The official training part, split at random into training and a tenth for validation, near-duplicates kept together."""
    return hold_out(read_part(folder, "Train"), VALIDATION_SHARE)
