"""A disk that takes no more: limits set by the kernel on a process of its own."""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from annotations import AnnotationError, open_annotations
from tests.patience import PATIENCE

# The kernel refuses every write past this many bytes of a file, as a full disk does, for the file it is put to.
RATE_WITH_FILES_LIMITED = """
import resource, sys
from annotations import AnnotationError, open_annotations
store = open_annotations(sys.argv[1])
limit, size = map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for number in range(2):
    try:
        store.record_rating("Ann", b"%d" % number * size, 3, suffix="jpg")
    except AnnotationError as error:
        print(error)
"""


# SQLite's index of the log takes 32 KiB: below that no transaction begins; a little above, none can be committed.
@pytest.mark.parametrize(
    ("limit", "size"), [(200_000, 300_000), (40_000, 10), (30, 10)], ids=["image", "commit", "beginning"]
)
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(start_python, data_dir, limit, size):
    before = open_annotations(data_dir).record_rating("Bob", b"earlier", 4, suffix="jpg")
    process = start_python(RATE_WITH_FILES_LIMITED, str(limit), str(size))
    out, errors = process.communicate(timeout=PATIENCE)
    assert errors == ""
    assert len(out.splitlines()) == 2
    assert all("nothing was saved" in line for line in out.splitlines())
    store = open_annotations(data_dir)
    assert store.ratings_of("Bob") == [before]
    assert (store.counts().ratings, store.counts().images) == (1, 1)
    assert [path for path in (data_dir / "images").rglob("*") if path.is_file()] == [store.image_path(before.sha256)]
    assert store.record_rating("Ann", b"room again", 3, suffix="jpg").value == 3.0


# Root may write anywhere, so the process becomes nobody once it has imported what it needs.
USE_AS_NOBODY = """
import os, sys
from annotations import AnnotationError, open_annotations
if os.geteuid() == 0:
    os.seteuid(65534)
for attempt in [
    lambda: open_annotations(sys.argv[2]),
    lambda: open_annotations(sys.argv[2]).record_rating("Ann", b"image", 3, suffix="jpg"),
    lambda: open_annotations(sys.argv[2] + "/below"),
]:
    try:
        attempt()
    except AnnotationError as error:
        print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="folders are made read-only by their mode")
def test_a_read_only_folder_is_one_sentence(start_python):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        data = Path(folder, "data")
        open_annotations(data).record_rating("Bob", b"earlier", 4, suffix="jpg")
        data.chmod(0o555)
        process = start_python(USE_AS_NOBODY, str(data))
        out, errors = process.communicate(timeout=PATIENCE)
        data.chmod(0o755)
        assert errors == ""
        assert len(out.splitlines()) == 3
        assert all("writ" in line and "--data-dir" in line for line in out.splitlines())
        assert open_annotations(data).counts().ratings == 1


def test_a_data_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(AnnotationError, match="is a file, and a folder is needed"):
        open_annotations(tmp_path / "data")


EXPORT_AS_NOBODY = """
import os, sys
from pathlib import Path
from annotations.export import export
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
try:
    Path(sys.argv[2], "new").touch()
except OSError:
    export(Path(sys.argv[2]), False, None)
"""


@pytest.mark.skipif(os.name != "posix", reason="folders are made read-only by their mode")
@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_a_read_only_folder_is_exported_and_left_as_it_is(start_python, open_elsewhere):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        data = Path(folder, "data")
        store = open_annotations(data)
        store.record_rating("Bob", b"earlier", 4, suffix="jpg", name="a.jpg")
        with closing(sqlite3.connect(data / "annotations.db")) as other:
            if open_elsewhere:  # then SQLite leaves the newest rating in its log
                other.execute("SELECT * FROM ratings").fetchone()
                store.record_rating("Bob", b"later", 2, suffix="jpg", name="b.jpg")
                assert (data / "annotations.db-wal").stat().st_size
            before = {path: path.read_bytes() for path in data.glob("annotations.db*")}
            assert len(before) == (3 if open_elsewhere else 1)
            data.chmod(0o555)
            out, errors = start_python(EXPORT_AS_NOBODY, str(data)).communicate(timeout=300)
            data.chmod(0o755)
            assert {path: path.read_bytes() for path in data.glob("annotations.db*")} == before
    assert errors == "" and sorted(line.split(",", 1)[1] for line in out.splitlines()[1:]) == (
        ['2.0,"",1,"b.jpg"', '4.0,"",1,"a.jpg"'] if open_elsewhere else ['4.0,"",1,"a.jpg"']
    )
