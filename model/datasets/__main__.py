"""What a data set holds, and its labels as the files that the methods' own programs train on.

    python -m model.datasets koniq10k
    python -m model.datasets koniq10k --split training --write deqa --out train.json

The first prints a JSON object: how many images, their scale, the range of their MOS, whether the raters' std is known, and how many
images each split and part has. The second writes a meta JSON (model/datasets/meta_json.py), with paths from --images or the data set's
folder. Levels are cut between the smallest and the largest MOS of all splits, as the originals do.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from model.common.command_line import add_scale_option, run
from model.common.errors import DataError
from model.datasets.meta_json import KINDS, write_meta
from model.datasets.rated import RatedImage
from model.datasets.reading import SPLITS, choose_split, read_dataset


def summary(rated: Sequence[RatedImage]) -> dict:
    """Counts and ranges of a data set; scale is null where it is not known."""
    mos = [image.mos for image in rated]
    return {
        "dataset": rated[0].dataset,
        "images": len(rated),
        "scale": rated[0].scale and list(rated[0].scale),
        "mos_range": [min(mos), max(mos)],
        "std_known": all(image.std is not None for image in rated),
        "splits": Counter(image.split for image in rated if image.split),
        "parts": Counter(image.part for image in rated if image.part),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.datasets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a published data set's folder, a CSV file or a meta JSON")
    parser.add_argument("--images", type=Path, help="where the names in a CSV or JSON file start (default: beside it)")
    add_scale_option(parser, "of a CSV or JSON file's MOS")
    parser.add_argument("--split", choices=[*SPLITS, "all"], default="all", help="of what is written (default: all)")
    parser.add_argument("--write", choices=KINDS, help="the program whose meta JSON to write")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="where to write it")
    return run(lambda: follow(parser.parse_args()))


def follow(arguments: argparse.Namespace) -> int:
    if bool(arguments.write) != bool(arguments.out):
        raise DataError("--write and --out go together: give both or neither.")
    rated = read_dataset(arguments.data, arguments.images, arguments.scale)
    if not arguments.write:
        print(json.dumps(summary(rated)))
        return 0
    if arguments.out.exists():
        raise DataError(f"{arguments.out} is there already: give another name, or delete it first.")
    if not arguments.out.parent.is_dir():
        raise DataError(f"{arguments.out.parent} is not a folder: make it first.")
    root = arguments.images or (arguments.data if arguments.data.is_dir() else arguments.data.parent)
    mos = [image.mos for image in rated]
    write_meta(arguments.out, choose_split(rated, arguments.split), root, arguments.write, (min(mos), max(mos)))
    print(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
