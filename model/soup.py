"""Average the weights of several trainings (model soups, Wortsman et al. 2022, arXiv 2203.05482).

    python -m model.soup runs-on-all runs-without-ss02 --out runs

Trainings that start from the same weights end near each other, and their average often generalises better than any of them, at no cost in
speed. --out has the same files as that of python -m model.train, and can be read by python -m model.compare.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torch.optim.swa_utils import AveragedModel

from model.common.command_line import run
from model.common.errors import DataError
from model.common.json_files import read_json, write_json
from model.common.new_folder import new_folder
from model.training.run import TRAINING, best_of, write_state
from model.training.trio import Trio


def mean_of(folders: Sequence[Path]) -> Trio:
    """The systems with the mean of each training's best weights. Raises DataError when a training is missing."""
    average = AveragedModel(best_of(folders[0]), use_buffers=True)
    for folder in folders:
        average.update_parameters(best_of(folder))
    return average.module.eval()


def make_soup(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write the average to a new folder, and return the folders of nano and nano-qalign in it. Parts of the data that all trainings left
    out are recorded as left out. Raises DataError for fewer than two trainings, duplicates, and an existing folder."""
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise DataError("a mean needs at least two trainings: give their folders, each once.")
    trio = mean_of(folders)
    left_out = set.intersection(*(set(read_json(folder / TRAINING)["without"]) for folder in folders))
    with new_folder(out, DataError, "free some space, or choose another --out") as folder:
        write_state(folder / "best.pt", trio.state_dict())
        write_json(folder / TRAINING, {"mean_of": [str(one) for one in folders], "without": sorted(left_out)})
        for name in trio.nanos:
            trio.save(name, folder / name)
    return [out / name for name in trio.nanos]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.soup", description=__doc__.split("\n\n")[0])
    parser.add_argument("trainings", type=Path, nargs="+", metavar="DIR", help="the --out of python -m model.train")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    return run(lambda: soup(parser.parse_args()))


def soup(arguments: argparse.Namespace) -> int:
    for folder in make_soup(arguments.trainings, arguments.out):
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
