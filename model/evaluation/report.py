"""An evaluation's report (model/evaluate.py describes it) as a table for people and as rows for a LaTeX table. Plain Python."""

from collections.abc import Callable, Sequence

from model.common.command_line import printable
from model.evaluation.verdict import verdict

COLUMNS = {"srcc": "SRCC", "plcc": "PLCC", "krcc": "KRCC", "rmse": "RMSE after the fit"}
LATEX = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$", "{": r"\{", "}": r"\}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def reports_of(report: dict) -> list[dict]:
    """The report of --model, then those of all --against that could be loaded."""
    others = [report["against"]] if "against" in report else []
    return [report, *(other for other in [*others, *report.get("more_against", [])] if "error" not in other)]


def as_table(report: dict) -> str:
    """The figures of each system with their 95 % intervals, the paired comparisons in words, and what the reader must know besides."""
    systems = reports_of(report)
    cells = [["", *COLUMNS.values()]] + [
        [printable(one["model"]), *(with_interval(one, name) for name in COLUMNS)] for one in systems
    ]
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    lines = [_heading(report), ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    lines += ["", *(printable(verdict(report["model"], one["model"], one["paired"])) for one in systems[1:])]
    lines += [f"{name}: {part['n']} images, SRCC {number(part['srcc'])}" for name, part in _parts(report)]
    lines += [f"Note: {note}." for note in report["notes"]]
    for one in systems:
        lines += [
            printable(f"Not read by {one['model']}: {failed['image']}: {failed['error']}")
            for failed in one["unreadable"]
        ]
    return "\n".join(lines).rstrip() + "\n"


def _heading(report: dict) -> str:
    where = " ".join(filter(None, [report["dataset"], report["split"]]))
    low, high = report["mos_range"] or (None, None)
    mos = f", MOS from {low:g} to {high:g}" if low is not None else ""
    return printable(f"{report['n']} images{f' of {where}' if where else ''}{mos}; figures with their 95 % intervals")


def _parts(report: dict) -> list[tuple[str, dict]]:
    found = list(report.get("parts", {}).items())
    if "without_near_duplicates" in report:
        found.append(("without near-duplicates", report["without_near_duplicates"]))
    return found


def with_interval(report: dict, name: str, number_of: Callable = lambda value: number(value)) -> str:
    """A figure as .813 (.790–.832)."""
    interval = report["intervals"][name]
    return number_of(report[name]) + (f" ({number_of(interval[0])}–{number_of(interval[1])})" if interval else "")


def number(value: float | None) -> str:
    """Three decimals, and no zero before the point, as correlations are printed; a dash for None."""
    return "–" if value is None else f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def as_latex(systems: Sequence[dict]) -> str:
    """A row of a LaTeX table for each system: model, SRCC, PLCC, KRCC, RMSE after the fit; a comment names the columns and the images."""
    head = f"% model & {' & '.join(COLUMNS.values())} (n = {systems[0]['n']})"
    rows = [
        " & ".join([escaped(one["model"]), *("--" if one[name] is None else number(one[name]) for name in COLUMNS)])
        for one in systems
    ]
    return "\n".join([head, *(rf"{row} \\" for row in rows)]) + "\n"


def escaped(text: str) -> str:
    """Text as LaTeX prints it, on one line."""
    return "".join(LATEX.get(letter, letter) for letter in printable(text))
