"""`python -m annotations.study` as the owner of a study runs it."""

import sys
import zipfile
from pathlib import Path

import pytest

from annotations.studies.study import Study
from annotations.study import main
from tests.programs import ROOT, python_m


@pytest.fixture
def owner(tmp_path: Path, monkeypatch, capsys):
    """Runs the command in a folder with three images; `file` writes the definition."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0, said: str = "") -> str:
        monkeypatch.setattr(sys, "argv", ["study", *arguments, "--data-dir", "data"])
        assert main() == code
        out, err = capsys.readouterr()
        assert err.count("\n") == (1 if code else 0) and said in err, err
        return out

    def file(more: str = "", images: str = "photos", name: str = "trip") -> str:
        (tmp_path / f"{name}.yaml").write_text(f"study: {name}\nquestion: How good?\nimages: {images}\n{more}")
        return f"{name}.yaml"

    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("a.jpg", "b.PNG", "more/c.webp", "notes.txt", ".hidden.jpg"):
        (tmp_path / "photos" / name).write_bytes(name.encode())
    run.file, run.folder = file, tmp_path
    return run


def test_a_study_is_made_opened_paused_and_closed(owner):
    (owner.folder / "photos" / "copy of a.jpg").write_bytes(b"a.jpg")
    made = owner("new", owner.file("gold:\n  - {image: photos/b.PNG, accept: [1, 2]}\n"))
    assert made.splitlines()[0] == "trip: version 1, draft; images: 1 gold, 2 test"
    assert "1 files were left out" in made and "copy of a.jpg" in made
    for command, state in [("open", "open"), ("pause", "paused"), ("open", "open")]:
        assert owner(command, "trip") == f"trip: {state}\n"
    study = Study(owner.folder / "data", "trip")
    study.rate(study.show_next("Ann").key, 4)
    study.show_next("Bob")
    status = "1 ratings by 1 raters; 1 of 30 places taken, 1 held; 2 of 2 images short of ratings"
    assert owner("status", "trip") == f"trip: version 1, open; {status}\n"
    owner("close", "trip")
    assert "closed" in owner("status")
    owner("new", "trip.yaml", code=2, said="is closed")


def test_studies_stand_side_by_side_and_have_versions(owner):
    owner("new", owner.file())
    owner("new", owner.file(name="second"))
    (owner.folder / "photos" / "d.jpg").write_bytes(b"d")
    assert "version 2, draft; images: 4 test" in owner("new", owner.file("ratings_per_image: 2\n"))
    assert [line.split(":")[0] for line in owner("status").splitlines()] == ["trip", "second"]


@pytest.mark.parametrize("form", ["csv", "one column", "zip", "file"])
def test_images_come_from_a_table_an_archive_or_a_file(owner, form):
    (owner.folder / "list.csv").write_text("image,mos\nphotos/a.jpg,3\nphotos/more/c.webp,2\n")
    (owner.folder / "plain.csv").write_text("files\nphotos/a.jpg\nphotos/more/c.webp\n")
    with zipfile.ZipFile(owner.folder / "all.zip", "w") as archive:
        for name in ("x/a.jpg", "b.png", "__MACOSX/a.jpg", "read.me"):
            archive.writestr(name, name)
    images = {"csv": "list.csv", "one column": "plain.csv", "zip": "all.zip", "file": "[photos/a.jpg, photos/b.PNG]"}
    assert "images: 2 test" in owner("new", owner.file(images=images[form]))


@pytest.mark.parametrize(
    ("more", "images", "said"),
    [
        ("", "nowhere", "nowhere is neither a folder nor a file"),
        ("", "photos/notes.txt", "not kept: use one of"),
        ("", "list.csv", "list.csv, line 3: 'photos/zzz.jpg' is not an image file"),
        ("", "table.csv", "table.csv, line 1: there is no column named image"),
        ("", "broken.zip", "is not a zip archive"),
        ("", "empty", "holds no images"),
        ("", "void", "is empty: choose another"),
        (
            "traps:\n  - {image: photos/z.jpg, accept: 2}\n",
            "photos",
            "trip.yaml, line 5: photos/z.jpg is not one image",
        ),
        (
            "gold:\n  - {image: a copy.jpg, accept: 2}\n",
            "photos",
            "a.jpg (test) and a copy.jpg (gold) are the same image",
        ),
        ("seed: x\n", "photos", "trip.yaml, line 4: seed must be a whole number"),
    ],
)
def test_what_cannot_be_a_study_is_one_sentence_and_leaves_none(owner, more, images, said):
    (owner.folder / "list.csv").write_text("image\nphotos/a.jpg\nphotos/zzz.jpg\n")
    (owner.folder / "table.csv").write_text("file,mos\na.jpg,3\n")
    (owner.folder / "broken.zip").write_bytes(b"no archive")
    (owner.folder / "a copy.jpg").write_bytes(b"a.jpg")
    (owner.folder / "empty").mkdir()
    (owner.folder / "void").mkdir()
    (owner.folder / "void" / "a.jpg").touch()
    owner("new", owner.file(more, images), code=2, said=said)
    owner("status", "trip", code=2, said="no study named 'trip'")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("scale: continuous\n", "its scale stays"),
        ("seed: 3\n", "its seed stays"),
        ("blind: false\n", "its blind stays"),
    ],
)
def test_what_raters_were_asked_does_not_change_afterwards(owner, change, said):
    owner("new", owner.file())
    owner("new", owner.file(change))  # nobody was shown anything yet
    owner("new", owner.file())
    owner("open", "trip")
    Study(owner.folder / "data", "trip").show_next("Ann")
    owner("new", owner.file(change), code=2, said=said)
    assert "version 4, open" in owner("new", owner.file("instructions: Take your time.\n"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["open", "nope"], "no study named 'nope'"),
        (["close", "default"], "ready-made study"),
        (["status", "default"], "ready-made study"),
        (["new", "missing.yaml"], "missing.yaml cannot be read"),
        (["status"], "no studies"),
    ],
)
def test_what_is_not_there_is_one_sentence(owner, arguments, said):
    owner(*arguments, code=2, said=said)


def test_the_ready_made_study_keeps_its_name(owner):
    owner("new", owner.file(name="default"), code=2, said="choose another name")


def test_it_is_a_program(tmp_path):
    done = python_m("annotations.study", "status", "--data-dir", "data", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("error: There are no studies")
