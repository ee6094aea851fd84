"""A whole study in a zip file: its images and every event, to be read by others and restored into an empty data folder."""

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from annotations import database
from annotations.errors import AnnotationError
from annotations.images import image_sha256, kept_image, relative_path
from annotations.migrations import DEFAULT_STUDY
from annotations.queries import study_id
from annotations.studies.places import count_places

# In an order in which each row refers to earlier ones only, with the rows that belong to a study.
IMAGES = (
    "SELECT image FROM study_images WHERE version IN (SELECT id FROM study_versions WHERE study = :study) "
    "UNION SELECT image FROM presentations WHERE study = :study"
)
RATERS = "SELECT rater FROM presentations WHERE study = :study"
TABLES = {
    "raters": f"id IN ({RATERS})",
    "images": f"sha256 IN ({IMAGES})",
    "studies": "id = :study",
    "study_versions": "study = :study",
    "study_states": "study = :study",
    "study_images": "version IN (SELECT id FROM study_versions WHERE study = :study)",
    "presentations": "study = :study",
    "ratings": "showing IN (SELECT id FROM presentations WHERE study = :study)",
    "decisions": "study = :study",
    "imports": "study = :study",
    "imported": "source IN (SELECT id FROM imports WHERE study = :study)",
    "exposures": f"rater IN ({RATERS}) AND image IN ({IMAGES})",
}

LATER = ("imports", "imported")  # which archives of earlier versions lack


def write_archive(data_dir: Path, study: str, out: Path, texts: dict[str, str]) -> None:
    """Writes the study to the zip file `out`, with further `texts` by their names; raises AnnotationError where an image is lacking or
    the file cannot be written."""
    try:
        with database.reading(data_dir / database.FILE_NAME) as db, zipfile.ZipFile(out, "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, text, zipfile.ZIP_DEFLATED)
            for table, lines in _rows(db, study):
                archive.writestr(f"tables/{table}.jsonl", lines, zipfile.ZIP_DEFLATED)
            rows = db.query(
                f"SELECT sha256, suffix FROM images WHERE sha256 IN ({IMAGES})", {"study": study_id(db, study)}
            )
            for row in rows:
                path = relative_path(row["sha256"], row["suffix"])
                archive.write(data_dir / "images" / path, f"images/{path.as_posix()}")  # stored: images are compressed
    except FileNotFoundError as error:
        raise AnnotationError(f"{error.filename} is lacking: put it back, or choose another --out.") from error
    except OSError as error:
        raise AnnotationError(f"{out} cannot be written ({error.strerror or error}): choose another --out.") from error


def restore_archive(data_dir: Path, file: Path) -> str:
    """Reads such a zip file into a data folder without ratings, every event with its id; returns the study's name.

    Raises AnnotationError for a folder with ratings or studies, and for a file that is not such an archive or was changed; then nothing
    but images was written.
    """
    path = data_dir / database.FILE_NAME
    try:
        with zipfile.ZipFile(file) as archive, database.writing(path) as db:
            if db.execute(
                "SELECT 1 FROM raters UNION SELECT 1 FROM studies WHERE name != ?", [DEFAULT_STUDY]
            ).fetchone():
                raise AnnotationError(f"{data_dir} holds ratings or studies: restore into an empty --data-dir.")
            tables = {table: [json.loads(line) for line in _lines(archive, table)] for table in TABLES}
            try:
                for table, rows in tables.items():
                    _insert(db, table, rows, file)
            except sqlite3.IntegrityError as error:
                raise AnnotationError(
                    f"{file} holds rows that contradict each other ({error}): export it again."
                ) from error
            (study,) = tables["studies"]
            for row in tables["images"]:
                _restore_image(data_dir / "images", archive, row)
            version = db.execute("SELECT max(id) FROM study_versions WHERE study = ?", [study["id"]]).fetchone()[0]
            count_places(db, study["id"], version)
    except OSError as error:
        raise AnnotationError(f"{file} cannot be read ({error.strerror or error}).") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise AnnotationError(f"{file} is not a study's archive, or was changed ({error}).") from error
    return study["name"]


def _rows(db: Database, study: str) -> Iterator[tuple[str, str]]:
    """Each table's rows as JSON lines."""
    for table, where in TABLES.items():
        rows = db.query(f"SELECT * FROM {table} WHERE {where} ORDER BY rowid", {"study": study_id(db, study)})
        yield table, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _lines(archive: zipfile.ZipFile, table: str) -> list[str]:
    if table in LATER and f"tables/{table}.jsonl" not in archive.namelist():
        return []
    return archive.read(f"tables/{table}.jsonl").decode().splitlines()


def _insert(db: Database, table: str, rows: list[dict], file: Path) -> None:
    known = [column.name for column in db[table].columns]
    for row in rows:
        if set(row) != set(known):
            raise AnnotationError(f"{file} has other columns in {table}: it was written by another version.")
    marks = ", ".join("?" for _ in known)
    db.conn.executemany(
        f"INSERT INTO {table} ({', '.join(known)}) VALUES ({marks})",
        ([row[column] for column in known] for row in rows),
    )


def _restore_image(folder: Path, archive: zipfile.ZipFile, row: dict) -> None:
    path = relative_path(row["sha256"], row["suffix"])  # both were checked by the database
    data = archive.read(f"images/{path.as_posix()}")
    if image_sha256(data) != row["sha256"]:
        raise AnnotationError(f"{path} in the archive is not the image that was rated: export it again.")
    with kept_image(folder, data, folder / path):
        pass
