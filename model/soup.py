"""Average the weights of several trainings (model soups, Wortsman et al. 2022, arXiv 2203.05482).

    python -m model.soup runs-on-all runs-without-ss02 --out runs
    python -m model.soup model/weights runs --out mean    # of the shipped weights and of a training that started from them

Trainings that start from the same weights end near each other, and their average often generalises better than any of them, at no cost in
speed. --out has the same files as that of python -m model.train, and can be read by python -m model.compare, unless one of the folders
holds nano and nano-qalign only: then --out does too.
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
    """The systems with the mean of each folder's weights: a training's best, or those of the folders nano and nano-qalign in it, which
    have no plain regressor. Raises DataError or ModelLoadError if a folder has neither."""
    average: AveragedModel | None = None
    for folder in folders:
        systems = best_of(folder) if is_training(folder) or not (folder / "nano").is_dir() else Trio(folder)
        average = average or AveragedModel(systems, use_buffers=True)
        average.update_parameters(systems)
    return average.module.eval()


def is_training(folder: Path) -> bool:
    return (folder / TRAINING).exists()


def make_soup(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write the average to a new folder, and return the folders of nano and nano-qalign in it. Parts of the data that all trainings left
    out are recorded as left out. Raises DataError for fewer than two folders, duplicates, and an existing folder, and as mean_of does."""
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise DataError("a mean needs at least two trainings: give their folders, each once.")
    trio = mean_of(folders)
    with new_folder(out, DataError, "free some space, or choose another --out") as folder:
        trainings = [one for one in folders if is_training(one)]
        left_out = [set(read_json(one / TRAINING)["without"]) for one in trainings] or [set()]
        write_json(
            folder / TRAINING,
            {
                "mean_of": [str(one) for one in folders],
                "without": sorted(set.intersection(*left_out)),
            },
        )
        if trainings == list(folders):
            write_state(folder / "best.pt", trio.state_dict())
        for name in trio.nanos:
            trio.save(name, folder / name)
    return [out / name for name in trio.nanos]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.soup", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "trainings",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="the --out of python -m model.train, or a folder with nano and nano-qalign",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    return run(lambda: soup(parser.parse_args()))


def soup(arguments: argparse.Namespace) -> int:
    for folder in make_soup(arguments.trainings, arguments.out):
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
