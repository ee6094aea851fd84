"""A scorer against labelled images: what it scores, how well that agrees, and what could not be read."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

    An image that is absent or cannot be read is listed in unreadable, by its path below `root`, and left out of the figures.
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


def raw_rmse(scores: Sequence[float], rated: Sequence[RatedImage], scale: Scale | None) -> float | None:
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


def more_figures(rated: Sequence[RatedImage], scores: Sequence[float], scale: Scale | None) -> dict:
    """scale: the scores'. The keys of the report that are there only where there is something to say: see this module's docstring."""
    more: dict = {}
    parts = sorted({image.part for image in rated} - {""})
    if len(parts) > 1:
        more["parts"] = {
            part: some_figures(rated, scores, scale, lambda image, part=part: image.part == part) for part in parts
        }
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
    scale: Scale | None,
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
    """Raises DataError when not one of the images is there, as where their folder was not given."""
    if not any(os.path.exists(image.image) for image in rated):
        more = f", nor any of {len(rated) - 1} others" if len(rated) > 1 else ""
        remedy = (
            "copy the images there" if is_published(source) else "say by --images which folder the names start from"
        )
        raise DataError(f"{source}: there is no image {rated[0].image}{more}: {remedy}")


def name_below(root: str | Path, path: Path) -> str:
    """The path as the labels give it, below root; whole where it lies elsewhere."""
    return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)
