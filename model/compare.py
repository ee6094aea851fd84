"""How the systems that were trained together do on BIQ2021's test part, and whether nano is better than the others by more than luck.

    python -m model.compare --data BIQ2021 --out runs

Takes what `python -m model.train` left in `--out`. Prints a JSON object for each system and part: the figures of model.metrics.figures on
the test part "without near-duplicates", and on the "official" one, which flatters, but is what others report. nano comes first; the
others' objects have `against_nano`: the paired comparison (model/paired.py) in which nano is `second`. With --without SUBSET, after a
training that left it out, there is one part: that subset.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from model import biq2021, paired
from model.allocator import keep_freed_memory
from model.commands import run
from model.errors import DataError
from model.json_files import read_json
from model.metrics import figures
from model.rated import RatedImage
from model.train import TRAINING, best_of, predict


def read_parts(data: Path, without: str | None) -> tuple[list[RatedImage], dict[str, list[bool]]]:
    """The test pictures, and by name the parts of them, each saying which pictures are in it."""
    if without:
        *_, test = biq2021.leave_one_subset_out(data, without)
        return test, {without: [True] * len(test)}
    test, kept = biq2021.read_part(data, "Test"), set(biq2021.test_part(data))
    return test, {"without near-duplicates": [one in kept for one in test], "official": [True] * len(test)}


def compare(data: Path, out: Path, without: str | None = None) -> int:
    """Print the objects. Raises DataError when the systems were not trained, or with another subset left out."""
    keep_freed_memory()
    systems = best_of(out)
    left_out = read_json(out / TRAINING)["without"]
    if left_out != without:
        how = f"--without {left_out}" if left_out else "without --without"
        raise DataError(f"{out} was trained otherwise, and has seen pictures of this test: run this {how}.")
    test, parts = read_parts(data, without)
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
    parser.add_argument("--without", choices=biq2021.SUBSETS, help="the subset that was left out, to test on")
    arguments = parser.parse_args()
    return run(lambda: compare(arguments.data, arguments.out, arguments.without))


if __name__ == "__main__":
    sys.exit(main())
