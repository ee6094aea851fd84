"""The simulation of raters, from a labelled folder to its table."""

import sys

import pytest

from model import adaptation
from tests.model.tiny import gallery

COUNT = 24


@pytest.fixture
def labels(tmp_path):
    """24 images of rising brightness, labelled as a rater who likes brightness would."""
    rated = gallery(tmp_path / "images", COUNT)
    lines = ["image,mos,std", *(f"{record.image.name},{record.mos},0.1" for record in rated)]
    (tmp_path / "images" / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "images" / "labels.csv"


def test_ratings_bring_scores_closer_and_anchors_are_watched(labels, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QSCORER_DATA", str(tmp_path / "data"))
    sets = ["--data", str(labels), "--anchors", str(labels), "--scale", "1", "5"]
    monkeypatch.setattr(sys, "argv", ["adaptation", *sets, "--draws", "2", "--device", "cpu"])
    assert adaptation.main() == 0
    head, before, *after = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["rated", "rung", "SRCC", "±", "PLCC", "RMSE", "anchors", "better"]
    assert before[:4] == ["0", "as", "it", "is"] and before[4] == before[-1], "all images are the anchors too"
    assert [row[:2] for row in after] == [["10", "recalibrate"], ["10", "head"]]
    assert all(float(row[5]) < float(before[-2]) for row in after), "the RMSE falls"


@pytest.mark.parametrize("wrong", [["--draws", "0"], ["--raters", "-1"]])
def test_no_draws_and_no_raters_are_refused(labels, monkeypatch, capsys, wrong):
    monkeypatch.setattr(sys, "argv", ["adaptation", "--data", str(labels), *wrong])
    assert adaptation.main() == 2
    assert "--raters and --draws must be at least 1" in capsys.readouterr().err
