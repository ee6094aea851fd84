"""Prints assessments as JSON lines, CSV or a table."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import repeat
from typing import TextIO

from model.backbones.spec import QUALITY
from model.common.command_line import printable
from model.common.csv_cells import row_writer
from model.scoring.assessment import Assessment, Failure


@dataclass(frozen=True)
class More:
    """Values of each assessment that are printed beside its own: their names, and the function that computes them."""

    names: Sequence[str]
    of: Callable[[Assessment], dict]

    def row(self, result: Assessment | Failure) -> dict:
        return result.to_dict() | (self.of(result) if isinstance(result, Assessment) else {})


NO_MORE = More((), lambda assessment: {})


def print_json(results: Iterable[Assessment | Failure], more: More = NO_MORE) -> None:
    for result in results:
        print(json.dumps(more.row(result)), flush=True)


def print_csv(results: Iterable[Assessment | Failure], more: More = NO_MORE, task: str = QUALITY) -> None:
    write_csv(sys.stdout, results, None if task == QUALITY else repeat(task), more)


def write_csv(
    file: TextIO,
    results: Iterable[Assessment | Failure],
    tasks: Iterable[str] | None = None,
    more: More = NO_MORE,
) -> None:
    """Columns: the keys of the JSON, then `more` and `error`; lists are joined by spaces. tasks: each result's task, as a last column.

    Each row is flushed as soon as its result is available; text is guarded against formulas (model/common/csv_cells.py)."""
    columns = [field.name for field in fields(Assessment)] + [*more.names, "error"] + (["task"] if tasks else [])
    write = row_writer(file, columns)
    asked: Iterable[str | None] = tasks or repeat(None)
    for result, task in zip(results, asked, strict=False):  # repeat never ends
        row = more.row(result) | ({"task": task} if task else {})
        cells = [row.get(column, "") for column in columns]
        write([" ".join(map(str, cell)) if isinstance(cell, tuple | list) else cell for cell in cells])


def print_table(results: Iterable[Assessment | Failure], more: More = NO_MORE) -> None:
    """Score, scale, the most probable token with its probability, `more`, and the file."""
    extra = "".join(f"{name:<12}" for name in more.names)
    print(f"{'score':<16}{'token':<11}{'prob.':<7}{extra}image")
    for result in results:
        if isinstance(result, Failure):
            print(f"{'—':>5}{'':<29}{'':<{len(extra)}}{printable(f'{result.image}: {result.error}')}", flush=True)
        else:
            low, high = result.scale
            token = result.tokens[result.probabilities.index(max(result.probabilities))]
            score = f"{result.score:5.2f} of {low:g}–{high:g}"
            cells = "".join(f"{_cell(value):<12}" for value in more.of(result).values())
            print(
                f"{score:<16}{token:<11}{max(result.probabilities):<7.0%}{cells}{printable(result.image)}", flush=True
            )


def _cell(value: float | Sequence[float]) -> str:
    return f"{value:.1f}" if isinstance(value, float) else "–".join(f"{end:.2f}" for end in value)
