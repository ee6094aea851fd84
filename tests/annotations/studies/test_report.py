"""What becomes of a study's ratings, as its owner sees it."""

import csv
import json
import sqlite3
import sys

import pytest

from annotations import AnnotationError, ShownScore, open_annotations
from annotations.studies.report import make_report
from annotations.study import main
from tests.annotations.studies.conftest import TEST_IMAGES


def report(study):
    return make_report(study.data_dir, study.name)


@pytest.fixture
def command(monkeypatch, capsys):
    def run(study, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["study", *arguments, "--data-dir", str(study.data_dir)])
        assert main() == 0
        return capsys.readouterr().out

    return run


def test_careless_raters_are_refused_and_the_mos_is_of_the_others(rated_once):
    found = report(rated_once)
    refused = {one.rater: one.refused for one in found.by_rater if one.refused}
    assert set(refused) == {"=Gus", "Hal"}
    assert refused["=Gus"] == "missed a trapping image" and found.accepted == 6
    assert {one.left_out for one in found.left_out if one.rater == "=Gus"} == {"missed a trapping image"}
    assert found.ratings == 8 * TEST_IMAGES and found.used + len(found.left_out) == found.ratings
    assert [image.name for image in found.images] == sorted(f"{n}.jpg" for n in range(TEST_IMAGES))
    mos = {int(image.name[:-4]): image.mos for image in found.images}
    assert mos[0] < mos[4] < mos[8] < mos[11] and all(image.n >= 5 for image in found.images)
    assert all(image.low < image.mos < image.high for image in found.images if image.std)


def test_the_figures_of_the_whole_study(rated_once):
    found = report(rated_once)
    assert 0.5 < found.alpha < 1 and 0.5 < found.components.icc_one < found.components.icc_mean < 1
    assert found.halves.interval[0] <= found.halves.srcc <= found.halves.interval[1] and found.halves.srcc > 0.8
    assert 0 < found.sos < 0.3 and found.needed > 2
    assert found.retest.n >= 6 and found.retest.rms < 2
    ann = next(one for one in found.by_rater if one.rater == "Ann")
    assert (ann.ratings, ann.gold, ann.traps, ann.seconds) == (TEST_IMAGES, "1/1", "1/1", 2.5)


def test_the_owner_puts_a_rater_back_and_leaves_out_another_and_every_decision_is_kept(rated, command):
    before = report(rated)
    assert "used" in command(rated, "use", "rated", "=gus", "--reason", "misread the trap")
    assert "left out" in command(rated, "leave-out", "rated", "Ann", "--reason", "was asked to stop")
    after = {one.rater: one for one in report(rated).by_rater}
    assert (after["=Gus"].refused, after["Ann"].refused) == (None, "the owner: was asked to stop")
    assert after["=Gus"].used >= TEST_IMAGES - 2 and after["Ann"].used == 0
    command(rated, "use", "rated", "Ann", "--reason", "it was a mistake")
    command(rated, "leave-out", "rated", "=Gus", "--reason", "it was no mistake")
    assert report(rated).images == before.images
    connection = sqlite3.connect(rated.data_dir / "annotations.db")
    assert connection.execute("SELECT count(*) FROM decisions").fetchone() == (4,)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM decisions")
    connection.close()


def test_a_single_rating_is_left_out_and_put_back(rated, command):
    rows = list(csv.DictReader(command(rated, "report", "rated", "--format", "left-out").splitlines()))
    one = next(row for row in rows if row["rater"] == "Hal")
    assert one["left_out"].startswith("rates nearly all images alike")
    command(rated, "use", "rated", "Hal", "--rating", one["rating"], "--reason", "why not")
    assert {row.rater: row.used for row in report(rated).by_rater}["Hal"] == 1
    command(rated, "leave-out", "rated", "Hal", "--rating", one["rating"], "--reason", "no")
    assert {row.rater: row.used for row in report(rated).by_rater}["Hal"] == 0


@pytest.mark.parametrize(
    ("who", "said"), [({"rater": "Zoe"}, "has rated nothing"), ({"rater": "Ann", "rating": 10**6}, "no rating 1000000")]
)
def test_no_decision_about_what_is_not_there(rated_once, who, said):
    with pytest.raises(AnnotationError, match=said):
        rated_once.decide(used=True, reason="?", **who)


def test_the_report_in_words_as_json_and_as_tables(rated_once, command):
    words = command(rated_once, "report", "rated")
    assert "raters                   8, accepted 6" in words and "refused: =Gus: missed a trapping image" in words
    whole = json.loads(command(rated_once, "report", "rated", "--format", "json"))
    assert whole["alpha"] == report(rated_once).alpha and len(whole["images"]) == TEST_IMAGES
    raters = list(csv.DictReader(command(rated_once, "report", "rated", "--format", "raters").splitlines()))
    assert [row["rater"] for row in raters][-2:] == ["'=Gus", "Hal"]  # no spreadsheet computes it
    images = list(csv.DictReader(command(rated_once, "report", "rated", "--format", "images").splitlines()))
    assert float(images[0]["mos"]) == pytest.approx(report(rated_once).images[0].mos, abs=1e-5)


def test_with_nobody_and_with_one_rating_there_are_no_figures_and_no_failure(make_study, go_through, command):
    study = make_study(3, "repeats: 0\n")
    assert report(study).alpha is None and report(study).images[0].mos is None
    assert "too few ratings" in command(study, "report", "one")
    go_through(study, "Ann", most=1)
    found = report(study)
    assert (found.used, found.needed, found.halves, found.components, found.retest) == (1, None, None, None, None)
    json.loads(command(study, "report", "one", "--format", "json"))


def test_what_was_undone_does_not_count_and_what_followed_the_score_does_not_replace(make_study, go_through):
    study = make_study(2, "repeats: 0\n")
    (first,) = go_through(study, "Ann", most=1)
    again = study.undo("Ann", browser="Ann")
    study.rate(again.key, 5, browser="Ann")
    assert [one.mos for one in report(study).images if one.n] == [5]
    score = ShownScore("nano", "r1", 1.0, (1.0, 5.0))
    open_annotations(study.data_dir).note_exposures([(first.sha256, score)], place="score", browser="Ann")
    study.rate(study.undo("Ann", browser="Ann").key, 1, browser="Ann")
    assert [one.mos for one in report(study).images if one.n] == [5]
