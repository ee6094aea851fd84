"""Compare the systems that were trained together on BIQ2021's test part, and test whether nano is significantly better.

    python -m model.compare --data BIQ2021 --out runs

--out is the folder that `python -m model.train` wrote. Prints one JSON object for each system and part, with the figures of
model.evaluation.metrics.figures. The parts are the test part "without near-duplicates"; the "official" one, which is optimistic but is
what others report; and each subset that the training left out, with its images in the official training part. nano comes first; the
other systems have `against_nano`: the paired comparison (model/evaluation/paired.py) in which nano is `second`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.common.allocator import keep_freed_memory
from model.common.command_line import run
from model.common.json_files import read_json
from model.datasets import biq2021
from model.datasets.rated import RatedImage
from model.evaluation import paired
from model.evaluation.metrics import figures
from model.training.run import TRAINING, best_of, predict


def read_parts(data: Path, without: Sequence[str]) -> tuple[list[RatedImage], dict[str, list[bool]]]:
    """The test images, and by name the parts, each as a list of bools over the images."""
    official, kept = biq2021.read_part(data, "Test"), set(biq2021.test_part(data))
    left_out = [item for item in biq2021.read_part(data, "Train") if item.part in without]
    test = [*official, *left_out]
    parts = {
        "without near-duplicates": [item in kept for item in test],
        "official": [item.split == "test" for item in test],
        **{name: [item.part == name and item.split != "test" for item in test] for name in without},
    }
    return test, parts


def compare(data: Path, out: Path) -> int:
    """Print the objects. Raises DataError when the systems were not trained."""
    keep_freed_memory()
    systems = best_of(out)
    test, parts = read_parts(data, read_json(out / TRAINING)["without"])
    mos = np.array([item.mos for item in test])
    scores = {name: found.numpy() for name, found in predict(systems, test).items()}
    for name, found in scores.items():
        for part, chosen in parts.items():
            report = {"system": name, "part": part, **figures(found[chosen], mos[chosen])}
            if name != "nano":
                report["against_nano"] = paired.compare(found[chosen], scores["nano"][chosen], mos[chosen])
            print(json.dumps(report), flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.compare", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a clone of github.com/nisarahmedrana/BIQ2021")
    parser.add_argument("--out", type=Path, required=True, help="the folder that python -m model.train filled")

    def program() -> int:
        given = parser.parse_args()
        return compare(given.data, given.out)

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
