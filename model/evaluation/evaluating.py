"""Evaluates a scorer on labelled images: scores, agreement with the labels, and unreadable images."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets import biq2021
from model.datasets.rated import RatedImage
from model.datasets.reading import is_published
from model.evaluation.metrics import FIGURES, figures, point_figures, rmse
from model.evaluation.paired import compare
from model.evaluation.raters import scorers_worth
from model.scoring.assessment import Failure

if TYPE_CHECKING:
    from model.evaluation.pyiqa import PyiqaScorer
    from model.scoring.scorer import Scorer


@dataclass(frozen=True)
class Evaluation:
    """The report that the command prints, and the scores by position of the readable images."""

    report: dict
    scores: dict[int, float]


def evaluate(
    scorer: "Scorer | PyiqaScorer",
    rated: Sequence[RatedImage],
    root: str | Path = "",
    batch_size: int = 8,
    progress: bool = False,
) -> Evaluation:
    """Score all rated images and compare the scores with their MOS.

    Missing and unreadable images are listed in `unreadable`, by their path below `root`, and excluded from the figures.
    progress: show a bar on stderr. Raises DataError when there are no images.
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


def raw_rmse(scores: Sequence[float], rated: Sequence[RatedImage], scale: Scale | None) -> float | None:
    """RMSE without a fit, in units of the labels; scores are mapped linearly onto the labels' scale.

    Labels without a scale are assumed to be on the scorer's if they all lie within it. Otherwise None, as for scores without a scale,
    labels on several scales, and no images.
    """
    scales = {image.scale for image in rated}
    if scale is None or len(scales) != 1:
        return None
    mos = [image.mos for image in rated]
    (label_scale,) = scales
    if label_scale is None:
        return rmse(scores, mos) if scale.low <= min(mos) and max(mos) <= scale.high else None
    return rmse([scale.onto(label_scale, score) for score in scores], mos)


def more_figures(rated: Sequence[RatedImage], scores: Sequence[float], scale: Scale | None) -> dict:
    """The optional keys of the report (model/evaluate.py describes them). scale: of the scores."""
    more: dict = {}
    parts = sorted({image.part for image in rated} - {""})
    if len(parts) > 1:
        more["parts"] = {
            part: some_figures(rated, scores, scale, [image.part == part for image in rated]) for part in parts
        }
    if rated and {(image.dataset, image.split) for image in rated} == {(biq2021.NAME, "test")}:
        twins = biq2021.near_duplicates()
        chosen = [image.image.name not in twins for image in rated]
        more["without_near_duplicates"] = some_figures(rated, scores, scale, chosen)
    if rated and all(image.std is not None for image in rated):
        more["raters"] = _raters(rated, scores)
    return more


def some_figures(
    rated: Sequence[RatedImage],
    scores: Sequence[float],
    scale: Scale | None,
    chosen: Sequence[bool],
) -> dict:
    """The figures and rmse_raw, without intervals, on the chosen images."""
    kept, images = list(compress(scores, chosen)), list(compress(rated, chosen))
    found = point_figures(kept, [image.mos for image in images])
    return {key: found[key] for key in ("n", *FIGURES)} | {"rmse_raw": raw_rmse(kept, images, scale)}


def _raters(rated: Sequence[RatedImage], scores: Sequence[float]) -> dict:
    stds = [image.std for image in rated if image.std is not None]
    counts = [image.n for image in rated if image.n is not None]
    try:
        return scorers_worth(
            scores, [image.mos for image in rated], stds, counts if len(counts) == len(rated) else None
        )
    except DataError as error:
        return {"note": str(error)}


def compared(first: Evaluation, second: Evaluation, rated: Sequence[RatedImage]) -> dict:
    """The report's key `against`: the second system's figures, and the paired comparison on the images that both systems scored."""
    both = [n for n in first.scores if n in second.scores]
    kept = ("model", "revision", "n", *FIGURES, "rmse_raw", "intervals", "unreadable")
    return {key: second.report[key] for key in kept} | {
        "paired": compare(
            [first.scores[n] for n in both], [second.scores[n] for n in both], [rated[n].mos for n in both]
        )
    }


def check_found(rated: Sequence[RatedImage], source: Path) -> None:
    """Raises DataError when none of the images exists, as when their folder was not given."""
    if not any(os.path.exists(image.image) for image in rated):
        more = f", nor any of {len(rated) - 1} others" if len(rated) > 1 else ""
        remedy = "copy the images there" if is_published(source) else "use --images to name the folder of the images"
        raise DataError(f"{source}: there is no image {rated[0].image}{more}: {remedy}")


def name_below(root: str | Path, path: Path) -> str:
    """The path relative to root, as in the labels; the full path if it is elsewhere."""
    return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)
