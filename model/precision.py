"""Measure how scores change with fewer bits: `python -m model.precision [--model SPEC] PATH...`

Scores the images in float32 and in each other --dtype. Prints one JSON object per line: size of the weights, and the mean and maximum
absolute difference of the scores from float32, in units of the model's scale; or the error, if the model or the machine does not support
the dtype.
"""

import argparse
import gc
import json
import sys
from pathlib import Path

from model.common.command_line import add_batch_size_option, add_device_option, add_spec_option, data_dir, run
from model.common.devices import BITS, BYTES
from model.common.errors import ModelError
from model.images.search import find_all_images

DTYPES = (*BYTES, *BITS)


def precision(arguments: argparse.Namespace) -> int:
    paths = find_all_images(arguments.paths)
    exact: list[float] = []
    for dtype in DTYPES:
        try:
            found = measured(arguments, dtype, paths)
        except ModelError as error:
            if not exact:
                raise
            print(json.dumps({"dtype": dtype, "error": str(error)}), flush=True)
            continue
        scores = found.pop("scores")
        exact = exact or scores
        differences = [abs(a - b) for a, b in zip(scores, exact, strict=True)]
        found |= {
            "images": len(paths),
            "mean_difference": sum(differences) / len(differences),
            "largest_difference": max(differences),
        }
        print(json.dumps(found), flush=True)
    return 0


def measured(arguments: argparse.Namespace, dtype: str, paths: list[Path]) -> dict:
    """One line of the output, with the scores. Raises ModelError if the model cannot be loaded or an image cannot be read."""
    from model.scoring.assessment import Failure
    from model.scoring.scorer import load_scorer

    scorer = load_scorer(arguments.model, arguments.device, dtype, data_dir() / "adapters")
    weights = [*scorer.backbone.model.parameters(), *scorer.backbone.model.buffers()]
    results = list(scorer.assess_files(paths, arguments.batch_size))
    if failure := next((result for result in results if isinstance(result, Failure)), None):
        raise ModelError(f"{failure.image}: {failure.error}.")
    size = sum(weight.nbytes for weight in weights)
    scale, device = list(scorer.scale), str(scorer.backbone.device)
    del scorer, weights
    gc.collect()
    line = {
        "model": arguments.model,
        "dtype": dtype,
        "device": device,
        "weights_mb": round(size / 1e6, 2),
        "scale": scale,
    }
    return line | {"scores": [result.score for result in results]}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.precision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image files, and folders that are searched for them")
    add_spec_option(parser)
    add_device_option(parser)
    add_batch_size_option(parser, 4)
    return run(lambda: precision(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
