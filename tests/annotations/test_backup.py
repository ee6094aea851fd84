"""The drill: back up while somebody rates, lose everything, restore, and find every rating."""

import io
import shutil
import subprocess
import sys
import zipfile

import pytest

from annotations import AnnotationError, collect_mos, open_annotations
from annotations.backup import back_up
from annotations.restore import restore
from tests.annotations.conftest import ROOT
from tests.annotations.test_database import RATE, query
from tests.patience import PATIENCE


def command(name, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"annotations.{name}", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def everything(data_dir):
    """All rows of all tables, and all files but the database."""
    tables = [name for (name,) in query(data_dir, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    rows = {table: query(data_dir, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables if "sqlite" not in table}
    files = {path.relative_to(data_dir): path.read_bytes() for path in data_dir.rglob("*") if path.is_file()}
    return rows, {path: content for path, content in files.items() if not path.name.startswith("annotations.db")}


@pytest.fixture
def filled(store, data_dir):
    for number in range(4):
        store.record_rating("Ann", b"image %d" % number, 1 + number, suffix="jpg", name=f"{number}.jpg")
    store.note_problem("0" * 64, "cannot be read")
    for name in ("mine", ".unfinished-1"):
        (data_dir / "adapters" / name).mkdir(parents=True)
        (data_dir / "adapters" / name / "adapter_config.json").write_text("{}")
    return data_dir


def test_the_drill(filled, tmp_path):
    out, back = tmp_path / "out.zip", tmp_path / "elsewhere" / "data"
    said = command("backup", filled, out)
    assert said.returncode == 0 and "4 ratings of 4 images" in said.stdout, said.stderr
    shutil.rmtree(filled / "adapters" / ".unfinished-1")
    before = everything(filled)
    shutil.rmtree(filled)
    said = command("restore", out, back)
    assert said.returncode == 0 and "4 ratings of 4 images are back" in said.stdout, said.stderr
    assert everything(back) == before
    assert open_annotations(back).record_rating("Ann", b"image 0", 5, suffix="jpg").supersedes == 1
    assert query(back, "PRAGMA integrity_check") == [("ok",)] and query(back, "PRAGMA journal_mode") == [("wal",)]


def test_a_backup_while_somebody_rates_is_of_one_moment(start_python, data_dir, tmp_path):
    process = start_python(RATE, "Ann", "0", "100000")
    for number in range(2):
        assert process.stdout.readline()
        back_up(data_dir, tmp_path / "out.zip")
        restore(tmp_path / "out.zip", tmp_path / f"back {number}")
        store = open_annotations(tmp_path / f"back {number}")
        counts = store.counts()
        assert counts.ratings == counts.images == len(collect_mos(tmp_path / f"back {number}")) > number
        assert query(tmp_path / f"back {number}", "PRAGMA foreign_key_check") == []
    process.kill()
    process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "images/../../evil",
        "adapters/../evil",
        "adapters//evil",
        "adapters/a\\..\\evil",
        "other",
    ],
)
def test_a_file_that_leads_elsewhere_restores_nothing(filled, tmp_path, name):
    back_up(filled, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip", "a") as file:
        file.writestr(zipfile.ZipInfo(name), b"evil")
    refused(tmp_path, "is not a backup: it holds", tmp_path / "out.zip")
    assert not list(tmp_path.rglob("evil*"))


def refused(tmp_path, said, backup):
    with pytest.raises(AnnotationError, match=said) as error:
        restore(backup, tmp_path / "back")
    assert "\n" not in str(error.value) and not (tmp_path / "back").exists()


def test_a_damaged_backup_restores_nothing(filled, tmp_path):
    out = tmp_path / "out.zip"
    back_up(filled, out)
    whole = out.read_bytes()
    for content in (b"", b"not a zip file", whole[:-40], whole[: len(whole) // 2]):
        out.write_bytes(content)
        refused(tmp_path, "damaged or not a backup", out)
    out.write_bytes(whole.replace(b"image 3", b"image X"))
    refused(tmp_path, "damaged or not a backup", out)
    for left_out, said in (("annotations.db", "holds no annotations.db"), (".jpg", "is missing or damaged")):
        with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(out, "w") as new:
            for entry in old.infolist():
                if left_out not in entry.filename:
                    new.writestr(entry, old.read(entry))
        refused(tmp_path, said, out)
    with pytest.raises(AnnotationError, match="cannot be read or written"):
        restore(tmp_path / "nothing.zip", tmp_path / "back")


def test_a_folder_that_holds_anything_is_left_as_it_is(filled, tmp_path):
    back_up(filled, tmp_path / "out.zip")
    before = everything(filled)
    with pytest.raises(AnnotationError, match="is not empty"):
        restore(tmp_path / "out.zip", filled)
    assert everything(filled) == before


def test_a_folder_without_ratings_is_one_sentence(tmp_path):
    with pytest.raises(AnnotationError, match="has no annotations.db"):
        back_up(tmp_path, tmp_path / "out.zip")
    assert not list(tmp_path.iterdir())
