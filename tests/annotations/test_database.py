"""The database file: how it comes into being, who may use it at once, and what survives."""

import signal
import sqlite3

import pytest
from sqlite_utils import Database

from annotations import AnnotationError, collect_mos, image_sha256, open_annotations
from annotations.migrations import migrations
from tests.patience import PATIENCE

RATE = """
import sys
from annotations import open_annotations
data_dir, rater, first, last = sys.argv[1:]
store = open_annotations(data_dir)
for number in range(int(first), int(last)):
    store.record_rating(rater, b"image %d" % number * 1000, 1 + number % 5, suffix="jpg")
    print(number, flush=True)
"""


def query(data_dir, sql: str):
    connection = sqlite3.connect(data_dir / "annotations.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_a_fresh_database_is_wal_and_sound_and_opening_again_changes_nothing(store, data_dir):
    applied = query(data_dir, "SELECT * FROM _sqlite_migrations")
    open_annotations(data_dir)
    assert query(data_dir, "SELECT * FROM _sqlite_migrations") == applied
    assert query(data_dir, "PRAGMA journal_mode") == [("wal",)]
    assert query(data_dir, "PRAGMA integrity_check") == [("ok",)]
    assert query(data_dir, "SELECT name FROM studies") == [("default",)]


@pytest.mark.slow
def test_processes_that_open_a_fresh_folder_at_once_all_succeed(start_python, data_dir):
    processes = [start_python(RATE, f"rater {number}", "0", "1") for number in range(3)]
    for process in processes:
        assert process.communicate(timeout=PATIENCE)[1] == ""
        assert process.returncode == 0
    assert open_annotations(data_dir).counts().ratings == 3


@pytest.mark.slow
def test_two_processes_write_at_once_and_nothing_is_lost(start_python, data_dir):
    processes = [start_python(RATE, "Ann", "0", "25"), start_python(RATE, "Bob", "0", "25")]
    for process in processes:
        assert process.communicate(timeout=PATIENCE)[1] == ""
    store = open_annotations(data_dir)
    assert (store.counts().ratings, store.counts().images, store.counts().raters) == (50, 25, 2)
    assert all(store.image_path(image_sha256(b"image %d" % n * 1000)).is_file() for n in range(25))
    assert query(data_dir, "SELECT count(DISTINCT position), max(position) FROM study_images") == [(25, 25)]


def test_one_rater_in_two_processes_still_has_one_vote_an_image(start_python, data_dir):
    processes = [start_python(RATE, "Ann", "0", "15"), start_python(RATE, "Ann", "0", "15")]
    for process in processes:
        assert process.communicate(timeout=PATIENCE)[1] == ""
    assert [summary.opinion.n for summary in open_annotations(data_dir).summaries()] == [1] * 15
    assert open_annotations(data_dir).counts().ratings == 30


def test_kill_9_in_mid_write_leaves_a_good_database_with_every_acknowledged_rating(start_python, data_dir):
    acknowledged = 0
    for round_number in range(2):
        process = start_python(RATE, f"rater {round_number}", "0", "100000")
        lines = [process.stdout.readline() for _ in range(7 + 5 * round_number)]
        process.send_signal(signal.SIGKILL)
        rest = process.communicate(timeout=PATIENCE)[0]
        acknowledged += len(lines) + rest.count("\n")
    store = open_annotations(data_dir)
    assert acknowledged <= store.counts().ratings <= acknowledged + 2
    assert query(data_dir, "PRAGMA integrity_check") == [("ok",)]
    assert query(data_dir, "PRAGMA foreign_key_check") == []
    for record in collect_mos(data_dir):
        assert image_sha256(record.image.read_bytes()) == record.sha256
    assert store.record_rating("Ann", b"afterwards", 3, suffix="jpg").value == 3.0


def test_a_database_from_before_names_were_kept_goes_on(data_dir):
    data_dir.mkdir()
    older = Database(data_dir / "annotations.db")
    migrations.apply(older, stop_before="m002_names_of_images")
    assert query(data_dir, "PRAGMA user_version") == [(1,)]
    old, new = image_sha256(b"old"), image_sha256(b"new")
    older["images"].insert({"sha256": old, "suffix": "jpg", "bytes": 3, "created_at": "2026-01-01"})
    older.close()

    store = open_annotations(data_dir)
    assert query(data_dir, "PRAGMA user_version") == [(6,)]
    assert query(data_dir, "SELECT name FROM images") == [(None,)]
    store.record_rating("Ann", b"old", 3, suffix="jpg", name="late.jpg")  # a kept image is never changed
    store.record_rating("Ann", b"new", 4, suffix="jpg", name="new.jpg")
    assert {summary.sha256: summary.name for summary in store.summaries()} == {old: None, new: "new.jpg"}
    assert query(data_dir, "PRAGMA integrity_check") == [("ok",)]


IMAGE, SCORE = image_sha256(b"old"), "'nano', 'r1', 3.5, 1.0, 5.0"
RATINGS_OF_VERSION_2 = f"""
INSERT INTO raters (name, name_key, created_at) VALUES ('Ann', 'ann', '1'), ('Bob', 'bob', '1');
INSERT INTO images (sha256, suffix, bytes, created_at) VALUES ('{IMAGE}', 'jpg', 3, '1');
INSERT INTO study_images VALUES (1, '{IMAGE}', 1);
INSERT INTO presentations (study, image, rater, position, kind, seen, created_at)
    VALUES (1, '{IMAGE}', 1, 1, 'test', 'nothing', '1'), (NULL, '{IMAGE}', 1, 1, 'test', 'score', '2'),
           (1, '{IMAGE}', 2, 1, 'test', 'nothing', '3');
INSERT INTO ratings (presentation, image, rater, seen, value, model, revision, score, score_low, score_high, supersedes, created_at)
    VALUES (1, '{IMAGE}', 1, 'nothing', 2.0, {SCORE}, NULL, '1'), (2, '{IMAGE}', 1, 'score', 3.0, {SCORE}, 1, '2'),
           (3, '{IMAGE}', 2, 'nothing', 4.0, NULL, NULL, NULL, NULL, NULL, NULL, '3');
"""


def test_ratings_from_before_exposures_were_kept_stay_as_they_are_and_those_who_saw_a_score_have_seen_it(data_dir):
    data_dir.mkdir()
    older = Database(data_dir / "annotations.db")
    migrations.apply(older, stop_before="m003_presentations_when_shown_and_exposures")
    older.conn.executescript(RATINGS_OF_VERSION_2)
    columns = "id, presentation, image, rater, seen, value, model, revision, score, supersedes, created_at"
    before = query(data_dir, f"SELECT {columns} FROM ratings")
    older.close()

    store = open_annotations(data_dir)
    assert query(data_dir, f"SELECT {columns} FROM ratings") == before and len(before) == 3
    assert query(data_dir, "SELECT count(DISTINCT key) FROM presentations") == [(3,)]
    assert query(data_dir, "PRAGMA foreign_key_check") == [] and query(data_dir, "PRAGMA integrity_check") == [("ok",)]
    assert [(s.opinion.mos, s.opinion.n) for s in store.summaries()] == [(3.0, 2)]
    ann, bob = (store.present(name, IMAGE) for name in ("Ann", "Bob"))
    assert (ann.seen, bob.seen) == ("score", "nothing")
    assert (ann.id, store.rate(bob.key, 5, image=b"old", suffix="jpg").supersedes) == (4, 3)
    for table in ("images", "presentations", "ratings"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            query(data_dir, f"DELETE FROM {table}")


@pytest.mark.parametrize(
    "newer",
    [
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('annotations', 'm999_later', 'now')",
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('another set', 'm001', 'now')",
        "PRAGMA user_version = 999",
    ],
)
def test_a_database_from_a_newer_version_is_refused_and_left_as_it_is(store, data_dir, newer):
    store.record_rating("Ann", b"image", 3, suffix="jpg")
    connection = sqlite3.connect(data_dir / "annotations.db")
    connection.execute(newer)
    connection.commit()
    connection.close()
    before = (data_dir / "annotations.db").read_bytes()
    attempts = [
        lambda: open_annotations(data_dir),
        lambda: collect_mos(data_dir),
        lambda: store.record_rating("Ann", b"image", 4, suffix="jpg"),
    ]
    for attempt in attempts:
        with pytest.raises(AnnotationError, match="newer version") as refused:
            attempt()
        assert "\n" not in str(refused.value)
    assert (data_dir / "annotations.db").read_bytes() == before


def test_a_database_from_an_even_newer_version_without_our_tables_is_refused_too(data_dir):
    data_dir.mkdir()
    connection = sqlite3.connect(data_dir / "annotations.db")
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(AnnotationError, match="newer version"):
        open_annotations(data_dir)
    assert query(data_dir, "SELECT name FROM sqlite_master") == []


def test_a_file_that_is_no_database_is_one_sentence_and_left_as_it_is(data_dir):
    data_dir.mkdir()
    (data_dir / "annotations.db").write_bytes(b"no database at all, " * 300)
    with pytest.raises(AnnotationError, match="not a sound database"):
        open_annotations(data_dir)
    assert (data_dir / "annotations.db").read_bytes() == b"no database at all, " * 300
