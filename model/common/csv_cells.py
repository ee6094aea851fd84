"""Text in the CSV files that the commands and the page write: no spreadsheet computes it as a formula, and a reader gets it back.

annotations/csv_cells.py guards its cells in the same way: the two rooms do not import each other, and a test keeps them equal.
"""

import csv
import re
from collections.abc import Callable, Sequence
from typing import TextIO

# What a spreadsheet takes for the start of a formula, full-width forms included; after apostrophes too, so that taking one away undoes it.
_FORMULA = re.compile("'*[=+@\\-\t\r\n＝＋－＠]")


def guarded(cell: object) -> object:
    """Text that a spreadsheet would compute gets an apostrophe in front; other text, and whatever is not text, stays as it is."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def row_writer(file: TextIO, columns: Sequence[str]) -> Callable[[Sequence], None]:
    """Write the header line, and return the function that writes one row and flushes it.

    Text is quoted: a spreadsheet that splits lines at semicolons would find a formula within "a;=1+1.jpg".
    """
    csv.writer(file, lineterminator="\n").writerow(columns)
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)

    def write(row: Sequence) -> None:
        writer.writerow([guarded(cell) for cell in row])
        file.flush()

    return write
