"""Which images `python -m model.score` lists, and in which order."""

import csv
import io
import json
from contextlib import redirect_stdout

import pytest

from model.score import main
from model.scoring.assessment import Failure
from model.scoring.selection import Top, select
from tests.app.examples import assessment
from tests.programs import ROOT

IMAGES = [ROOT / "tests" / "images" / name for name in ("lake_blurred.jpg", "lake_pristine.jpg", "dunes_noisy.jpg")]
BROKEN = Failure("b.jpg", "not an image")
RESULTS = [assessment(2.0, image="poor"), BROKEN, assessment(4.0, image="good"), assessment(3.0, image="fair")]


def listed(**options):
    return [found.image for found in select(RESULTS, **options)]


def test_images_are_chosen_by_score_and_every_failure_is_kept():
    assert listed() == ["poor", "b.jpg", "good", "fair"]
    assert listed(least=3.0) == ["b.jpg", "good", "fair"]
    assert listed(ordered=True) == ["b.jpg", "good", "fair", "poor"]
    assert listed(top=Top.parse("1")) == ["b.jpg", "good"]
    assert listed(top=Top.parse("50%"), least=3.5) == ["b.jpg", "good"]


def test_without_an_order_nothing_waits_for_the_last_image():
    def endless():
        while True:
            yield from RESULTS

    assert next(select(endless(), least=3.5)) == BROKEN


@pytest.mark.parametrize(("text", "total", "count"), [("10%", 30, 3), ("10 %", 31, 4), ("100%", 7, 7), ("5", 3, 3)])
def test_a_share_is_rounded_up(text, total, count):
    assert Top.parse(text).of(total) == count


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-3", "ten", "1.5", ""])
def test_what_is_neither_a_number_nor_a_share_is_refused(text):
    with pytest.raises(ValueError):
        Top.parse(text)
    with pytest.raises(SystemExit, match="2"):
        main(["--top", text, "a.jpg"])


def output(*options):
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([*map(str, IMAGES), "--device", "cpu", *options]) == 0
    return out.getvalue()


def test_the_command_sorts_and_prints_percentile_and_range():
    rows = [json.loads(line) for line in output("--sort", "--percentile", "--format", "json").splitlines()]
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row in rows:
        assert 0 <= row["percentile"] <= 100 and row["range"][0] <= row["score"] <= row["range"][1]
    (best,) = csv.DictReader(output("--top", "1", "--percentile", "--format", "csv").splitlines())
    assert best["image"] == rows[0]["image"] and float(best["percentile"]) == rows[0]["percentile"]
    head, line = output("--top", "10%", "--percentile").splitlines()
    assert head.split() == ["score", "token", "prob.", "percentile", "range", "image"] and rows[0]["image"] in line


def test_a_model_without_reference_photographs_is_refused_before_it_is_loaded(capsys):
    assert main([str(IMAGES[0]), "--model", "one-align", "--percentile"]) == 2
    assert "no percentiles of 'one-align'" in capsys.readouterr().err
