"""Score labelled images and measure how well the scores agree with the labels.

    python -m model.evaluate --model nano --images DIR --labels labels.csv
    python -m model.evaluate --model nano --data koniq10k
    python -m model.evaluate --model nano --data koniq10k --against pyiqa:niqe --gallery misses

Prints a table on a terminal, and else one JSON object to stdout (--format table and --format json ask for either): model, revision,
readout, scale, mos_range, the figures of model.evaluation.metrics.figures (n, srcc, plcc, srcc_fitted, plcc_fitted, krcc, krcc_fitted,
rmse, intervals, notes), rmse_raw, and unreadable, a list of {"image", "error"}. Unreadable images are not counted in n. rmse is after the
logistic fit, in units of the labels; rmse_raw is without a fit, and null if the labels have no scale and exceed the scores'.

--data reads a published data set's folder, a CSV file or a meta JSON (model/datasets/). It adds dataset, split, label_scale (null if the
labels have none), and, where applicable:

* parts: the figures and rmse_raw, without intervals, of each named part, such as a kind of degradation.
* without_near_duplicates: the same on BIQ2021's test images that have no near-duplicate in the training part.
* raters: the equivalent number of raters (model/evaluation/raters.py), if the labels have std; after the logistic fit, but 0, with a
  note, if the raw SRCC is not above 0.
* against: with --against SPEC, that system's name, figures, rmse_raw and unreadable images, and the paired comparison on the images
  that both could read (model/evaluation/paired.py), in which `first` is --model. {"model", "error"} if that system could not be loaded.
* more_against: with several --against, a list of the same for all but the first of them.

--latex prints rows for a table of a paper instead. --per-image writes each image's MOS and scores as CSV, --figure scatter plots as SVG.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.common.command_line import add_model_options, add_scale_option, data_dir, printable, progress_bars, run
from model.common.errors import ModelError
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.datasets.reading import SPLITS, choose_split, read_dataset
from model.evaluation.evaluating import Evaluation, check_found, compared, evaluate, name_below
from model.evaluation.gallery import RatedScore, check_folder, write_gallery
from model.evaluation.per_image import check_writable, figure_of, write_per_image
from model.evaluation.report import as_latex, as_table, reports_of
from model.loading.known import check_spec

if TYPE_CHECKING:
    from model.evaluation.pyiqa import PyiqaScorer
    from model.scoring.scorer import Scorer

DESCRIPTION = """\
Score labelled images and print how well the scores agree with the labels: a table on a terminal, else one JSON object with these figures,
and more:

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
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="SPEC",
        help="compare with this model on the same images; may be repeated",
    )
    parser.add_argument(
        "--gallery", type=Path, metavar="DIR", help="write a page with the largest errors to this folder"
    )
    parser.add_argument("--per-image", type=Path, metavar="CSV", help="write each image's MOS and scores to this file")
    parser.add_argument("--figure", type=Path, metavar="SVG", help="write scatter plots to this file")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table" if sys.stdout.isatty() else "json",
        help="default: table on a terminal, else json",
    )
    parser.add_argument(
        "--latex", action="store_const", const="latex", dest="format", help="print rows of a LaTeX table"
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
    for file in filter(None, (options.per_image, options.figure)):
        check_writable(file)
    check_found(rated, source)
    check_specs([options.model, *options.against])
    evaluations, failures = [evaluation(options.model)], []
    report, others = evaluations[0].report, []
    for spec in options.against:
        try:
            evaluations.append(evaluation(spec))
            others.append(compared(evaluations[0], evaluations[-1], rated))
        except ModelError as error:  # the other reports, which may have taken hours, are printed first
            failures.append(error)
            others.append({"model": spec, "error": str(error)})
    if others:
        report["against"] = others[0]
    if others[1:]:
        report["more_against"] = others[1:]
    print(FORMATS[options.format](report), end="", flush=True)
    write_files(options, evaluations, rated, root)
    for error in failures[:-1]:
        print(f"error: {printable(str(error))}", file=sys.stderr)
    if failures:
        raise failures[-1]
    return 0 if not report["unreadable"] else 1 if report["n"] else 2


def write_files(
    options: argparse.Namespace, evaluations: Sequence[Evaluation], rated: Sequence[RatedImage], root: Path
) -> None:
    """The files that were asked for besides the report. Raises DataError, OSError."""
    first, names = evaluations[0], [name_below(root, image.image) for image in rated]
    systems = {found.report["model"]: found.scores for found in evaluations}
    if options.per_image:
        write_per_image(options.per_image, names, rated, systems)
    if options.figure:
        scales = {found.report["model"]: found.report["scale"] for found in evaluations}
        known = {name: scale and Scale(*scale) for name, scale in scales.items()}
        options.figure.write_text(figure_of(rated, systems, known), encoding="utf-8")
    if options.gallery:
        scored = [
            RatedScore(names[n], rated[n].image, score, rated[n].mos, rated[n].std) for n, score in first.scores.items()
        ]
        print(f"gallery: {write_gallery(options.gallery, scored, first.report)}", file=sys.stderr)


def as_json(report: dict) -> str:
    return json.dumps(report, allow_nan=False) + "\n"


def as_rows(report: dict) -> str:
    return as_latex(reports_of(report))


FORMATS = {"table": as_table, "json": as_json, "latex": as_rows}


if __name__ == "__main__":
    sys.exit(main())
