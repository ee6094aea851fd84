"""Studies made from real files; their images are a few bytes each, since nothing here decodes them."""

import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from annotations import image_sha256, open_annotations
from annotations.studies.lifecycle import keep_study
from annotations.studies.showing import Showing
from annotations.studies.study import Study


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """An open study of `tests` images with further lines of YAML, and its special images; its clock is `study.now`."""
    return study_maker(tmp_path)


def study_maker(tmp_path: Path) -> Callable[..., Study]:
    def make(
        tests: int, more: str = "", special: tuple[str, ...] = (), name: str = "one", state: str = "open"
    ) -> Study:
        folder = tmp_path / f"files of {name}"
        (folder / "test").mkdir(parents=True, exist_ok=True)
        for number in range(tests):
            (folder / "test" / f"{number}.jpg").write_bytes(b"test image %d" % number)
        for file in special:
            (folder / file).write_bytes(file.encode())
        file = folder / "study.yaml"
        file.write_text(f"study: {name}\nquestion: How good is it?\nimages: test\n{more}")
        open_annotations(tmp_path / "data")
        keep_study(tmp_path / "data", file)
        study = Study(tmp_path / "data", name, lambda: study.now)
        study.now = 1_000_000.0
        study.set_state(state)
        return study

    return make


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs one of the two commands; returns its output, or the sentence of its refusal."""

    def run(main, *arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        assert main() == code
        out, err = capsys.readouterr()
        assert err.count("\n") == (code != 0) and (not code or not out), err
        return err if code else out

    return run


@pytest.fixture
def go_through() -> Callable[..., list]:
    """A rater rates all that is shown, or `most` of it; returns the showings."""
    return rate_all


def rate_all(study: Study, rater: str, most: int = 10_000, value: Callable = lambda showing: 3) -> list:
    seen = []
    while len(seen) < most and (showing := study.show_next(rater, browser=rater)):
        study.rate(showing.key, value(showing), browser=rater, seconds=2.5)
        seen.append(showing)
    return seen


TEST_IMAGES = 12
WITH_CHECKS = """\
ratings_per_image: 20
session_length: 30
repeats: 0.15
training:
  - {image: sharp.jpg, explanation: Sharp.}
gold:
  - {image: gold.jpg, accept: [4, 5]}
traps:
  - {image: trap.png, accept: 2}
"""


@pytest.fixture(scope="session")
def rated_once(tmp_path_factory) -> Study:
    """A study that six careful raters, one who misses the trap and one who always says 3 went through. Its true MOS rise with the number
    in the file's name. Not to be changed: `rated` is a copy."""
    folder = tmp_path_factory.mktemp("rated")
    study = study_maker(folder)(TEST_IMAGES, WITH_CHECKS, ("sharp.jpg", "gold.jpg", "trap.png"), name="rated")
    number = {image_sha256(b"test image %d" % n): n for n in range(TEST_IMAGES)}
    for rater in range(8):
        rng = random.Random(rater)

        def value(showing: Showing, rater=rater, rng=rng) -> int:
            if showing.kind in ("gold", "trap"):
                return {"gold": 4, "trap": 5 if rater == 6 else 2}[showing.kind]
            if rater == 7:
                return 3
            return min(5, max(1, round(1 + number.get(showing.sha256, 5) / 2.75 + rng.gauss(0, 0.6))))

        rate_all(study, ["Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "=Gus", "Hal"][rater], value=value)
    return study


@pytest.fixture
def rated(rated_once: Study, tmp_path: Path) -> Study:
    shutil.copytree(rated_once.data_dir, tmp_path / "data")
    return Study(tmp_path / "data", "rated")
