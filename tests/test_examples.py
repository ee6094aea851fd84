"""The programs in examples/ run as their first line says."""

import csv

import pytest

from tests.programs import ROOT, python_m

pytestmark = pytest.mark.slow

IMAGES = sorted((ROOT / "tests" / "images").glob("*.jpg"))


def run(name: str, *arguments) -> str:
    ended = python_m(f"examples.{name}", *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_scoring(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    first, second = run("score_images", IMAGES[0], tmp_path / "broken.jpg").splitlines()
    assert " on 1 to 5" in first and "broken.jpg: not an image" in second


def test_a_backbone_of_ones_own():
    assert "score=" in run("toy_backbone", IMAGES[0])


@pytest.mark.slow
def test_fine_tuning(tmp_path):
    with (tmp_path / "labels.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([["image", "mos"], *([path.name, 1 + n % 5] for n, path in enumerate(IMAGES))])
    said = run("fine_tune", ROOT / "tests" / "images", tmp_path / "labels.csv", tmp_path / "mine")
    assert "srcc: " in said and "now scores" in said
