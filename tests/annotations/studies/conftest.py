"""Studies made from real files; their images are a few bytes each, since nothing here decodes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from annotations import open_annotations
from annotations.studies.lifecycle import keep_study
from annotations.studies.study import Study


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """An open study of `tests` images with further lines of YAML, and its special images; its clock is `study.now`."""

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
def go_through() -> Callable[..., list]:
    """A rater rates all that is shown, or `most` of it; returns the showings."""

    def go(study: Study, rater: str, most: int = 10_000, value: Callable = lambda showing: 3) -> list:
        seen = []
        while len(seen) < most and (showing := study.show_next(rater, browser=rater)):
            study.rate(showing.key, value(showing), browser=rater)
            seen.append(showing)
        return seen

    return go
