"""Where the images that labels name are found: in other cases, behind apostrophes, and by the paths of another machine."""

from pathlib import Path

import pytest

from model.common.csv_cells import guarded
from model.datasets.image_paths import locate
from tests.model.common.test_csv_cells import FORMULAS, NAMES


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder photos with three files, two of them of one name."""
    folder = tmp_path / "photos"
    for name in ("lake.jpg", "Trip/lake.jpg", "Trip/Day 1/oak.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lake.jpg", "lake.jpg"),
        ("./Trip//lake.jpg", "Trip/lake.jpg"),
        ("trip/DAY 1/Oak.JPG", "Trip/Day 1/oak.jpg"),
        (r"Trip\lake.jpg", "Trip/lake.jpg"),
        (r".\trip\day 1\oak.jpg", "Trip/Day 1/oak.jpg"),
        (r"photos\lake.jpg", "lake.jpg"),
        (r"Photos\Trip\lake.jpg", "Trip/lake.jpg"),
        ("photos/Trip/lake.jpg", "Trip/lake.jpg"),
        (r"C:\Users\me\lake.jpg", "lake.jpg"),
        (r"C:\Users\me\photos\trip\lake.jpg", "Trip/lake.jpg"),
        (r"\\server\share\Trip\lake.jpg", "Trip/lake.jpg"),
        ("D:/Trip/Day 1/oak.jpg", "Trip/Day 1/oak.jpg"),
        ("/home/me/Trip/lake.jpg", "Trip/lake.jpg"),
    ],
)
def test_a_name_from_another_machine_is_found(folder, name, found):
    assert locate(folder, [name]) == [folder / found]


@pytest.mark.parametrize("name", ["absent.jpg", "other/lake.jpg", r"other\lake.jpg", r"C:\me\absent.jpg", "a\0b.jpg"])
def test_an_image_that_is_not_there_keeps_the_path_that_its_name_says(folder, name):
    assert locate(folder, [name]) == [folder / name]


def test_an_absolute_path_that_leads_somewhere_is_taken_as_it_is(folder):
    assert locate(folder / "Trip", [str(folder / "lake.jpg")]) == [folder / "lake.jpg"]


def test_a_name_is_found_however_it_was_guarded(tmp_path):
    names = [name for name in NAMES + FORMULAS if name]
    for name in names:
        (tmp_path / name).touch()
    assert locate(tmp_path, map(guarded, names)) == [tmp_path / name for name in names]


def test_a_name_that_only_looks_guarded_is_found_too(tmp_path):
    (tmp_path / "'=1.jpg").touch()
    assert locate(tmp_path, ["'=1.jpg"]) == [tmp_path / "'=1.jpg"]


def test_of_two_files_that_differ_in_case_neither_is_guessed(tmp_path):
    for name in ("A.jpg", "a.jpg"):
        (tmp_path / name).touch()
    if len(list(tmp_path.iterdir())) == 2:  # not where the file system makes no difference
        assert locate(tmp_path, ["a.JPG"]) == [tmp_path / "a.JPG"]
