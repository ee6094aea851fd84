"""The table of what fewer bits do to scores."""

import json

import pytest

from model import precision
from model.scoring.scorer import load_scorer
from tests.model.owl_fixtures import QALIGN, image_files


def lines(monkeypatch, capsys, *arguments) -> list[dict]:
    monkeypatch.setattr("sys.argv", ["precision", *map(str, arguments)])
    assert precision.main() == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_each_dtype_reports_its_difference_from_float32(monkeypatch, capsys):
    monkeypatch.setattr(precision, "DTYPES", ("float32", "bfloat16"))
    model, paths = str(QALIGN / "checkpoint_bin"), image_files(QALIGN)
    exact, half = lines(monkeypatch, capsys, "--model", model, *paths)
    assert exact["largest_difference"] == 0 and half["weights_mb"] == pytest.approx(exact["weights_mb"] / 2, abs=0.01)
    scores = [[a.score for a in load_scorer(model, dtype=d).assess_files(paths)] for d in ("float32", "bfloat16")]
    differences = [abs(a - b) for a, b in zip(*scores, strict=True)]
    assert max(differences) > 0 and half["largest_difference"] == pytest.approx(max(differences), abs=1e-6)


@pytest.mark.slow
def test_an_unsupported_dtype_is_reported_and_a_missing_image_ends_the_command(monkeypatch, capsys):
    monkeypatch.setattr(precision, "DTYPES", ("float32", "8bit"))
    last = lines(monkeypatch, capsys, *image_files(QALIGN))[1]
    assert last["dtype"] == "8bit" and "bfloat16" in last["error"]
    monkeypatch.setattr("sys.argv", ["precision", "no/such.png"])
    assert precision.main() == 2 and "no such file" in capsys.readouterr().err
