"""Score labelled pictures and say how well the scores agree with the opinion scores.

    python -m model.evaluate --model nano --images DIR --labels labels.csv
    python -m model.evaluate --model nano --data koniq10k
    python -m model.evaluate --model nano --data koniq10k --against pyiqa:niqe --gallery misses

Prints one JSON object to stdout: model, revision, readout, scale, mos_range, the figures of model.metrics.figures (n, srcc,
plcc, srcc_fitted, plcc_fitted, krcc, krcc_fitted, rmse, intervals, notes), rmse_raw, and unreadable, the pictures that could not be
read, each {"image", "error"}. They are left out of n. rmse is taken after the logistic fit, in units of the labels;
rmse_raw is without a fit, and null where the labels came without a scale and do not lie in the scores'.

--data reads a published data set's folder, a CSV file or a meta JSON (model/datasets/). These add to the object: dataset, split,
label_scale (null where the labels came without), and, each only where there is something to say:

* parts: the figures and rmse_raw, without intervals, of each named part, such as a kind of degradation.
* without_near_duplicates: the same on BIQ2021's test pictures that have no near-duplicate in the training part.
* raters: how many raters' mean the scorer is worth (model/raters.py), where the labels have std; after the
  logistic fit, but nobody's where the raw SRCC is not above 0, which a note then says.
* against: with --against SPEC, that system's name, figures, rmse_raw and unreadable pictures, and the paired comparison on the pictures
  that both could read (model/paired.py), in which `first` is --model. Where that system could not be loaded: {"model", "error"}.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from model import biq2021
from model.assessment import Failure
from model.commands import add_model_options, add_scale_option, data_dir, progress_bars, run
from model.datasets.reading import SPLITS, choose_split, is_published, read_dataset
from model.errors import DataError, ModelError
from model.gallery import RatedScore, check_folder, write_gallery
from model.metrics import FIGURES, figures, point_figures, rmse
from model.paired import compare
from model.raters import scorers_worth
from model.rated import RatedImage
from model.registry import check_spec

if TYPE_CHECKING:
    from model.pyiqa_scorer import PyiqaScorer
    from model.scorer import Scorer

DESCRIPTION = """\
Score labelled pictures and print one JSON object with these figures, and more:

  n                       pictures that could be read
  srcc, plcc, krcc        correlations of the scores, as they are, with the labels
  srcc_fitted, plcc_fitted, krcc_fitted
                          the same after a 4-parameter logistic has put the scores on the labels' scale
  rmse                    after that fit too, in units of the labels
  rmse_raw                without a fit; null where the labels' scale is not known and not the scores'
  intervals               bootstrap 95 % intervals of all these but rmse_raw, from 10 pictures on
  notes                   why a figure is null, and what the fit hides
  unreadable              the pictures that could not be read, and why

--model and --against also take pyiqa:NAME, a metric of the package pyiqa where that is installed."""
PYIQA = "pyiqa:"  # before the name of a metric of that package


@dataclass(frozen=True)
class Evaluation:
    """What a scorer said of rated images: the report that the command prints, and the score of each position that could be read."""

    report: dict
    scores: dict[int, float]


def evaluate(
    scorer: "Scorer | PyiqaScorer",
    rated: Sequence[RatedImage],
    root: str | Path = "",
    batch_size: int = 8,
    progress: bool = False,
) -> Evaluation:
    """Score every rated image and compare with its MOS.

    A picture that is absent or cannot be read is listed in unreadable, by its path below `root`, and left out of the figures.
    progress draws a bar on stderr. Raises DataError when there are no images.
    """
    if not rated:
        raise DataError("there are no labels to evaluate against")
    results = scorer.assess_files([image.image for image in rated], batch_size=batch_size)
    scores: dict[int, float] = {}
    unreadable = []
    shown = tqdm(results, total=len(rated), desc="scoring", unit="img", file=sys.stderr, disable=not progress)
    for n, (image, result) in enumerate(zip(rated, shown, strict=True)):
        if isinstance(result, Failure):
            unreadable.append({"image": name_below(root, image.image), "error": result.error})
        else:
            scores[n] = result.score
    read = [rated[n] for n in scores]
    mos = [image.mos for image in read]
    report = {
        "model": scorer.name,
        "revision": scorer.revision,
        "readout": scorer.readout,
        "scale": scorer.scale and list(scorer.scale),
        "mos_range": [min(mos), max(mos)] if mos else None,
        **figures(list(scores.values()), mos),
        "rmse_raw": raw_rmse(list(scores.values()), read, scorer.scale),
        "unreadable": unreadable,
    }
    report |= {
        "dataset": " + ".join(sorted({image.dataset for image in rated} - {""})) or None,
        "split": " + ".join(sorted({image.split for image in rated} - {""})) or None,
        "label_scale": list(rated[0].scale) if len({image.scale for image in rated}) == 1 and rated[0].scale else None,
    }
    return Evaluation(report | more_figures(read, list(scores.values()), scorer.scale), scores)


def raw_rmse(scores: Sequence[float], rated: Sequence[RatedImage], scale: tuple[float, float] | None) -> float | None:
    """RMSE without a fit, in units of the labels; scores of another scale than the labels' are put on it by a straight line.

    Labels that came without a scale count as being on the scorer's when they lie in it, and have no RMSE otherwise; nor have
    scores without a scale, labels of several scales, and no images.
    """
    scales = {image.scale for image in rated}
    if scale is None or len(scales) != 1:
        return None
    low, high = scale
    mos = [image.mos for image in rated]
    (label_scale,) = scales
    if label_scale is None:
        return rmse(scores, mos) if low <= min(mos) and max(mos) <= high else None
    bottom, top = label_scale
    return rmse([bottom + (score - low) / (high - low) * (top - bottom) for score in scores], mos)


def more_figures(rated: Sequence[RatedImage], scores: Sequence[float], scale: tuple[float, float] | None) -> dict:
    """scale: the scores'. The keys of the report that are there only where there is something to say: see this module's docstring."""
    more: dict = {}
    parts = sorted({image.part for image in rated} - {""})
    if len(parts) > 1:
        more["parts"] = {part: some_figures(rated, scores, scale, lambda image: image.part == part) for part in parts}
    if rated and {(image.dataset, image.split) for image in rated} == {(biq2021.NAME, "test")}:
        twins = biq2021.near_duplicates()
        more["without_near_duplicates"] = some_figures(
            rated, scores, scale, lambda image: image.image.name not in twins
        )
    if rated and all(image.std is not None for image in rated):
        more["raters"] = _raters(rated, scores)
    return more


def some_figures(
    rated: Sequence[RatedImage],
    scores: Sequence[float],
    scale: tuple[float, float] | None,
    chosen: Callable[[RatedImage], bool],
) -> dict:
    """The figures and rmse_raw, without intervals, of the images for which chosen(image) holds."""
    pairs = [(score, image) for score, image in zip(scores, rated, strict=True) if chosen(image)]
    kept, images = [score for score, _ in pairs], [image for _, image in pairs]
    found = point_figures(kept, [image.mos for image in images])
    return {key: found[key] for key in ("n", *FIGURES)} | {"rmse_raw": raw_rmse(kept, images, scale)}


def _raters(rated: Sequence[RatedImage], scores: Sequence[float]) -> dict:
    counts = [image.n for image in rated]
    n = None if None in counts else counts
    try:
        return scorers_worth(scores, [image.mos for image in rated], [image.std for image in rated], n)
    except DataError as error:
        return {"note": str(error)}


def compared(first: Evaluation, second: Evaluation, rated: Sequence[RatedImage]) -> dict:
    """The report's key `against`: the second system's figures, and the paired comparison on the images that both could read."""
    both = [n for n in first.scores if n in second.scores]
    kept = ("model", "revision", "n", *FIGURES, "rmse_raw", "intervals", "unreadable")
    return {key: second.report[key] for key in kept} | {
        "paired": compare(
            [first.scores[n] for n in both], [second.scores[n] for n in both], [rated[n].mos for n in both]
        )
    }


def check_found(rated: Sequence[RatedImage], source: Path) -> None:
    """Raises DataError when not one of the pictures is there, as where their folder was not given."""
    if not any(os.path.exists(image.image) for image in rated):
        more = f", nor any of {len(rated) - 1} others" if len(rated) > 1 else ""
        remedy = (
            "copy the pictures there" if is_published(source) else "say by --images which folder the names start from"
        )
        raise DataError(f"{source}: there is no picture {rated[0].image}{more}: {remedy}")


def name_below(root: str | Path, path: Path) -> str:
    """The path as the labels give it, below root; whole where it lies elsewhere."""
    return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)


def check_specs(specs: Sequence[str]) -> None:
    """Raises ModelLoadError for a model, or a metric of pyiqa, that is not there; before anything is loaded, and without holding two."""
    for spec in specs:
        if not spec.startswith(PYIQA):
            check_spec(spec, data_dir() / "adapters")
    for spec in specs:
        if spec.startswith(PYIQA):
            from model.pyiqa_scorer import find_metric

            find_metric(spec.removeprefix(PYIQA))


def load(spec: str, options: argparse.Namespace) -> "Scorer | PyiqaScorer":
    """The scorer of a SPEC, or the installed pyiqa's metric for pyiqa:NAME. Raises ModelError."""
    from model.scorer import choose_device, load_scorer  # torch takes seconds: a misspelt file is told before

    if spec.startswith(PYIQA):
        from model.pyiqa_scorer import load_pyiqa

        return load_pyiqa(spec.removeprefix(PYIQA), choose_device(options.device))
    return load_scorer(spec, options.device, options.dtype, data_dir() / "adapters", progress=progress_bars())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluate",
        description=DESCRIPTION,
        epilog="exit status: 0, 1 when some pictures could not be read, 2 when nothing could be evaluated,\n"
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
        help="folder that names in a CSV or JSON file start from (default: its own)",
    )
    add_scale_option(parser, "scale of a CSV or JSON file's figures")
    parser.add_argument(
        "--split", choices=[*SPLITS, "all"], help="of a published data set (default: test where there is one, else all)"
    )
    parser.add_argument("--against", metavar="SPEC", help="compare with this model on the same pictures")
    parser.add_argument(
        "--gallery", type=Path, metavar="DIR", help="write a page with the worst misses into this folder"
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
        except ModelError as error:  # hours of scoring lie behind: they are printed first
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
