"""CSV cells that no spreadsheet evaluates as a formula, and that a reader can restore.

annotations/csv_cells.py does the same. The two packages do not import each other; a test compares them.
"""

import csv
import re
from collections.abc import Callable, Sequence
from typing import TextIO

# What spreadsheets treat as the start of a formula, full-width forms included; also after apostrophes, so that removing one restores it.
_FORMULA = re.compile("'*[=+@\\-\t\r\n＝＋－＠]")


def guarded(cell: object) -> object:
    """The cell, with an apostrophe in front of text that a spreadsheet would evaluate."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unguarded(text: str) -> str:
    """The inverse of `guarded`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def row_writer(file: TextIO, columns: Sequence[str]) -> Callable[[Sequence], None]:
    """Write the header line, and return the function that writes one row and flushes it.

    Text is quoted: a spreadsheet that splits lines at semicolons would see a formula in "a;=1+1.jpg".
    """
    csv.writer(file, lineterminator="\n").writerow(columns)
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)

    def write(row: Sequence) -> None:
        writer.writerow([guarded(cell) for cell in row])
        file.flush()

    return write
