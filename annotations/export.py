"""Mean opinion scores as CSV: `python -m annotations.export`."""

import argparse
import csv
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from annotations.collect import MosRecord, collect_mos
from annotations.command_line import add_data_dir, follow
from annotations.csv_cells import guarded
from annotations.errors import AnnotationError

EPILOG = """\
Columns: image, mos and std on the scale 1 (bad) to 5 (excellent), n (raters), name (what the file was called when it was
added; empty where that is not known). image is relative to the images folder
below the data folder, so that the file serves as labels:

  python -m annotations.export --data-dir data --out labels.csv
  python -m model.evaluate --model nano --images data/images --labels labels.csv

std is the sample standard deviation, empty where n is 1. Each rater counts once an image: with the latest blind vote,
or with --include-revealed with the latest vote of all."""


def to_csv(records: list[MosRecord], images: Path) -> str:
    """The records as CSV with a header line; image paths relative to the folder `images`, at most four decimals."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(["image", "mos", "std", "n", "name"])
    # Text is quoted: a spreadsheet that splits lines at semicolons would find a formula within "a;=1+1.jpg".
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for record in records:
        std = "" if record.std is None else round(record.std, 4)
        image = record.image.relative_to(images).as_posix()
        writer.writerow([guarded(image), round(record.mos, 4), std, record.n, guarded(record.name or "")])
    return text.getvalue()


def export(data_dir: Path, include_revealed: bool, out: Path | None) -> None:
    """Writes the CSV to `out`, or to stdout; raises AnnotationError when there is nothing to write or no way to."""
    records = collect_mos(data_dir, include_revealed)
    if not records:
        if not include_revealed and collect_mos(data_dir, include_revealed=True):
            raise AnnotationError(f"No blind ratings in {data_dir} yet: --include-revealed takes the others.")
        raise AnnotationError(f"No ratings in {data_dir} yet: rate images on the page, or name another --data-dir.")
    text = to_csv(records, data_dir.absolute() / "images")
    if out is None:
        sys.stdout.write(text)
        return
    try:
        _write(text, out)
    except OSError as error:
        raise AnnotationError(f"{out} cannot be written ({error.strerror}): choose another --out.") from error


def _write(text: str, out: Path) -> None:
    """The whole text or, where the disk is full, nothing: an earlier file stays. Devices and pipes are written to as they are."""
    if out.exists() and not out.is_file():
        out.write_text(text, encoding="utf-8")
        return
    place = out.resolve()  # a link stays a link
    with tempfile.TemporaryDirectory(prefix=".export-", dir=place.parent) as beside:
        whole = Path(beside, place.name)
        whole.write_text(text, encoding="utf-8")
        if place.exists():
            shutil.copymode(place, whole)
        os.replace(whole, place)


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m annotations.export",
        description="Write the mean opinion score of every rated image as CSV.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_dir(parser)
    parser.add_argument(
        "--include-revealed", action="store_true", help="count votes given after seeing the model's score too"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of to stdout")
    return follow(parser, lambda given: export(given.data_dir, given.include_revealed, given.out))


if __name__ == "__main__":
    sys.exit(main())
