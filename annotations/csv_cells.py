"""CSV that no spreadsheet computes."""

import csv
import io
import re
from collections.abc import Iterable, Sequence


def guarded(cell: str) -> str:
    """The text with an apostrophe in front where a spreadsheet would compute it as a formula; as model/common/csv_cells.py does it."""
    return f"'{cell}" if re.match("'*[=+@\\-\t\r\n＝＋－＠]", cell) else cell


def unguarded(cell: str) -> str:
    """The text that `guarded` was given."""
    return cell[1:] if cell.startswith("'") and guarded(cell[1:]) != cell[1:] else cell


def as_csv(columns: Sequence[str], rows: Iterable[dict]) -> str:
    """Rows as CSV with a header line: text guarded and quoted, numbers with at most six significant decimals, None and NaN empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(columns)
    # Text is quoted: a spreadsheet that splits lines at semicolons would find a formula within "a;=1+1.jpg".
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    return text.getvalue()


def _cell(value: object) -> object:
    if value is None or value != value:
        return ""
    return round(value, 6) if isinstance(value, float) else value if isinstance(value, int) else guarded(str(value))
