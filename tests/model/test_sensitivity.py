"""What a model notices of damage, on the shipped nano and one small image."""

import json
from pathlib import Path

import pytest
from PIL import Image

from model.images.damage import KINDS
from model.sensitivity import SEVERITIES, summarise, table
from tests.programs import python_m

FALLING, STANDING, RISING = [5.0, 4, 3, 2, 1], [3.0] * 5, [1.0, 2, 3, 4, 5]


def test_a_score_that_falls_at_every_step_is_told_from_one_that_stands_or_rises():
    row, *_ = summarise([dict.fromkeys(KINDS, scores) for scores in (FALLING, STANDING, RISING)])
    assert row == {"kind": next(iter(KINDS)), "scores": [3] * 5, "noticed": pytest.approx(1 / 3), "srcc": 0}
    alone, *_ = summarise([dict.fromkeys(KINDS, FALLING)])
    assert (alone["noticed"], alone["srcc"]) == (1, pytest.approx(1))


def test_the_table_has_a_row_for_each_kind():
    heading, *rows = table(list(summarise([dict.fromkeys(KINDS, FALLING)])))
    assert heading.split() == ["damage", "none", *map(str, SEVERITIES[:-1]), "1", "noticed", "SRCC"]
    assert len(rows) == len(KINDS) and rows[0].split() == [
        "jpeg",
        "5.00",
        "4.00",
        "3.00",
        "2.00",
        "1.00",
        "100%",
        "1.00",
    ]


def told(*arguments):
    return python_m("model.sensitivity", *arguments)


@pytest.mark.slow
def test_nano_notices_blur_and_sees_the_undamaged_image_alike_in_each_kind(tmp_path):
    with Image.open(Path(__file__).parents[1] / "images" / "forest_pristine.jpg") as image:
        image.resize((256, 192)).save(tmp_path / "forest.png")
    found = json.loads(told(tmp_path, "--format", "json").stdout)
    scores = {row["kind"]: row["scores"] for row in found["damage"]}
    assert found["images"] == 1 and list(scores) == list(KINDS)
    assert len({whole for whole, *_ in scores.values()}) == 1
    assert scores["gaussian_blur"][-1] < scores["gaussian_blur"][0] - 0.5


@pytest.mark.slow
def test_an_unreadable_image_is_named(tmp_path):
    missing = told(tmp_path / "absent.png")
    assert missing.returncode == 2 and "absent.png: no such file" in missing.stderr
    (tmp_path / "notes.txt").write_text("not an image")
    text = told(tmp_path / "notes.txt")
    assert text.returncode == 2 and "notes.txt: not an image" in text.stderr
