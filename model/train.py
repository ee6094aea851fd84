"""Train nano, nano-qalign and the plain regressor together, on one image encoder, on BIQ2021 or on any data sets.

    python -m model.train --data BIQ2021 --out runs
    python -m model.train --data BIQ2021 koniq10k kadid10k --out runs-of-three
    python -m model.train --data BIQ2021 --out runs-of-ss03 --without ss01 ss02    # keeps these two for a test

All three read feature maps of one encoder, and the gradients of all three reach it, so they differ only in how they compute a score
from it. In the first epoch the encoder keeps its ImageNet weights; after that all but its first blocks are trained too, at a fifth of
the learning rate.

Losses: for Q-Scorer the answer's cross-entropy, the squared error of the score and norm-in-norm; for Q-Align the answer's
cross-entropy; for the plain regressor the two losses of the score. Some images are also shown with artificial damage
(model/images/damage.py), and a ranking loss asks for a lower score the more an image is damaged, because rated photographs rarely
show noise or compression alone.

If interrupted, the same command resumes from the last checkpoint. After each epoch the moving average of the weights is evaluated on the
validation part, and the best is kept. The test part is not used here; python -m model.compare evaluates on it.
"""

import argparse
import sys
from pathlib import Path

from model.common.command_line import add_device_option, add_scale_option, positive, run
from model.common.devices import choose_device
from model.training.run import Recipe, train


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        nargs="+",
        metavar="PATH",
        help="a clone of github.com/nisarahmedrana/BIQ2021, another published data set's folder, a CSV file or a meta JSON; or several",
    )
    add_scale_option(parser, "of the MOS in a CSV or JSON file")
    parser.add_argument("--out", type=Path, required=True, help="where checkpoints, logs and weights go")
    parser.add_argument("--epochs", type=positive, default=3, help="default: 3")
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        metavar="PART",
        help="parts of the data to leave out, such as ss02 of BIQ2021",
    )
    parser.add_argument(
        "--share",
        nargs="+",
        type=share,
        default=[],
        metavar="PART=SHARE",
        help="share of a part's images that each epoch uses, such as ss02=0.1 (default: all)",
    )
    parser.add_argument(
        "--start",
        type=Path,
        metavar="DIR",
        help="start from nano and nano-qalign in this folder, instead of from ImageNet's encoder",
    )
    add_device_option(parser)
    return run(lambda: train_all(parser.parse_args()))


def share(text: str) -> tuple[str, float]:
    part, _, value = text.rpartition("=")
    return part, float(value)


def train_all(arguments: argparse.Namespace) -> int:
    recipe = Recipe(arguments.epochs, dict(arguments.share), arguments.start)
    device = choose_device(arguments.device)
    for folder in train(arguments.data, arguments.out, recipe, arguments.scale, arguments.without, device):
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
