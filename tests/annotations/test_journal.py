"""Where the file system allows no WAL: on a FUSE mount without shared memory (where bindfs is installed), and on any disk on which a folder
stands where SQLite would put that memory."""

import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from annotations import image_sha256, open_annotations
from annotations.backup import back_up
from annotations.restore import restore
from tests.annotations.test_database import RATE, query
from tests.patience import PATIENCE


@pytest.fixture(params=["fuse", "obstructed"])
def data_dir(request, tmp_path):
    """A data folder in which a WAL fails."""
    folder = tmp_path / "data"
    folder.mkdir()
    if request.param == "obstructed":
        (folder / "annotations.db-shm").mkdir()
        yield folder
        return
    (tmp_path / "behind").mkdir()
    if not shutil.which("bindfs") or not Path("/dev/fuse").exists():
        pytest.skip("bindfs is not installed")
    command = ["bindfs", "-f", "-o", "direct_io", str(tmp_path / "behind"), str(folder)]  # direct_io: no shared mmap
    mounting = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not folder.is_mount():
        if mounting.poll() is not None:
            pytest.skip(f"nothing can be mounted here: {mounting.communicate()[1]}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    mounting.communicate(timeout=PATIENCE)


def test_where_wal_fails_a_killed_app_starts_again_with_every_acknowledged_rating(start_python, data_dir):
    acknowledged = 0
    for round_number in range(2):
        process = start_python(RATE, f"rater {round_number}", "0", "100000")
        lines = [process.stdout.readline() for _ in range(7 + 5 * round_number)]
        process.send_signal(signal.SIGKILL)
        rest = process.communicate(timeout=PATIENCE)[0]
        acknowledged += len(lines) + rest.count("\n")
        assert all(lines)
    store = open_annotations(data_dir)
    assert store.journal_mode() == "delete"
    assert acknowledged <= store.counts().ratings <= acknowledged + 2
    assert all(image_sha256(path.read_bytes()) == path.stem for path in store.image_files())
    assert query(data_dir, "PRAGMA integrity_check") == [("ok",)] == query(data_dir, "PRAGMA quick_check")
    assert store.record_rating("Ann", b"afterwards", 3, suffix="jpg").value == 3.0


def test_a_wal_that_was_moved_here_becomes_a_rollback_journal(tmp_path, data_dir):
    elsewhere = open_annotations(tmp_path / "local")
    elsewhere.record_rating("Ann", b"image", 4, suffix="jpg")
    assert elsewhere.journal_mode() == "wal"
    shutil.copytree(tmp_path / "local", data_dir, dirs_exist_ok=True)
    store = open_annotations(data_dir)
    assert (store.journal_mode(), store.counts().ratings) == ("delete", 1)
    store.record_rating("Bob", b"image", 5, suffix="jpg")
    back_up(data_dir, tmp_path / "out.zip")
    restore(tmp_path / "out.zip", tmp_path / "back")
    assert open_annotations(tmp_path / "back").journal_mode() == "wal"
    assert open_annotations(tmp_path / "back").counts().ratings == 2


def test_a_write_that_was_cut_short_is_rolled_back_by_whoever_reads_next(start_python, data_dir):
    """A rollback journal that a killed process left is needed by the first reader already."""
    store = open_annotations(data_dir)
    store.record_rating("Ann", b"image", 4, suffix="jpg")
    process = start_python(CUT_SHORT)
    assert process.stdout.readline() == "spilt\n"
    process.kill()
    process.wait(PATIENCE)
    assert (data_dir / "annotations.db-journal").stat().st_size > 0
    assert store.counts().raters == 1
    with pytest.raises(sqlite3.OperationalError):
        query(data_dir, "SELECT * FROM spilt")


CUT_SHORT = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1] + "/annotations.db", isolation_level=None)
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN")
db.execute("CREATE TABLE spilt (content)")
db.execute("DELETE FROM _sqlite_migrations")
for number in range(500):
    db.execute("INSERT INTO spilt VALUES (zeroblob(4000))")
print("spilt", flush=True)
time.sleep(600)
"""
