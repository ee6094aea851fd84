"""Ratings that were given elsewhere, from a CSV file into a study: kept as events, marked with the file that they came from."""

import csv
import secrets
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sqlite_utils import Database

from annotations import database
from annotations.csv_cells import unguarded
from annotations.errors import AnnotationError
from annotations.images import clean_file_name, image_sha256
from annotations.queries import study_id, version_id
from annotations.recording import insert, rater_id_of, timestamp
from annotations.records import NOTHING
from annotations.studies import places
from annotations.studies.definition import Definition
from annotations.studies.lifecycle import latest_definition, version_images

COLUMNS = ("image", "rater", "rating")


@dataclass(frozen=True)
class Given:
    """A line of the file."""

    line: int
    sha256: str
    rater: str
    value: float


def import_ratings(data_dir: Path, study: str, file: Path) -> int:
    """Takes each line's rating of a test image into a study, all of them or none; returns how many there are.

    The file has the columns image (a name as in the study, or a SHA-256), rater and rating. Raises AnnotationError that names the line for
    an unknown image, a value off the scale, and a rater who has rated the image before, in the file or in the study.
    """
    try:
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{file} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    with database.writing(data_dir / database.FILE_NAME) as db:
        definition = latest_definition(db, study)
        if definition is None:
            raise AnnotationError(f"{study!r} is the ready-made study of the page: import into a study of your own.")
        given = _read(text, file, definition, _names(db, study))
        number = study_id(db, study)
        row = {"study": number, "name": clean_file_name(file.name), "sha256": image_sha256(data)}
        _keep(db, definition, number, given, insert(db, "imports", row), file)
    return len(given)


def _names(db: Database, study: str) -> dict[str, str]:
    """The sha256 of a test image by each name that means only one: its path, its last part, and the sha256."""
    tests = [image for image in version_images(db, study) if image.kind == "test"]
    last = Counter(PurePosixPath(image.name).name for image in tests)
    names = {
        PurePosixPath(image.name).name: image.sha256 for image in tests if last[PurePosixPath(image.name).name] == 1
    }
    return names | {image.name: image.sha256 for image in tests} | {image.sha256: image.sha256 for image in tests}


def _read(text: str, file: Path, definition: Definition, names: dict[str, str]) -> list[Given]:
    reader = csv.DictReader(text.splitlines(keepends=True))
    columns = {str(name).strip().lower(): name for name in reader.fieldnames or []}
    if missing := [name for name in COLUMNS if name not in columns]:
        raise AnnotationError(f"{file}, line 1: there is no column {missing[0]}: it needs {', '.join(COLUMNS)}.")
    found: list[Given] = []
    try:
        for row in reader:
            where = f"{file}, line {reader.line_num}"
            image, rater, rating = (unguarded((row[columns[name]] or "").strip()) for name in COLUMNS)
            if image not in names:
                raise AnnotationError(f"{where}: the study has no test image {image!r}.")
            try:
                value = definition.scale.clean(float(rating))
            except (ValueError, AnnotationError) as error:
                raise AnnotationError(f"{where}: {rating!r} is no rating on the scale of this study.") from error
            found.append(Given(reader.line_num, names[image], rater, value))
    except csv.Error as error:
        raise AnnotationError(f"{file}, line {reader.line_num}: this is not CSV ({error}).") from error
    if not found:
        raise AnnotationError(f"{file} has no lines below its first.")
    return found


def _keep(db: Database, definition: Definition, study: int, given: list[Given], source: int, file: Path) -> None:
    version, now = version_id(db, study), timestamp()
    raters: dict[str, int] = {}
    rated: dict[int, set[str]] = defaultdict(set)
    sql = "SELECT image FROM presentations WHERE rater = ? AND study = ? AND kind = 'test' AND id IN (SELECT showing FROM ratings)"
    for one in given:
        try:
            rater = raters.get(one.rater) or rater_id_of(db, one.rater)
        except AnnotationError as error:
            raise AnnotationError(f"{file}, line {one.line}: {error}") from error
        if one.rater not in raters:
            raters[one.rater] = rater
            rated[rater] |= {row[0] for row in db.execute(sql, [rater, study])}
        if one.sha256 in rated[rater]:
            raise AnnotationError(f"{file}, line {one.line}: {one.rater!r} has rated this image before.")
        rated[rater].add(one.sha256)
        shown = db.execute(
            "INSERT INTO presentations (key, study, version, image, rater, position, kind, seen, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, 'test', ?, ?)",
            [secrets.token_hex(16), study, version, one.sha256, rater, len(rated[rater]), NOTHING, now],
        ).lastrowid
        rating = db.execute(
            "INSERT INTO ratings (presentation, showing, image, rater, seen, value, scale_low, scale_high, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [shown, shown, one.sha256, rater, NOTHING, one.value, definition.scale.low, definition.scale.high, now],
        ).lastrowid
        db.execute("INSERT INTO imported VALUES (?, ?)", [rating, source])
        places.keep(db, version, one.sha256, shown)
