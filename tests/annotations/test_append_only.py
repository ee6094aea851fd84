"""The database itself keeps what was recorded, whoever opens it."""

import sqlite3
from pathlib import Path

import pytest

TABLES = [
    "raters",
    "studies",
    "study_versions",
    "study_states",
    "study_images",
    "images",
    "presentations",
    "ratings",
    "exposures",
    "image_problems",
    "additions",
    "withdrawals",
]


@pytest.fixture
def raw(store, data_dir: Path, shown):
    """A connection as any other program opens it: foreign keys and recursive triggers off."""
    first = store.record_rating("Ann", b"one", 3.0, suffix="jpg", browser="a browser")
    store.record_rating("Ann", b"one", 2.0, suffix="jpg", shown=shown)
    store.note_problem(first.sha256, "the file is gone")
    store.take_back(first.sha256, browser="a browser")
    connection = sqlite3.connect(data_dir / "annotations.db")
    yield connection
    connection.close()


def rows(raw: sqlite3.Connection) -> dict[str, list[tuple]]:
    return {table: raw.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ratings SET value = 5",
        "UPDATE OR REPLACE ratings SET id = 1 WHERE id = 2",
        "UPDATE presentations SET seen = 'nothing'",
        "UPDATE images SET suffix = 'png'",
        "UPDATE raters SET name = 'Eve'",
        "UPDATE studies SET name = 'mine'",
        "UPDATE study_versions SET definition = 'mine'",
        "UPDATE study_states SET state = 'closed'",
        "UPDATE study_images SET kind = 'training'",
        "UPDATE exposures SET browser = 'another'",
        "UPDATE image_problems SET sentence = ''",
    ],
)
def test_a_rating_and_what_it_rests_on_cannot_be_changed_even_by_raw_sql(raw, statement):
    before = rows(raw)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.commit()
    assert rows(raw) == before


@pytest.mark.parametrize("table", TABLES)
def test_nothing_recorded_can_be_deleted_even_by_raw_sql(raw, table):
    before = rows(raw)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(f"DELETE FROM {table}")
    raw.commit()
    assert rows(raw) == before


SHOWN = "(id, key, study, image, rater, browser, position, kind, seen, created_at)"
RATING = "(id, presentation, image, rater, seen, value, supersedes, created_at)"
FREE_PRESENTATION = """
    INSERT INTO presentations (key, study, image, rater, position, kind, seen, created_at)
    SELECT 'another random key', study, image, rater, 9, kind, 'nothing', created_at FROM presentations WHERE id = 1
"""


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"])
@pytest.mark.parametrize(
    "collision",
    [
        f"INTO ratings {RATING} SELECT 1, 3, image, rater, 'nothing', 5, 2, 'now' FROM ratings WHERE id = 1",
        f"INTO ratings {RATING} SELECT NULL, 1, image, rater, 'nothing', 5, 2, 'now' FROM ratings WHERE id = 1",
        f"INTO ratings {RATING} SELECT NULL, 3, image, rater, 'nothing', 5, 1, 'now' FROM ratings WHERE id = 1",
        f"INTO ratings {RATING} SELECT NULL, 3, image, rater, 'nothing', 5, NULL, 'now' FROM ratings WHERE id = 1",
        f"INTO presentations {SHOWN} SELECT 1, 'a random key of 20', study, image, rater, browser, 9, kind, 'score', 'now' "
        "FROM presentations WHERE id = 1",
        f"INTO presentations {SHOWN} SELECT NULL, key, study, image, rater, browser, 9, kind, 'score', 'now' FROM presentations "
        "WHERE id = 1",
        "INTO images SELECT sha256, 'png', 9, created_at, 'b.png' FROM images",
        "INTO exposures SELECT id, image, rater, 'me', place, model, revision, 5, 1, 5, 'now' FROM exposures",
        "INTO image_problems SELECT id, image, 'nothing', 9, 'now' FROM image_problems",
        "INTO raters SELECT 1, 'Eve', 'eve', created_at FROM raters",
        "INTO raters SELECT NULL, 'ANN', name_key, created_at FROM raters",
        "INTO studies SELECT NULL, name, 'now' FROM studies",
        "INTO study_versions SELECT NULL, study, number, 'another', 'now' FROM study_versions",
        "INTO study_states SELECT id, study, 'closed', 'now' FROM study_states",
        "INTO study_images (version, position, image) SELECT version, 9, image FROM study_images",
        "INTO study_images (version, position, image, kind) SELECT version, position, 'another', 'test' FROM study_images",
    ],
)
def test_a_replacing_insert_does_not_get_round_it(raw, verb, collision):
    raw.execute(FREE_PRESENTATION)
    raw.commit()
    before = rows(raw)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(f"{verb} {collision}")
    raw.commit()
    assert rows(raw) == before


def test_an_upsert_does_not_get_round_it(raw):
    before = rows(raw)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(
            f"INSERT INTO ratings {RATING} SELECT id, presentation, image, rater, seen, 5, supersedes, 'now' "
            "FROM ratings WHERE id = 2 ON CONFLICT (id) DO UPDATE SET value = 5"
        )
    raw.commit()
    assert rows(raw) == before


def test_the_database_accepts_no_value_off_the_scale_and_no_unsaid_score(raw):
    raw.execute(FREE_PRESENTATION)
    insert = f"INSERT INTO ratings {RATING} SELECT NULL, 3, image, rater, ?, ?, 2, 'now' FROM ratings WHERE id = 1"
    for seen, value in [("nothing", 0.9), ("nothing", 5.1), ("nothing", None), ("score", 3.0)]:
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(insert, [seen, value])
    raw.execute(insert, ["nothing", 5.0])


def test_the_database_accepts_no_rating_that_contradicts_its_presentation_or_its_past(raw, store):
    other_image = store.record_rating("Ann", b"two", 3.0, suffix="jpg")
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute(FREE_PRESENTATION)
    presentation = raw.execute("SELECT max(id) FROM presentations").fetchone()[0]
    for of, supersedes in [(presentation, other_image.id), (presentation + 1, 2)]:
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            raw.execute(
                f"INSERT INTO ratings {RATING} "
                "SELECT NULL, ?, image, rater, 'nothing', 4, ?, 'now' FROM ratings WHERE id = 1",
                [of, supersedes],
            )
