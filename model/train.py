"""Train nano, nano-qalign and the plain regressor together, on one image encoder, on BIQ2021 or on any data sets.

    python -m model.train --data BIQ2021 --out runs
    python -m model.train --data BIQ2021 koniq10k kadid10k --out runs-of-three
    python -m model.train --data BIQ2021 --out runs-of-ss03 --without ss01 ss02    # to be tested on these

Each of the three reads the same encoder's maps and sends its gradient back into it, so they differ in how they read and in nothing else.
In the first epoch they learn to read the encoder as ImageNet made it; then all but its first blocks learns with them, five times slower.

What each is taught: Q-Scorer its answer's cross-entropy, the squared error and the norm-in-norm loss; Q-Align the answer's
cross-entropy; the plain regressor the two losses of the score. All three are shown images damaged on purpose too
(model/images/damage.py), which should score lower the more they are damaged: photographs with a MOS hardly show noise and
compression alone.

Interrupted, the same command resumes from the last checkpoint. After each epoch the moving average of the weights is
checked on the validation part, and the best is kept; the test part is never looked at here (python -m model.compare does that).
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
        help="how much of a part an epoch shows, such as ss02=0.1 (default: all of it)",
    )
    parser.add_argument(
        "--start",
        type=Path,
        metavar="DIR",
        help="a folder with nano and nano-qalign of an earlier training, to go on from instead of ImageNet's encoder",
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
