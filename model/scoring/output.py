"""Prints assessments as JSON lines, CSV or a table."""

import json
import sys
from collections.abc import Iterable
from dataclasses import fields
from itertools import repeat
from typing import TextIO

from model.backbones.spec import QUALITY
from model.common.command_line import printable
from model.common.csv_cells import row_writer
from model.scoring.assessment import Assessment, Failure


def print_json(results: Iterable[Assessment | Failure]) -> None:
    for result in results:
        print(json.dumps(result.to_dict()), flush=True)


def print_csv(results: Iterable[Assessment | Failure], task: str = QUALITY) -> None:
    write_csv(sys.stdout, results, None if task == QUALITY else repeat(task))


def write_csv(file: TextIO, results: Iterable[Assessment | Failure], tasks: Iterable[str] | None = None) -> None:
    """Columns: the keys of the JSON, then `error`; lists are joined by spaces. tasks: each result's task, as a last column.

    Each row is flushed as soon as its result is available; text is guarded against formulas (model/common/csv_cells.py)."""
    columns = [field.name for field in fields(Assessment)] + ["error"] + (["task"] if tasks else [])
    write = row_writer(file, columns)
    asked: Iterable[str | None] = tasks or repeat(None)
    for result, task in zip(results, asked, strict=False):  # repeat never ends
        row = result.to_dict() | ({"task": task} if task else {})
        cells = [row.get(column, "") for column in columns]
        write([" ".join(map(str, cell)) if isinstance(cell, tuple) else cell for cell in cells])


def print_table(results: Iterable[Assessment | Failure]) -> None:
    """Score, scale, the most probable token with its probability, and the file."""
    print(f"{'score':<16}{'token':<11}{'prob.':<7}image")
    for result in results:
        if isinstance(result, Failure):
            print(f"{'—':>5}{'':<29}{printable(f'{result.image}: {result.error}')}", flush=True)
        else:
            low, high = result.scale
            token = result.tokens[result.probabilities.index(max(result.probabilities))]
            score = f"{result.score:5.2f} of {low:g}–{high:g}"
            print(f"{score:<16}{token:<11}{max(result.probabilities):<7.0%}{printable(result.image)}", flush=True)
