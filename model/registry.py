"""List the named models: `python -m model.registry` prints method, size, memory, scale, training data and licence of each."""

import argparse
import sys

from model.common.command_line import run
from model.loading.known import KNOWN


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.registry", description="List the named models, one per line."
    )

    def program() -> int:
        parser.parse_args()
        for name, known in KNOWN.items():
            print(f"{name:<15} {known.words}")
        return 0

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
