"""Mean opinion scores as CSV, and studies in several formats: `python -m annotations.export`."""

import argparse
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from annotations import database
from annotations.collect import MosRecord, collect_mos
from annotations.command_line import add_data_dir, follow
from annotations.csv_cells import guarded
from annotations.errors import AnnotationError
from annotations.images import relative_path
from annotations.store import open_annotations
from annotations.studies.answers import read_answers
from annotations.studies.archive import write_archive
from annotations.studies.export_formats import koniq_csv, mos_csv, ratings_csv, sureal_json, write_image_folder
from annotations.studies.report import make_report

ROOT = Path(__file__).parent.parent
TRAINING_JSON = {
    "qscorer-json": "q-scorer",
    "deqa-json": "deqa",
    "qalign-json": "q-align",
}  # what model.datasets calls them
ARCHIVES = ("datasets", "zip")
FORMATS = ("csv", "ratings", "koniq", "sureal-json", *TRAINING_JSON, *ARCHIVES)

EPILOG = """\
Columns: image, mos and std on the scale 1 (bad) to 5 (excellent), n (raters), name (what the file was called when it was
added; empty where that is not known). image is relative to the images folder
below the data folder, so that the file serves as labels:

  python -m annotations.export --data-dir data --out labels.csv
  python -m model.evaluate --model nano --images data/images --labels labels.csv

std is the sample standard deviation, empty where n is 1. Each rater counts once an image: with the latest blind rating,
or with --include-revealed with the latest rating of all.

With the name of a study it is that study's ratings, in one of these formats:

  csv           MOS of each image as above, with its 95 % interval and the recovered MOS
  ratings       each rating, and why it is left out
  koniq         the columns of KonIQ-10k's table of scores and distributions
  sureal-json   a data set of Netflix's sureal
  qscorer-json, deqa-json, qalign-json
                the meta JSON that these programs train on, by python -m model.datasets
  datasets      a zip of the rated images for Hugging Face's datasets (imagefolder)
  zip           all of the above, the images and every event; `python -m annotations.study restore` reads it back"""


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
    write(to_csv(records, data_dir.absolute() / "images"), out)


def write(text: str, out: Path | None) -> None:
    """The text to a file or to stdout."""
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


def export_study(data_dir: Path, name: str, kind: str, out: Path | None) -> None:
    """Writes a study in one of FORMATS; raises AnnotationError when there is nothing to write or no way to."""
    open_annotations(data_dir)
    folder = data_dir.absolute()
    report = make_report(folder, name)
    with database.reading(folder / database.FILE_NAME) as db:
        answers = read_answers(db, name)
        names = {image.sha256: image.name for image in report.images}
        paths = {row[0]: relative_path(*row).as_posix() for row in db.execute("SELECT sha256, suffix FROM images")}
    if not report.used and kind != "zip":
        raise AnnotationError(
            f"The study {name!r} has no ratings that are used: `python -m annotations.study report {name}` says why."
        )
    writers = {
        "csv": lambda: mos_csv(report, paths),
        "ratings": lambda: ratings_csv(answers, names, paths),
        "koniq": lambda: koniq_csv(report, answers),
        "sureal-json": lambda: sureal_json(report, answers),
    }
    if kind in writers:
        write(writers[kind](), out)
    elif kind in TRAINING_JSON:
        write(training_json(writers["csv"](), folder / "images", report.scale, TRAINING_JSON[kind]), out)
    elif out is None:
        raise AnnotationError("A zip is not written to the terminal: name a file with --out.")
    elif kind == "datasets":
        write_image_folder(report, {sha256: folder / "images" / path for sha256, path in paths.items()}, out)
    else:
        texts = {"mos.csv": writers["csv"](), "ratings.csv": writers["ratings"]()}
        texts["report.json"] = json.dumps(asdict(report) | {"written_by": code_version()}, ensure_ascii=False)
        write_archive(folder, name, out, texts)


def training_json(labels: str, images: Path, scale: tuple[float, float], program: str) -> str:
    """The meta JSON of a training program. Their formats are known to model/, which this package does not import: its command writes it."""
    with tempfile.TemporaryDirectory() as place:
        table, written = Path(place, "study.csv"), Path(place, "study.json")
        table.write_text(labels, encoding="utf-8")
        given = ["--images", images, "--scale", f"{scale[0]:g}", f"{scale[1]:g}", "--write", program, "--out", written]
        command = [sys.executable, "-m", "model.datasets", table, *given]
        ended = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
        if ended.returncode:
            said = ended.stderr.strip().rpartition("error: ")[2]
            raise AnnotationError(said.replace(str(table), "the study") or "The meta JSON could not be written.")
        return written.read_text(encoding="utf-8")


def code_version() -> str:
    """The commit of this program, or "unknown" where it is no clone."""
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m annotations.export",
        description="Write the mean opinion score of every rated image as CSV.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "study", nargs="?", metavar="STUDY", help="a study (default: the ratings of the page's ready-made one)"
    )
    parser.add_argument("--format", choices=FORMATS, default="csv", help="of a study (default: csv)")
    add_data_dir(parser)
    parser.add_argument(
        "--include-revealed", action="store_true", help="count ratings given after seeing the model's score too"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of to stdout")
    return follow(parser, _act)


def _act(given: argparse.Namespace) -> None:
    if given.study is None and given.format != "csv":
        raise AnnotationError(f"--format {given.format} is for a study: give its name.")
    if given.study is None:
        export(given.data_dir, given.include_revealed, given.out)
    elif given.include_revealed:
        raise AnnotationError(
            "A study says itself whether ratings given after the score count: leave out --include-revealed."
        )
    else:
        export_study(given.data_dir, given.study, given.format, given.out)


if __name__ == "__main__":
    sys.exit(main())
