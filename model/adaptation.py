"""How many ratings it takes until a model scores as its raters do: simulated on a labelled data set that it was not trained on.

    python -m model.adaptation --data AGIQA-3K --anchors BIQ2021 --model nano

Some of the set's images are rated by simulated raters: a rating is the MOS plus noise of the image's own standard deviation (where the set
has none, 0.15 of the scale). The rungs recalibrate and head of model.finetune learn from these ratings and score the other images. Prints,
for each number of rated images, means over the draws:

* SRCC (and its standard deviation over the draws), PLCC, and RMSE on the model's scale, on the other images;
* anchors: the SRCC on the test part of the anchors, which says what is forgotten;
* better: how often the gate found the result better than the model as it is.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model.common.command_line import add_device_options, add_scale_option, add_spec_option, data_dir, run
from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.datasets.reading import read_dataset
from model.loading.known import check_spec, resolve

COUNTS = (10, 30, 100, 300, 1000)
RUNGS = ("recalibrate", "head")


def test_part(path: Path, scale: Scale | None) -> list[RatedImage]:
    """The test part of a data set; all of one that has no parts."""
    rated = read_dataset(path, scale=scale)
    return [record for record in rated if record.split == "test"] or rated


def table(arguments: argparse.Namespace) -> Iterator[str]:
    from model.backbones.spec import QUALITY
    from model.common.devices import choose_device
    from model.finetuning.correcting import look
    from model.finetuning.simulation import labelled, simulate
    from model.loading.opening import load_backbone

    adapters = data_dir() / "adapters"
    found = resolve(arguments.model, adapters)
    backbone = load_backbone(found, choose_device(arguments.device), arguments.dtype, QUALITY)
    scale = backbone.readout.scale

    def answered(rated: list[RatedImage]):
        material, answers = look(rated, found, backbone, adapters)
        return labelled(material.rated, answers, scale)

    known = answered(read_dataset(arguments.data, scale=arguments.scale))
    anchors = answered(test_part(arguments.anchors, arguments.scale)) if arguments.anchors else None
    yield f"{'rated':>5}  {'rung':<12}{'SRCC':>6}{'±':>6}{'PLCC':>7}{'RMSE':>7}{'anchors':>9}{'better':>8}"
    srcc, plcc, rmse = known.figures(known.answers.corrected)
    kept = anchors.figures(anchors.answers.corrected)[0] if anchors else float("nan")
    yield f"{0:>5}  {'as it is':<12}{srcc:>6.3f}{'':>6}{plcc:>7.3f}{rmse:>7.3f}{kept:>9.3f}"
    for count in COUNTS:
        for rung in RUNGS if count <= len(known.mos) / 2 else ():
            how = (count, arguments.raters, rung)
            draws = np.array([simulate(known, anchors, scale, *how, seed) for seed in range(arguments.draws)])
            srcc, plcc, rmse, kept, better = draws.mean(0)
            yield (
                f"{count:>5}  {rung:<12}{srcc:>6.3f}{draws[:, 0].std():>6.3f}{plcc:>7.3f}{rmse:>7.3f}{kept:>9.3f}{better:>8.0%}"
            )


def measure(arguments: argparse.Namespace) -> int:
    check_spec(arguments.model, data_dir() / "adapters")
    if arguments.raters < 1 or arguments.draws < 1:
        raise DataError("--raters and --draws must be at least 1.")
    for row in table(arguments):
        print(row, flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.adaptation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_spec_option(parser)
    of_set = {"type": Path, "metavar": "SET"}
    parser.add_argument(
        "--data", required=True, **of_set, help="a labelled data set, as model.evaluate --data reads it"
    )
    parser.add_argument("--anchors", **of_set, help="a data set on whose test part nothing should be lost")
    add_scale_option(parser, "scale of a CSV or JSON file's MOS, in --data and --anchors")
    parser.add_argument("--raters", type=int, default=3, help="of each rated image (default: 3)")
    parser.add_argument("--draws", type=int, default=10, help="of rated images and ratings (default: 10)")
    add_device_options(parser)
    return run(lambda: measure(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
