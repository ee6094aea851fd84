"""Measure how a model's score falls as images are damaged, kind by kind.

    python -m model.sensitivity photos --model nano

Each image is scored undamaged and with each kind of damage (model/images/damage.py) at four severities. Prints the mean scores, and

* noticed: the share of images that score lower at severity 1 than undamaged; 50 % is chance.
* SRCC: minus the rank correlation of severity and score within each image, so that 1 means a score that falls at every step; the mean
  over the images.

The shipped models were trained on all kinds but those of UNTAUGHT, which come last. Use images of good quality, since damage hardly
lowers the score of bad ones. --format json prints one JSON object.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from model.common.command_line import add_model_options, data_dir, progress_bars, run
from model.images.damage import KINDS, degrade
from model.images.decoding import open_named
from model.images.search import find_all_images
from model.loading.known import check_spec

if TYPE_CHECKING:
    from model.scoring.scorer import Scorer

SEVERITIES = (0.25, 0.5, 0.75, 1.0)


def damaged_scores(scorer: "Scorer", path: Path, seed: int, batch_size: int) -> dict[str, list[float]]:
    """An image's scores by kind of damage: undamaged, then at each of SEVERITIES. seed: of the damage."""
    image = open_named(path)
    shown = [image, *(degrade(image, kind, severity, seed) for kind in KINDS for severity in SEVERITIES)]
    whole, *rest = (found.score for found in scorer.assess(shown, batch_size=batch_size))
    steps = len(SEVERITIES)
    return {kind: [whole, *rest[n * steps : (n + 1) * steps]] for n, kind in enumerate(KINDS)}


def summarise(scores: Sequence[dict[str, list[float]]]) -> Iterator[dict]:
    """One dictionary for each kind: kind, mean scores by severity, noticed and srcc."""
    for kind in KINDS:
        found = np.array([of_image[kind] for of_image in scores])
        falls = [0.0 if np.ptp(row) == 0 else -spearmanr((0, *SEVERITIES), row).statistic for row in found]
        yield {
            "kind": kind,
            "scores": found.mean(0).tolist(),
            "noticed": float((found[:, -1] < found[:, 0]).mean()),
            "srcc": float(np.mean(falls)),
        }


def table(rows: Sequence[dict]) -> Iterator[str]:
    yield f"{'damage':<18}{'none':>6}" + "".join(f"{severity:>7g}" for severity in SEVERITIES) + "   noticed  SRCC"
    for row in rows:
        whole, *damaged = row["scores"]
        yield (
            f"{row['kind'].replace('_', ' '):<18}{whole:6.2f}" + "".join(f"{score:7.2f}" for score in damaged)
        ) + f"{row['noticed']:>10.0%}{row['srcc']:>6.2f}"


def measure(arguments: argparse.Namespace) -> int:
    check_spec(arguments.model, data_dir() / "adapters")
    paths = find_all_images(arguments.paths)
    from model.scoring.scorer import load_scorer

    chosen = (arguments.model, arguments.device, arguments.dtype, data_dir() / "adapters")
    scorer = load_scorer(*chosen, progress=progress_bars())
    shown = tqdm(paths, unit="image", file=sys.stderr, disable=None)
    rows = list(summarise([damaged_scores(scorer, path, n, arguments.batch_size) for n, path in enumerate(shown)]))
    if arguments.format == "json":
        print(json.dumps({"model": scorer.name, "revision": scorer.revision, "images": len(paths), "damage": rows}))
    else:
        print("\n".join(table(rows)))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.sensitivity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image files, and folders that are searched for them")
    add_model_options(parser)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    return run(lambda: measure(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
