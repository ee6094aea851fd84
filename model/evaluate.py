"""Score labelled pictures and say how well the scores agree with the opinion scores.

    python -m model.evaluate --model nano --images DIR --labels labels.csv

Prints one JSON object to stdout: model, revision, readout, scale, mos_range, the figures of model.metrics.figures (n, srcc,
plcc, srcc_fitted, plcc_fitted, krcc, rmse, intervals, notes), rmse_raw, and unreadable, the pictures that could not be
read, each {"image", "error"}. They are left out of n. rmse is taken after the logistic fit, in units of the labels;
rmse_raw is without a fit, and null where the labels are on another scale than the scores.
"""

import argparse
import csv
import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from model.assessment import Failure
from model.commands import add_model_options, data_dir, progress_bars, run
from model.errors import DataError
from model.metrics import figures, rmse

if TYPE_CHECKING:
    from model.scorer import Scorer


@dataclass(frozen=True)
class Label:
    """A picture's name, as the labels give it, and its mean opinion score."""

    image: str
    mos: float


def read_labels(path: str | Path) -> list[Label]:
    """Read a CSV file with the columns image and mos, in any case and order; others, such as std, are left aside.

    Raises DataError for a file that cannot be read, a missing column, a mos that is no number, a picture named twice and a
    file without rows; the sentence names the file and the line.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _parse_labels(path, csv.DictReader(file))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: save it as 'CSV UTF-8'") from error
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file: {error}") from error


def _parse_labels(path: Path, reader: csv.DictReader) -> list[Label]:
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    for wanted in ("image", "mos"):
        if wanted not in columns:
            found = ", ".join(filter(None, columns)) or "none"
            raise DataError(
                f"{path} has no column '{wanted}': its first line must name the columns image and mos (found: {found})"
            )
    labels: list[Label] = []
    lines: dict[str, int] = {}
    for row in reader:
        image, value = ((row[columns[name]] or "").strip() for name in ("image", "mos"))
        line = reader.line_num
        if not image:
            raise DataError(f"{path}, line {line}: no image is named")
        if image in lines:
            raise DataError(
                f"{path}, line {line}: {image} was given on line {lines[image]} already; give each picture once"
            )
        try:
            mos = float(value)
        except ValueError:
            mos = math.nan
        if not math.isfinite(mos):
            raise DataError(f"{path}, line {line}: the mos of {image} is {value or 'empty'}, not a number")
        lines[image] = line
        labels.append(Label(image, mos))
    if not labels:
        raise DataError(f"{path} has no rows below its first line: there is nothing to evaluate")
    return labels


def evaluate(
    scorer: "Scorer", images: str | Path, labels: Sequence[Label], batch_size: int = 8, progress: bool = False
) -> dict:
    """Score every labelled picture under the folder images and compare with its label: the object that the command prints.

    A picture that is absent or cannot be read is listed in unreadable and left out of the figures. progress draws a bar on
    stderr. Raises DataError when images is not a folder or there are no labels.
    """
    images = Path(images)
    if not images.is_dir():
        raise DataError(f"{images} is not a folder: give the folder that the names in the labels start from")
    if not labels:
        raise DataError("there are no labels to evaluate against")
    results = scorer.assess_files(_locate(images, (label.image for label in labels)), batch_size=batch_size)
    scores, mos, unreadable = [], [], []
    paired = zip(labels, results, strict=True)
    for label, result in tqdm(
        paired, total=len(labels), desc="scoring", unit="img", file=sys.stderr, disable=not progress
    ):
        if isinstance(result, Failure):
            unreadable.append({"image": label.image, "error": result.error})
        else:
            scores.append(result.score)
            mos.append(label.mos)
    return {
        "model": scorer.name,
        "revision": scorer.revision,
        "readout": scorer.readout,
        "scale": list(scorer.scale),
        "mos_range": [min(mos), max(mos)] if mos else None,
        **figures(scores, mos),
        "rmse_raw": raw_rmse(scores, mos, scorer.scale),
        "unreadable": unreadable,
    }


def raw_rmse(scores: Sequence[float], mos: Sequence[float], scale: tuple[float, float]) -> float | None:
    """RMSE without a fit; None where there are no scores, or the labels lie outside of the scores' scale and so on another."""
    low, high = scale
    if not mos or min(mos) < low or max(mos) > high:
        return None
    return rmse(scores, mos)


def _locate(folder: Path, names: Iterable[str]) -> list[Path]:
    """The pictures' paths; where no file has a name to the letter, the one that differs in case only.

    Data sets made on Windows or macOS need it: BIQ2021's labels say ss02 (1014).jpg, its folder .JPG.
    """
    listings: dict[Path, dict[str, list[Path]]] = {}  # parent -> lower-case name -> files
    paths = []
    for path in (folder / name for name in names):
        if not os.path.exists(path):
            if path.parent not in listings:
                alike = listings.setdefault(path.parent, {})
                for other in _files_in(path.parent):
                    alike.setdefault(other.name.lower(), []).append(other)
            match listings[path.parent].get(path.name.lower()):
                case [only]:
                    path = only
        paths.append(path)
    return paths


def _files_in(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):
        return []  # opening the picture itself will say what is wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluate",
        description="Score labelled pictures and print one JSON object: correlations with the labels, raw and after the "
        "4-parameter logistic fit, RMSE, bootstrap 95 % intervals, and the pictures that could not be read.",
        epilog="exit status: 0, 1 when some pictures could not be read, 2 when nothing could be evaluated",
    )
    parser.add_argument(
        "--images", required=True, type=Path, metavar="DIR", help="folder that the names in the labels start from"
    )
    parser.add_argument(
        "--labels",
        required=True,
        type=Path,
        metavar="CSV",
        help="CSV file with the columns image, mos and, if any, std",
    )
    add_model_options(parser)
    return run(lambda: _report(parser.parse_args(arguments)))


def _report(options: argparse.Namespace) -> int:
    labels = read_labels(options.labels)
    from model.scorer import load_scorer  # after the labels: torch takes seconds, a misspelt file is told at once

    scorer = load_scorer(
        options.model, options.device, options.dtype, data_dir() / "adapters", progress=progress_bars()
    )
    report = evaluate(scorer, options.images, labels, batch_size=options.batch_size, progress=True)
    print(json.dumps(report, allow_nan=False))
    return 1 if report["unreadable"] else 0


if __name__ == "__main__":
    sys.exit(main())
