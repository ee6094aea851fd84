"""Score labelled images and measure how well the scores agree with the labels.

    python -m model.evaluate --model nano --images DIR --labels labels.csv
    python -m model.evaluate --model nano --data koniq10k
    python -m model.evaluate --model nano --data koniq10k --against pyiqa:niqe --gallery misses

Prints one JSON object to stdout: model, revision, readout, scale, mos_range, the figures of model.evaluation.metrics.figures (n, srcc,
plcc, srcc_fitted, plcc_fitted, krcc, krcc_fitted, rmse, intervals, notes), rmse_raw, and unreadable, a list of {"image", "error"}.
Unreadable images are not counted in n. rmse is after the logistic fit, in units of the labels; rmse_raw is without a fit, and null if the
labels have no scale and exceed the scores'.

--data reads a published data set's folder, a CSV file or a meta JSON (model/datasets/). It adds dataset, split, label_scale (null if the
labels have none), and, where applicable:

* parts: the figures and rmse_raw, without intervals, of each named part, such as a kind of degradation.
* without_near_duplicates: the same on BIQ2021's test images that have no near-duplicate in the training part.
* raters: the equivalent number of raters (model/evaluation/raters.py), if the labels have std; after the logistic fit, but 0, with a
  note, if the raw SRCC is not above 0.
* against: with --against SPEC, that system's name, figures, rmse_raw and unreadable images, and the paired comparison on the images
  that both could read (model/evaluation/paired.py), in which `first` is --model. {"model", "error"} if that system could not be loaded.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.common.command_line import add_model_options, add_scale_option, data_dir, progress_bars, run
from model.common.errors import ModelError
from model.datasets.reading import SPLITS, choose_split, read_dataset
from model.evaluation.evaluating import Evaluation, check_found, compared, evaluate, name_below
from model.evaluation.gallery import RatedScore, check_folder, write_gallery
from model.loading.known import check_spec

if TYPE_CHECKING:
    from model.evaluation.pyiqa import PyiqaScorer
    from model.scoring.scorer import Scorer

DESCRIPTION = """\
Score labelled images and print one JSON object with these figures, and more:

  n                       readable images
  srcc, plcc, krcc        correlations of the raw scores with the labels
  srcc_fitted, plcc_fitted, krcc_fitted
                          the same after a 4-parameter logistic fit of the scores to the labels
  rmse                    after that fit, in units of the labels
  rmse_raw                without a fit; null if the labels' scale is unknown and not the scores'
  intervals               bootstrap 95 % intervals of all these but rmse_raw, for at least 10 images
  notes                   why a figure is null, and what the fit hides
  unreadable              images that could not be read, and why

--model and --against also accept pyiqa:NAME, a metric of the package pyiqa if that is installed."""
PYIQA = "pyiqa:"  # prefix of a metric of that package


def check_specs(specs: Sequence[str]) -> None:
    """Raises ModelLoadError for a model or a metric of pyiqa that does not exist, before anything is loaded."""
    for spec in specs:
        if not spec.startswith(PYIQA):
            check_spec(spec, data_dir() / "adapters")
    for spec in specs:
        if spec.startswith(PYIQA):
            from model.evaluation.pyiqa import find_metric

            find_metric(spec.removeprefix(PYIQA))


def load(spec: str, options: argparse.Namespace) -> "Scorer | PyiqaScorer":
    """The scorer of a SPEC, or the installed pyiqa's metric for pyiqa:NAME. Raises ModelError."""
    from model.common.devices import choose_device
    from model.scoring.scorer import load_scorer

    if spec.startswith(PYIQA):
        from model.evaluation.pyiqa import load_pyiqa

        return load_pyiqa(spec.removeprefix(PYIQA), choose_device(options.device))
    return load_scorer(spec, options.device, options.dtype, data_dir() / "adapters", progress=progress_bars())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluate",
        description=DESCRIPTION,
        epilog="exit status: 0, 1 when some images could not be read, 2 when nothing could be evaluated,\n"
        "or --against or --gallery failed; what was evaluated is printed all the same",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument("--labels", type=Path, metavar="CSV", help="CSV file: image, mos and, if any, std and n")
    labels.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="the folder of a published data set (KonIQ-10k, SPAQ, KADID-10k, LIVE-Wild, AGIQA-3K, CSIQ, BIQ2021), "
        "a CSV file, or a meta JSON of Q-Scorer, DeQA-Score or Q-Align",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="folder of the images named in a CSV or JSON file (default: the file's own)",
    )
    add_scale_option(parser, "scale of the MOS in a CSV or JSON file")
    parser.add_argument(
        "--split", choices=[*SPLITS, "all"], help="of a published data set (default: test if there is one, else all)"
    )
    parser.add_argument("--against", metavar="SPEC", help="compare with this model on the same images")
    parser.add_argument(
        "--gallery", type=Path, metavar="DIR", help="write a page with the largest errors to this folder"
    )
    add_model_options(parser)
    return run(lambda: _report(parser.parse_args(arguments)))


def _report(options: argparse.Namespace) -> int:
    source = options.data or options.labels
    root = options.images or (source if source.is_dir() else source.parent)
    rated = choose_split(read_dataset(source, options.images, options.scale), options.split)

    def evaluation(spec: str) -> Evaluation:
        return evaluate(load(spec, options), rated, root, batch_size=options.batch_size, progress=True)

    if options.gallery:
        check_folder(options.gallery)
    check_found(rated, source)
    check_specs([spec for spec in (options.model, options.against) if spec])
    first, failed = evaluation(options.model), None
    report = first.report
    if options.against:
        try:
            report["against"] = compared(first, evaluation(options.against), rated)
        except ModelError as error:  # the first model's report, which may have taken hours, is printed first
            report["against"], failed = {"model": options.against, "error": str(error)}, error
    print(json.dumps(report, allow_nan=False), flush=True)
    if options.gallery:
        scored = [
            RatedScore(name_below(root, rated[n].image), rated[n].image, score, rated[n].mos, rated[n].std)
            for n, score in first.scores.items()
        ]
        print(f"gallery: {write_gallery(options.gallery, scored, report)}", file=sys.stderr)
    if failed:
        raise failed
    return 0 if not report["unreadable"] else 1 if report["n"] else 2


if __name__ == "__main__":
    sys.exit(main())
