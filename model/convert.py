"""Convert a published mPLUG-Owl2 folder to safetensors: `python -m model.convert IN OUT [--base BASE]`

A complete model becomes a folder of safetensors, position tables included. A LoRA becomes an adapter with only the differences from its
base: the LoRA, the rows of the score tokens, the regressor, and all other tensors that differ. The published Q-Scorer LoRA comes with a
dump of all parameters, 16 GB, most of which equal the base's.

With --merge it becomes a complete model instead, whose files the original program reads: also an adapter that was trained here.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model.backbones.mplug_owl2.converting import convert
from model.common.command_line import run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.convert",
        description="Convert a published folder (mplug-owl2-llama2-7b, one-align, DeQA-Score, Q-Scorer; complete or LoRA) to safetensors.",
    )
    parser.add_argument("source", metavar="IN", type=Path, help="the published folder")
    parser.add_argument("out", metavar="OUT", type=Path, help="a new folder; it must not exist")
    parser.add_argument(
        "--merge",
        action="store_true",
        help="a LoRA, also one trained here, becomes a complete model in the published layout",
    )
    parser.add_argument("--base", type=Path, help="for a LoRA: the folder of its base, published or converted")

    def program() -> int:
        given = parser.parse_args(arguments)
        print(convert(given.source, given.out, given.base, given.merge))
        return 0

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
