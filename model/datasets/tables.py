"""Tables of labels: CSV and Excel files as rows of text, with errors that name the file and the line."""

import codecs
import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.common.errors import DataError, first_line
from model.common.lfs import check_no_pointer

DELIMITERS = ";\t,"  # the comma last: in a file of one column it is a decimal comma
SEP_LINE = re.compile('"?sep=([^\r\n"\\w ])"?[ ,;\t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)  # Excel's own, above the header
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class TableRow:
    """One row: its cells by column name (lower case), and where it stands."""

    path: Path
    line: int
    cells: dict[str, str]

    def text(self, column: str) -> str:
        """The cell, stripped; "" where the table has no such column."""
        return self.cells.get(column, "")

    def number(self, column: str, what: str | None = None) -> float:
        """The cell as a finite number, 4.5 or 4,5. Raises DataError that names file, line and `what` (default: the column)."""
        text = self.text(column)
        try:
            value = float(text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"the {what or column} is {text or 'empty'}, not a number")
        return value

    def optional(self, column: str, what: str | None = None) -> float | None:
        """number(), but None for an empty cell or a column that is not there."""
        return self.number(column, what) if self.text(column) else None

    def error(self, sentence: str) -> DataError:
        return DataError(f"{self.path}, line {self.line}: {sentence}")


def read_table(path: Path, wanted: Sequence[str], sheet: str | None = None) -> list[TableRow]:
    """The rows of a CSV file or of an Excel file's sheet (the first unless named) below the first line that has the wanted columns.

    A CSV file's cells are separated as its first line says (sep=;), else by the one of DELIMITERS with which a line has the wanted columns.
    Rows without any text are left out. Raises DataError for a file that cannot be read, is not what its name says, lacks a wanted column or
    has it twice, for a row with more cells than there are columns, and for an Excel file where openpyxl is not installed.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder: name the CSV file in it")
    if path.suffix.lower() == ".xlsx":
        readings = [list(_excel_lines(path, sheet))]
    else:
        text = _text(path)
        readings = [list(_csv_lines(path, text, delimiter)) for delimiter in _delimiters(text)]
    headers = [
        (lines, n)
        for lines in readings
        for n, (_, cells) in enumerate(lines)
        if set(wanted) <= {c.lower() for c in cells}
    ]
    if not headers:
        first = max(
            ([cell.lower() for cell in lines[0][1] if cell] for lines in readings if lines), key=len, default=[]
        )
        missing = next(column for column in wanted if column not in first)
        raise DataError(
            f"{path} has no column '{missing}': its first line must name the columns {', '.join(wanted)} "
            f"(found: {', '.join(first) or 'none'})"
        )
    lines, header = headers[0]
    columns = [cell.lower() for cell in lines[header][1]]
    twice = next((column for column in wanted if columns.count(column) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has two columns '{twice}': leave one of them out")
    rows = []
    for line, cells in lines[header + 1 :]:
        if any(cells):
            rows.append(TableRow(path, line, dict(zip(columns, cells, strict=False))))
        if any(cells[len(columns) :]):
            raise rows[-1].error(
                f"there are more cells than the {len(columns)} columns: write 4.5 with a point, and put names with a comma or semicolon "
                "in quotes"
            )
    return rows


def has_columns(path: Path, wanted: Sequence[str]) -> bool:
    """Whether the first line of a CSV file names these columns."""
    try:
        text = _text(path)
        firsts = [next(iter(_csv_lines(path, text, delimiter)), (0, []))[1] for delimiter in _delimiters(text)]
    except DataError:
        return False
    return any(set(wanted) <= {cell.lower() for cell in first} for first in firsts)


def _text(path: Path) -> str:
    """The text of a CSV file, in UTF-8 or, as Excel saves "Unicode text", in UTF-16."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    check_no_pointer(content, path, DataError)
    try:
        text = content.decode(
            "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: save it as 'CSV UTF-8'") from error
    if "\0" in text:
        raise DataError(f"{path} is not a CSV file in UTF-8: save it as 'CSV UTF-8'")
    return text


def _delimiters(text: str) -> Sequence[str]:
    said = SEP_LINE.match(text)
    return said[1] if said else DELIMITERS


def _csv_lines(path: Path, text: str, delimiter: str) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            if reader.line_num > 1 or not SEP_LINE.match(text):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file: {error}") from error


def _excel_lines(path: Path, sheet: str | None) -> Iterable[tuple[int, list[str]]]:
    try:
        import openpyxl
    except ImportError as error:
        raise DataError(
            f"{path} is an Excel file, and reading it needs openpyxl: pip install openpyxl, or save it beside as "
            f"'{path.with_suffix('.csv').name}'"
        ) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            rows = book[sheet] if sheet in book.sheetnames else book.worksheets[0]
            for line, cells in enumerate(rows.iter_rows(values_only=True), 1):
                yield line, ["" if cell is None else str(cell).strip() for cell in cells]
        finally:
            book.close()
    except Exception as error:  # openpyxl raises whatever the broken part of the file brings about
        raise DataError(f"{path} is not a readable Excel file ({first_line(error)}): copy it again") from error
