"""Conversion error: what is lost between a MOS and the score of a model that learns its labels perfectly (paper section 3.1, appendix B).

    python -m model.conversion_error labels.csv [--out error.html]

Two errors for each method, in units of the scale. Label approximation: the mean that its label stands for, minus the MOS. Restoration:
the score that a model gives which has learned the label exactly, minus the MOS. Q-Align's two are one and the same; DeQA-Score's label
is raw before its correction; regression is taught the MOS itself and has neither. DeQA-Score's labels are those by density, as for KonIQ.

What this is not: a model that is unsure between two levels gives both some probability, and Q-Align's weighted sum then falls between
them. The errors are those of a model that repeats its labels without a doubt, as the paper assumes.

The columns of the CSV file are image or any other, mos, and where there is one, std. Pure functions here; model/conversion_figure.py
draws them.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.commands import run
from model.datasets.tables import read_table
from model.errors import DataError
from model.labels import interval_index, intervals, level_values, middles, normal_cdf, raw_soft_label, soft_label
from model.metrics import plcc, srcc

LEVELS = 5
GRID = 201  # places within an interval where a derivative's maximum is looked for


@dataclass(frozen=True)
class Converted:
    """What a method makes of one picture, on the scale: the mean that its label stands for, and the score of a model that has learned the
    label exactly; and the standard deviation that this model would predict (nan where the method predicts none)."""

    label: float
    score: float
    std: float = math.nan


def q_align(mos: float, std: float, scale: tuple[float, float], count: int = LEVELS) -> Converted:
    """One level for certain: its value (eq. 1). The std plays no part."""
    value = level_values(scale, count)[interval_index(mos, scale, count)]
    return Converted(value, value, 0.0)


def q_align_middles(mos: float, std: float, scale: tuple[float, float], count: int = LEVELS) -> Converted:
    """Q-Align with the middle of each interval in place of the level's value: the best that one level for certain can do."""
    value = middles(scale, count)[interval_index(mos, scale, count)]
    return Converted(value, value, 0.0)


def deqa_raw(mos: float, std: float, scale: tuple[float, float], by_area: bool = False) -> Converted:
    """DeQA-Score's label before its correction (eqs. 2, 13). Its sum is not 1: the mean it stands for is the plain sum of value times
    probability, and a model, whose probabilities sum to 1, learns the label divided by its sum."""
    values = level_values(scale, LEVELS)
    label = raw_soft_label(mos, max(std, 1e-6 * (scale[1] - scale[0])), by_area, values)
    plain = sum(p * v for p, v in zip(label, values, strict=True))
    return Converted(plain, *_learned(label, values))


def deqa(mos: float, std: float, scale: tuple[float, float], by_area: bool = False) -> Converted:
    """DeQA-Score's corrected label, with its fallback (eqs. 3, 4). Where the correction was cut off at zero the sum is not 1, and the
    model's score differs from the label's mean."""
    values = level_values(scale, LEVELS)
    label = soft_label(mos, std, by_area, scale)
    plain = sum(p * v for p, v in zip(label, values, strict=True))
    return Converted(plain, *_learned(label, values))


def _learned(label: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the probabilities that minimise the divergence from a label of any sum: label / sum. Where the label
    is 0 everywhere there is nothing to learn: nan."""
    total = sum(label)
    if total <= 0:
        return math.nan, math.nan
    mean = sum(p * v for p, v in zip(label, values, strict=True)) / total
    variance = sum(p * (v - mean) ** 2 for p, v in zip(label, values, strict=True)) / total
    return mean, math.sqrt(max(variance, 0.0))


def realqa(mos: float, std: float, scale: tuple[float, float], decimals: int = 2) -> Converted:
    """The number written out with two decimals."""
    value = round(mos, decimals)
    return Converted(value, value)


def regression(mos: float, std: float, scale: tuple[float, float]) -> Converted:
    """The MOS itself (eqs. 6 to 9: a network that is large enough comes as near to it as one likes)."""
    return Converted(mos, mos)


def regression_bfloat16(mos: float, std: float, scale: tuple[float, float]) -> Converted:
    """The MOS as the released Q-Scorer is taught it: its trainer rounds labels to bfloat16, 1/64 between 2 and 4 (8 bits, ties to even)."""
    if mos == 0:
        return Converted(0.0, 0.0)
    step = 2.0 ** (math.floor(math.log2(abs(mos))) - 7)
    value = round(mos / step) * step
    return Converted(value, value)


METHODS: dict[str, Callable[[float, float, tuple[float, float]], Converted]] = {
    "Q-Align": q_align,
    "Q-Align, interval middles": q_align_middles,
    "DeQA-Score, raw label": deqa_raw,
    "DeQA-Score": deqa,
    "RealQA": realqa,
    "Regression, bfloat16 labels": regression_bfloat16,
    "Regression": regression,
}
NEEDS_STD = ("DeQA-Score, raw label", "DeQA-Score")


# Theory


def q_align_theory(scale: tuple[float, float], count: int = LEVELS, at_middles: bool = False) -> float:
    """Root of Q-Align's expected squared error for MOS that are spread evenly over the scale (eq. 12): within interval [a, b] with value v
    the error runs evenly from a - v to b - v. sqrt(2/15) = .365 on the scale 1 to 5, and the width over sqrt(12) = .231 with middles."""
    values = middles(scale, count) if at_middles else level_values(scale, count)
    squares = [
        ((b - v) ** 3 - (a - v) ** 3) / (3 * (b - a)) for (a, b), v in zip(intervals(scale, count), values, strict=True)
    ]
    return math.sqrt(sum(squares) / count)


def deqa_cut_off(mos: float, std: float, scale: tuple[float, float]) -> float:
    """What the raw label loses beyond the outermost levels' intervals (eq. 18): the MOS minus the normal distribution's first moment within
    half a step around the levels."""
    half = (scale[1] - scale[0]) / (LEVELS - 1) / 2
    first, last = ((edge - mos) / std for edge in (scale[0] - half, scale[1] + half))
    mass = normal_cdf(last) - normal_cdf(first)
    pull = (math.exp(-0.5 * last**2) - math.exp(-0.5 * first**2)) / math.sqrt(2 * math.pi)
    return mos - (mos * mass - std * pull)


def deqa_bound(mos: float, std: float, scale: tuple[float, float]) -> float:
    """An upper bound of the raw label's error (eqs. 15 to 18), for the label by density: the midpoint rule errs by at most step^3 / 24
    times the largest second derivative of x * N(x) in each level's interval; to which comes what is cut off."""
    values = level_values(scale, LEVELS)
    step = values[1] - values[0]
    x = np.array(values)[:, None] + step * np.linspace(-0.5, 0.5, GRID)
    z = (x - mos) / std
    density = np.exp(-0.5 * z**2) / (std * math.sqrt(2 * math.pi))
    second = density * (x * (z**2 - 1) / std**2 - 2 * z / std)
    return float(step**3 / 24 * np.abs(second).max(axis=1).sum() + abs(deqa_cut_off(mos, std, scale)))


# A set of MOS


def conversion_errors(mos: Sequence[float], stds: Sequence[float] | None, scale: tuple[float, float]) -> list[dict]:
    """One row for each method: label_rmse, restored_rmse, restored_mean (absolute), restored_worst (absolute), std_rmse (of the predicted
    standard deviation), all in units of the scale; plcc and srcc of the restored scores with the MOS, which no model that has learned
    these labels exactly can exceed; and theory: the root of the expected squared error for MOS spread evenly over the scale or, for
    DeQA-Score's raw label, the root mean square of the bound. What is not defined is None. Methods that need stds are left out without
    them.
    """
    known = list(stds) if stds is not None else [math.nan] * len(mos)
    rows = []
    for name, convert in METHODS.items():
        if name in NEEDS_STD and stds is None:
            continue
        found = [convert(m, s, scale) for m, s in zip(mos, known, strict=True)]
        restored = np.array([c.score for c in found]) - mos
        label = np.array([c.label for c in found]) - mos
        scored = np.isfinite(restored)
        scores = np.array([c.score for c in found])[scored]
        row = {
            "method": name,
            "label_rmse": _rms(label),
            "restored_rmse": _rms(restored[scored]),
            "restored_mean": float(np.abs(restored[scored]).mean()),
            "restored_worst": float(np.abs(restored[scored]).max()),
            "std_rmse": _rms(np.array([c.std for c in found]) - known) if stds is not None else math.nan,
            "plcc": plcc(scores, np.array(mos)[scored]),
            "srcc": srcc(scores, np.array(mos)[scored]),
            "theory": _theory(name, mos, known, scale),
        }
        rows.append({key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()})
    return rows


def _theory(name: str, mos: Sequence[float], stds: Sequence[float], scale: tuple[float, float]) -> float:
    match name:
        case "Q-Align":
            return q_align_theory(scale)
        case "Q-Align, interval middles":
            return q_align_theory(scale, at_middles=True)
        case "DeQA-Score, raw label":
            return _rms(np.array([deqa_bound(m, s, scale) for m, s in zip(mos, stds, strict=True) if s > 0]))
        case "RealQA":
            return 0.01 / math.sqrt(12)
        case "Regression":
            return 0.0
    return math.nan


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else math.nan


# The command


@dataclass(frozen=True)
class Opinions:
    """A set of MOS and, where the file has them, their standard deviations."""

    mos: list[float]
    stds: list[float] | None


def read_opinions(path: Path) -> Opinions:
    """The columns mos and std of a CSV file. Raises DataError naming file and line for what is missing or no number."""
    rows = read_table(path, ["mos"])
    if not rows:
        raise DataError(f"{path} has no rows below its first line")
    stds = [row.number("std") for row in rows] if "std" in rows[0].cells else None
    if stds and min(stds) < 0:
        raise rows[stds.index(min(stds))].error(f"the std is {min(stds):g}, and none can be negative")
    return Opinions([row.number("mos") for row in rows], stds)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.conversion_error",
        description="What Q-Align, DeQA-Score and regression lose between the MOS of a data set and the score of a model that has learned "
        "their labels perfectly; in units of the MOS.",
        epilog=LEGEND,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("labels", type=Path, metavar="LABELS.csv", help="CSV file with the column mos and, if any, std")
    parser.add_argument(
        "--scale",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="ends of the scale, as 1 5 (default: the least and the largest MOS, between which Q-Align and DeQA-Score cut their levels)",
    )
    parser.add_argument("--std", type=float, metavar="STD", help="of every picture, where the file has no std")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="draw the figure: .html, or .png or .svg with kaleido")
    return run(lambda: _report(parser.parse_args(arguments)))


def _report(options: argparse.Namespace) -> int:
    opinions = read_opinions(options.labels)
    scale = tuple(options.scale) if options.scale else (min(opinions.mos), max(opinions.mos))
    if scale[0] >= scale[1]:
        raise DataError(
            f"{options.labels}: the scale {scale[0]:g} to {scale[1]:g} has no width; give its ends by --scale"
        )
    outside = [m for m in opinions.mos if not scale[0] <= m <= scale[1]]
    if outside:
        raise DataError(
            f"{options.labels}: a mos of {outside[0]:g} lies outside of the scale {scale[0]:g} to {scale[1]:g}"
        )
    if opinions.stds is None and options.std is not None:
        opinions = Opinions(opinions.mos, [options.std] * len(opinions.mos))
    rows = conversion_errors(opinions.mos, opinions.stds, scale)
    if not options.scale:
        print(
            f"no --scale was given: the levels are cut between the least and the largest MOS, {scale[0]:g} and {scale[1]:g}. "
            "For opinions from 1 to 5 give --scale 1 5.",
            file=sys.stderr,
        )
    if options.format == "json":
        print(json.dumps({"n": len(opinions.mos), "scale": scale, "methods": rows}, allow_nan=False))
    else:
        print(f"{len(opinions.mos)} MOS on the scale {scale[0]:g} to {scale[1]:g}; errors in its units\n")
        print(f"{as_table(rows)}\n\n{LEGEND}")
        if opinions.stds is None:
            print("\nDeQA-Score is left out: the file has no column std (--std gives all pictures one).")
    if options.out:
        from model.conversion_figure import errors_figure, write_figure

        write_figure(errors_figure(rows, opinions, scale), options.out)
        print(f"{options.out} written", file=sys.stderr)
    return 0


LEGEND = """\
label RMSE     from the mean that a method's label stands for to the MOS
restored RMSE  from the score of a model that repeats this label exactly to the MOS; mean and worst: of the same errors, without sign
RMSE of std    of the standard deviation that such a model predicts, where the file has one
PLCC, SRCC     of the restored scores with the MOS: no model that learned these labels exactly can do better
theory         the restored RMSE by formula, for MOS spread evenly over the scale; of the raw label an upper bound of its label RMSE
RealQA         teaches the number written out with two decimals
bfloat16       labels rounded to 8 binary digits, as the released Q-Scorer's trainer does"""
HEADINGS = {
    "method": "method",
    "label_rmse": "label RMSE",
    "restored_rmse": "restored RMSE",
    "restored_mean": "mean",
    "restored_worst": "worst",
    "std_rmse": "RMSE of std",
    "plcc": "PLCC",
    "srcc": "SRCC",
    "theory": "theory",
}


def as_table(rows: Sequence[dict]) -> str:
    """The rows of `conversion_errors` as text in columns."""
    cells = [list(HEADINGS.values())] + [
        [v if isinstance(v, str) else "–" if v is None else f"{v:.4f}" for v in row.values()] for row in rows
    ]
    widths = [max(len(line[n]) for line in cells) for n in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(c.ljust(w) if n == 0 else c.rjust(w) for n, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    )


if __name__ == "__main__":
    sys.exit(main())
