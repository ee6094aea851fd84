"""How fast a model is on this machine: `python -m model.bench [--model SPEC | --random-init 7b|0.8b|mid|nano]`

--random-init measures random weights in the shape of a published model (see model/bench/random_models.py).
Prints one JSON object; docs/performance.md explains its numbers.
"""

import argparse
import json
import sys
import time

from model.common.command_line import add_device_options, data_dir, positive, run
from model.common.errors import ModelError

SHAPES = ("7b", "0.8b", "mid", "nano")


def load(arguments: argparse.Namespace):
    """The scorer for the arguments."""
    from model.common.devices import BITS, BYTES, choose_device, torch_dtype
    from model.scoring.scorer import Scorer, load_scorer

    if not arguments.random_init:
        return load_scorer(arguments.model or "nano", arguments.device, arguments.dtype, data_dir() / "adapters")
    if arguments.dtype in BITS:
        raise ModelError(f"--random-init does not support {arguments.dtype}: use --dtype bfloat16.")
    from model.bench.random_models import RANDOM
    from model.common.allocator import keep_freed_memory

    if arguments.random_init == "nano":
        keep_freed_memory()  # as nano's loader does
    backbone = RANDOM[arguments.random_init](
        choose_device(arguments.device), torch_dtype(arguments.dtype) if arguments.dtype in BYTES else None
    )
    return Scorer(f"random {arguments.random_init}", "random", backbone)


def bench(arguments: argparse.Namespace) -> int:
    from model.bench.report import report

    start = time.perf_counter()
    scorer = load(arguments)
    load_ms = round(1000 * (time.perf_counter() - start))
    print(json.dumps({"load_ms": load_ms} | report(scorer, arguments.batch_sizes), indent=1))
    return 0


def sizes(text: str) -> list[int]:
    return [positive(size) for size in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="SPEC", help="as for model.score (default: nano)")
    which.add_argument("--random-init", choices=SHAPES, help="random weights in this shape")
    add_device_options(parser)
    parser.add_argument(
        "--batch-sizes",
        type=sizes,
        default=[1, 2, 4, 8],
        metavar="N,N,...",
        help="images per forward pass (default: 1,2,4,8)",
    )
    return run(lambda: bench(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
