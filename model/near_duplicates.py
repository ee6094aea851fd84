"""Find near-duplicates by perceptual hash, and list BIQ2021's test images that have one in the training part.

    python -m model.near_duplicates --data DIR

BIQ2021 (nisarahmedrana/BIQ2021) was split at random, although it contains copies of photographs, and series of one scene with different
exposure, focus or colour. Such test images show scenes that a model was trained on, so they bias its figures. Writes two files:

* biq2021_near_duplicates.csv: the test images to exclude, each with its nearest training image and the distance (bits).
* biq2021_train_groups.csv: near-duplicates within the training part, with a group number: a validation part must include or exclude a
  group as a whole.

The hash is the 64-bit pHash of the package imagehash (`pip install imagehash`). The two files are part of the repository, so training
does not need it.

THRESHOLD was chosen by inspecting pairs of test and training images. All 90 inspected pairs with a distance of at most 8 (65 of them at 6
or 8) showed the same scene; at 10, 11 of 35 were unrelated; at 12, 27 of 35. The rank correlation of the two images' MOS agrees: .97 at
distance 0, .79 at 2, .71 at 4, .36 at 6 and 8, .34 at 10, .22 at 12, and .00 at 16, where pairs are random.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from model.common.command_line import run
from model.common.csv_cells import row_writer
from model.common.errors import DataError
from model.datasets.biq2021 import HERE, NEAR_DUPLICATES, TRAIN_GROUPS, table_of
from model.datasets.image_paths import locate
from model.datasets.tables import read_table
from model.images.decoding import open_named

THRESHOLD = 8


def perceptual_hash(image: Image.Image) -> int:
    """The image's 64-bit pHash: whether each of the lowest 8x8 DCT coefficients of its 32x32 luminance exceeds their median."""
    try:
        import imagehash
    except ImportError as error:
        raise DataError("perceptual hashes need the package imagehash: pip install imagehash") from error
    return int(str(imagehash.phash(image)), 16)


def hash_files(paths: Sequence[str | Path]) -> np.ndarray:
    """The files' hashes, uint64 [N], with a progress bar on stderr. Raises DataError for an unreadable file."""
    progress = tqdm(paths, desc="hashing", unit="img", file=sys.stderr, disable=None)
    return np.array([perceptual_hash(open_named(path)) for path in progress], dtype=np.uint64)


def nearest(queries: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each query hash [Q] the index of the nearest reference hash [R] (the first if tied) and their distance in bits."""
    rows = [np.bitwise_count(references ^ query) for query in queries]
    index = np.array([row.argmin() for row in rows], dtype=int)
    distance = np.array([row.min() for row in rows], dtype=int)
    return index, distance


def group_hashes(hashes: np.ndarray, threshold: int = THRESHOLD) -> list[set[int]]:
    """Groups of indices of hashes [N] that are connected by distances of at most threshold bits.

    Only groups of two or more, ordered by their smallest index.
    """
    near = [np.flatnonzero(np.bitwise_count(hashes ^ value) <= threshold) for value in hashes]
    ends = np.cumsum([0, *map(len, near)])
    links = csr_array((np.ones(ends[-1], bool), np.concatenate([[], *near]).astype(int), ends), (len(hashes),) * 2)
    groups: dict[int, set[int]] = {}
    for i, label in enumerate(connected_components(links, directed=False)[1]):
        groups.setdefault(label, set()).add(i)
    return [group for group in groups.values() if len(group) > 1]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        write = row_writer(file, header)
        for row in rows:
            write(row)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.near_duplicates",
        description="Find BIQ2021's test images that have a near-duplicate in its training part, and groups within that part.",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a copy of github.com/nisarahmedrana/BIQ2021"
    )
    parser.add_argument(
        "--threshold", type=int, default=THRESHOLD, help="maximum distance in bits of 64 (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=HERE, metavar="DIR", help="folder for the two CSV files (default: model/datasets)"
    )
    return run(lambda: _write_lists(parser.parse_args(arguments)))


def _write_lists(options: argparse.Namespace) -> int:
    tables = (read_table(table_of(options.data, part), ["image name"]) for part in ("Train", "Test"))
    train, test = ([row.text("image name") for row in table] for table in tables)
    hashes = hash_files(locate(options.data / "Images", train + test))
    train_hashes, test_hashes = hashes[: len(train)], hashes[len(train) :]
    index, distance = nearest(test_hashes, train_hashes)
    dropped = [(test[i], train[index[i]], distance[i]) for i in np.flatnonzero(distance <= options.threshold)]
    groups = group_hashes(train_hashes, options.threshold)
    _write(options.out / NEAR_DUPLICATES, ("image", "train_image", "distance"), dropped)
    members = [(train[i], number) for number, group in enumerate(groups) for i in sorted(group)]
    _write(options.out / TRAIN_GROUPS, ("image", "group"), members)
    print(
        f"{len(dropped)} of {len(test)} test images have a near-duplicate in train, {len(test) - len(dropped)} do not; "
        f"{len(members)} of {len(train)} training images form {len(groups)} groups, the largest of {max(map(len, groups), default=0)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
