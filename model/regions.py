"""Measure how often a model's scores of an image's quarters find the one that is damaged, kind by kind.

    python -m model.regions photos --model nano

One quarter of each image, drawn at random, is damaged (model/images/damage.py) at the given severity, and each quarter is scored as an
image of its own, as the page does. Prints by kind the share of images in which the damaged quarter has the lowest score; 25 % is chance.
Use images of good quality. --format json prints one JSON object.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from model.common.command_line import add_model_options, data_dir, progress_bars, run
from model.images.damage import KINDS, degrade
from model.images.decoding import open_named
from model.images.search import find_all_images
from model.loading.known import check_spec
from model.scoring.tiles import ACROSS, tiles

if TYPE_CHECKING:
    from model.scoring.scorer import Scorer


def found(scorer: "Scorer", path: Path, severity: float, seed: int, batch_size: int) -> dict[str, bool]:
    """By kind of damage, whether the damaged quarter of an image has the lowest score. seed: of the quarter and of the damage."""
    parts = tiles(open_named(path))
    chosen = int(np.random.default_rng(seed).integers(len(parts)))
    shown = [*parts, *(degrade(parts[chosen], kind, severity, seed) for kind in KINDS)]
    scores = [assessment.score for assessment in scorer.assess(shown, batch_size=batch_size)]
    lowest_other = min(score for n, score in enumerate(scores[: len(parts)]) if n != chosen)
    return {kind: score < lowest_other for kind, score in zip(KINDS, scores[len(parts) :], strict=True)}


def table(counts: dict[str, int], images: int) -> str:
    rows = [
        f"{kind.replace('_', ' '):<18}{count:>5} of {images}{count / images:>8.0%}" for kind, count in counts.items()
    ]
    return "\n".join([f"{'damage':<18}{'found':>5}", *rows])


def measure(arguments: argparse.Namespace) -> int:
    check_spec(arguments.model, data_dir() / "adapters")
    paths = find_all_images(arguments.paths)
    from model.scoring.scorer import load_scorer

    chosen = (arguments.model, arguments.device, arguments.dtype, data_dir() / "adapters")
    scorer = load_scorer(*chosen, progress=progress_bars())
    shown = tqdm(paths, unit="image", file=sys.stderr, disable=None)
    each = [found(scorer, path, arguments.severity, n, arguments.batch_size) for n, path in enumerate(shown)]
    counts = {kind: sum(one[kind] for one in each) for kind in KINDS}
    if arguments.format == "json":
        about = {
            "model": scorer.name,
            "revision": scorer.revision,
            "images": len(paths),
            "severity": arguments.severity,
        }
        print(json.dumps(about | {"parts": ACROSS**2, "found": counts}))
    else:
        print(table(counts, len(paths)))
    return 0


def severity(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.regions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image files, and folders that are searched for them")
    parser.add_argument("--severity", type=severity, default=0.5, help="of the damage, 0 to 1 (default: 0.5)")
    add_model_options(parser)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    return run(lambda: measure(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
