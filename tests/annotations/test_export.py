"""`python -m annotations.export` as others' scripts run it."""

import csv
import os
import resource
import subprocess
import sys

import pytest

from annotations import AnnotationError, collect_mos, open_annotations
from annotations.export import export, to_csv
from tests.annotations.conftest import ROOT
from tests.patience import PATIENCE


def run_export(*arguments, **environment) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "annotations.export", *map(str, arguments)]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def rated(store, shown):
    store.record_rating("Ann", b"one", 2, suffix="jpg", name="C:\\holiday\\=first, best.jpg")
    store.record_rating("Bob", b"one", 4, suffix="jpg", name="other.jpg")
    store.record_rating("Ann", b"two", 3.25, suffix="png")
    store.record_rating("Ann", b"three", 5, suffix="png", shown=shown)
    return store


def test_the_csv_names_images_below_the_images_folder_with_their_mos(rated, data_dir, tmp_path):
    out = tmp_path / "labels.csv"
    done = run_export("--data-dir", data_dir, "--out", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["image", "mos", "std", "n", "name"]
    contents = {(data_dir / "images" / row["image"]).read_bytes(): row for row in rows}
    one, two = contents[b"one"], contents[b"two"]
    assert (float(one["mos"]), float(one["std"]), one["n"]) == (3.0, pytest.approx(2**0.5, abs=1e-4), "2")
    assert (float(two["mos"]), two["std"], two["n"]) == (3.25, "", "1")
    assert (one["name"], two["name"]) == ("'=first, best.jpg", "")  # as first added; no spreadsheet computes it
    assert len(rows) == 2


def test_stdout_carries_the_csv_alone_and_revealed_votes_on_request(rated, data_dir):
    done = run_export("--include-revealed", QSCORER_DATA=str(data_dir))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "image,mos,std,n,name"
    assert len(done.stdout.splitlines()) == 4


def test_no_ratings_yet_is_one_sentence_and_creates_nothing(data_dir):
    done = run_export("--data-dir", data_dir)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and f"No ratings in {data_dir} yet" in done.stderr
    assert not data_dir.exists()


def test_revealed_ratings_alone_are_pointed_to(store, data_dir, shown):
    store.record_rating("Ann", b"three", 5, suffix="png", shown=shown)
    done = run_export("--data-dir", data_dir)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No blind ratings" in done.stderr and "--include-revealed" in done.stderr


def test_an_out_file_that_cannot_be_written_is_one_sentence(rated, data_dir, tmp_path):
    done = run_export("--data-dir", data_dir, "--out", tmp_path / "missing" / "labels.csv")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "cannot be written" in done.stderr


def test_a_disk_that_fills_up_leaves_the_earlier_file_and_nothing_else(rated, data_dir, tmp_path, monkeypatch):
    out, link = tmp_path / "out" / "labels.csv", tmp_path / "link.csv"
    out.parent.mkdir()
    out.write_text("earlier")
    out.chmod(0o640)
    link.symlink_to(out)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_full_disk(*arguments) -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, limit[1]))  # no file may grow further
        return to_csv(*arguments)

    try:
        with monkeypatch.context() as patch, pytest.raises(AnnotationError, match=r"link.csv cannot be written \(.+\)"):
            patch.setattr("annotations.export.to_csv", on_full_disk)
            export(data_dir, False, link)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert out.read_text() == "earlier" and os.listdir(out.parent) == ["labels.csv"]
    export(data_dir, False, link)
    assert link.is_symlink() and out.read_text().startswith("image,mos,std,n,name\n")
    assert out.stat().st_mode & 0o777 == 0o640 and os.listdir(out.parent) == ["labels.csv"]


def test_devices_are_written_to_as_they_are(rated, data_dir):
    done = run_export("--data-dir", data_dir, "--out", "/dev/stdout")
    assert (done.returncode, done.stderr) == (0, "") and len(done.stdout.splitlines()) == 3


def test_records_for_fine_tuning_name_files_that_are_there(rated, data_dir, monkeypatch):
    monkeypatch.chdir(data_dir.parent)
    records = collect_mos("data", include_revealed=True)
    assert [record.sha256 for record in records] == sorted(record.sha256 for record in records)
    assert all(record.image.is_absolute() and record.image.is_file() for record in records)
    assert sorted(record.mos for record in records) == [3.0, 3.25, 5.0]
    assert len(collect_mos("data")) == 2


def test_annotations_need_neither_torch_nor_gradio_nor_the_models():
    code = "import annotations, annotations.export, sys; print({'torch', 'gradio', 'model'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("holiday/IMG 1.JPG", "IMG 1.JPG"),
        ("../../etc/passwd", "passwd"),
        ("a\x00b\nc\u202egpj.jpg", "abcgpj.jpg"),
        ("é.jpg", "é.jpg"),
        ("x" * 300 + ".jpg", "x" * 251 + ".jpg"),
        (" / ", None),
        ("", None),
        (None, None),
    ],
)
def test_of_a_files_name_the_harmless_part_is_kept(store, data_dir, given, kept):
    store.record_rating("Ann", b"one", 2, suffix="jpg", name=given)
    assert [record.name for record in collect_mos(data_dir)] == [kept]


def test_an_empty_database_gives_no_records(data_dir):
    open_annotations(data_dir)
    assert collect_mos(data_dir) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_is_one_sentence(rated, data_dir):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "annotations.export", "--data-dir", str(data_dir)]
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "the output cannot be written (No space left on device)" in done.stderr


def test_a_name_that_the_stream_cannot_spell_is_spelled_with_backslashes(store, data_dir):
    store.record_rating("Ann", b"one", 2, suffix="jpg", name="é 中.jpg")
    done = run_export("--data-dir", data_dir, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert next(csv.DictReader(done.stdout.splitlines()))["name"] == r"\xe9 \u4e2d.jpg"
