"""`python -m model.convert IN OUT [--base BASE]`: write a published mPLUG-Owl2 folder in our own layout.

A whole model becomes a folder of safetensors that loads as it is, position tables included. A LoRA becomes an adapter of what its base does
not hold: the LoRA, the rows of the score tokens, the regressor, and every other tensor that differs from the base. The published Q-Scorer
LoRA comes with a dump of all parameters, 16 GB, of which most are the base's.
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
        description="Write a published folder (mplug-owl2-llama2-7b, one-align, DeQA-Score, Q-Scorer; whole or LoRA) as safetensors.",
    )
    parser.add_argument("source", metavar="IN", type=Path, help="the published folder")
    parser.add_argument("out", metavar="OUT", type=Path, help="a folder to make; it must not exist")
    parser.add_argument("--base", type=Path, help="for a LoRA: the folder of its base, published or converted")

    def program() -> int:
        given = parser.parse_args(arguments)
        print(convert(given.source, given.out, given.base))
        return 0

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
