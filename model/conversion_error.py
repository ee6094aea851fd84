"""Conversion error: the difference between a MOS and the score of a model that has learned its label perfectly (paper section 3.1,
appendix B).

    python -m model.conversion_error labels.csv [--out error.html]
    python -m model.conversion_error koniq10k

A CSV file has the column mos and optionally std, whose cells may be empty. Folders of published data sets and meta JSON files are read as
by python -m model.evaluate. model/paper/conversions.py defines and computes the errors; model/paper/conversion_chart.py draws them.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from model.common.command_line import add_scale_option, run
from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.reading import read_dataset
from model.datasets.spread import why_no_std
from model.datasets.tables import read_table
from model.paper.conversions import Opinions, conversion_errors, left_out


def read_opinions(path: Path, scale: Scale | None = None) -> Opinions:
    """The columns mos and std of a CSV file. Raises DataError, naming file and line, for missing and invalid numbers, and for a std that is
    impossible on the scale, if it is given."""
    rows = read_table(path, ["mos"])
    if not rows:
        raise DataError(f"{path} has no rows below its first line")
    stds = [row.optional("std") for row in rows]
    for row, std in zip(rows, stds, strict=True):
        sentence = why_no_std(std, None, scale)
        if sentence:
            raise row.error(sentence)
    known = [math.nan if std is None else std for std in stds]
    return Opinions([row.number("mos") for row in rows], None if all(map(math.isnan, known)) else known)


def read_labels_of(path: Path, scale: Scale | None) -> tuple[Opinions, Scale | None]:
    """The labels in a CSV file, a data set's folder or a meta JSON, and their scale: `scale` or the data set's own, else None. Raises
    DataError."""
    if not path.is_dir() and path.suffix.lower() != ".json":
        return read_opinions(path, scale), scale
    rated = read_dataset(path, scale=scale)
    stds = [math.nan if image.std is None else image.std for image in rated]
    return Opinions([image.mos for image in rated], None if all(map(math.isnan, stds)) else stds), rated[0].scale


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.conversion_error",
        description="The error, in units of the MOS, of a model that has perfectly learned the labels which Q-Align, DeQA-Score or "
        "regression make of a data set's MOS.",
        epilog=LEGEND,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "labels",
        type=Path,
        metavar="LABELS",
        help="CSV file with the column mos and, if any, std; or a published data set's folder, or a meta JSON",
    )
    add_scale_option(
        parser,
        "ends of the scale, such as 1 5 (default: the data set's own, or the minimum and maximum MOS, between which Q-Align and DeQA-Score "
        "divide their levels)",
    )
    parser.add_argument("--std", type=_std, metavar="STD", help="std of images for which the file has none")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="draw the figure: .html, or .png or .svg with kaleido")
    return run(lambda: _report(parser.parse_args(arguments)))


def _std(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 0")
    return number


def _report(options: argparse.Namespace) -> int:
    opinions, known = read_labels_of(options.labels, options.scale)
    scale = known or (min(opinions.mos), max(opinions.mos))
    if scale[0] == scale[1]:
        raise DataError(
            f"{options.labels}: all MOS are {scale[0]:g}, so the scale is unknown: give its ends by --scale"
        )
    outside = [m for m in opinions.mos if not scale[0] <= m <= scale[1]]
    if outside:
        raise DataError(
            f"{options.labels}: a mos of {outside[0]:g} is outside the scale {scale[0]:g} to {scale[1]:g}: correct it or --scale"
        )
    if options.std is not None:
        sentence = why_no_std(options.std, None, scale, "--std")
        if sentence:
            raise DataError(sentence)
        stds = opinions.stds or [math.nan] * len(opinions.mos)
        opinions = Opinions(opinions.mos, [options.std if math.isnan(std) else std for std in stds])
    rows = conversion_errors(opinions.mos, opinions.stds, scale)
    notes = left_out(opinions.mos, opinions.stds, scale)
    if not known:
        print(
            f"no --scale was given: the levels are between the minimum and maximum MOS, {scale[0]:g} and {scale[1]:g}. "
            "For ratings from 1 to 5 give --scale 1 5.",
            file=sys.stderr,
        )
    if options.format == "json":
        print(json.dumps({"n": len(opinions.mos), "scale": scale, "methods": rows, "notes": notes}, allow_nan=False))
    else:
        print(f"{len(opinions.mos)} MOS on the scale {scale[0]:g} to {scale[1]:g}; errors in its units\n")
        print(f"{as_table(rows)}\n\n{LEGEND}")
        print("".join(f"\n{note}." for note in notes))
    if options.out:
        from model.paper.conversion_chart import errors_figure, write_figure

        write_figure(errors_figure(rows, opinions, scale), options.out)
        print(f"{options.out} written", file=sys.stderr)
    return 0


LEGEND = """\
label RMSE     of the mean of a method's label against the MOS
restored RMSE  of the score of a model that outputs this label exactly against the MOS; mean and worst: of the absolute errors
RMSE of std    of the std that such a model predicts, if the file has std
PLCC, SRCC     of the restored scores with the MOS: the maximum for a model that has learned these labels exactly
theory         the restored RMSE by formula, for uniformly distributed MOS; for the raw label an upper bound of its label RMSE
RealQA         labels are numbers with two decimals
bfloat16       labels rounded to 8 bits of precision, as in the released Q-Scorer's trainer"""
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
