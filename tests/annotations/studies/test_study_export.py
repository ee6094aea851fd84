"""A study as files: read by the programs that they are for, and restored whole."""

import csv
import json
import sqlite3
import zipfile

import pytest
from sureal.dataset_reader import RawDatasetReader
from sureal.subjective_model import SubjectMLEModelProjectionSolver
from sureal.tools.misc import import_json_file

from annotations.export import main as export_main
from annotations.studies.archive import TABLES
from annotations.studies.report import make_report
from annotations.studies.study import Study
from annotations.study import main as study_main
from model.datasets.labels_csv import read_labels
from model.datasets.published import read_published
from tests.annotations.studies.conftest import TEST_IMAGES


@pytest.fixture
def export(rated_once, run, tmp_path):
    def export(kind: str, name: str):
        out = tmp_path / name
        run(export_main, "rated", "--format", kind, "--data-dir", rated_once.data_dir, "--out", out)
        return out

    return export


def test_the_csv_serves_as_labels(rated_once, export):
    labels = read_labels(export("csv", "mos.csv"), rated_once.data_dir / "images")
    figures = {image.sha256: image for image in make_report(rated_once.data_dir, "rated").images}
    assert len(labels) == TEST_IMAGES
    for label in labels:
        one = figures[label.image.stem]
        assert (label.mos, label.std, label.n) == (pytest.approx(one.mos), pytest.approx(one.std, abs=1e-5), one.n)


def test_every_rating_is_listed_with_its_reason(rated_once, export):
    rows = list(csv.DictReader(export("ratings", "ratings.csv").read_text().splitlines()))
    connection = sqlite3.connect(rated_once.data_dir / "annotations.db")
    assert len(rows) == connection.execute("SELECT count(*) FROM ratings").fetchone()[0]
    connection.close()
    assert sum(row["left_out"] == "" for row in rows) == make_report(rated_once.data_dir, "rated").used
    assert {row["rater"] for row in rows} >= {"'=Gus", "Ann"}


def test_the_reader_of_koniq_reads_its_table(rated_once, export, tmp_path):
    table = export("koniq", "koniq10k_scores_and_distributions.csv")
    (tmp_path / "images").mkdir()
    report = make_report(rated_once.data_dir, "rated")
    for image in report.images:
        (tmp_path / "images" / image.name).touch()
    read = {one.image.name: one for one in read_published(table.parent)}
    assert len(read) == TEST_IMAGES
    for image in report.images:
        assert (read[image.name].mos, read[image.name].n) == (pytest.approx(image.mos, abs=1e-5), image.n)


def test_sureal_recovers_the_same_mos_from_its_file(rated_once, export):
    dataset = import_json_file(str(export("sureal-json", "study.json")))
    found = SubjectMLEModelProjectionSolver(RawDatasetReader(dataset)).run_modeling()
    mine = {image.name: image.recovered for image in make_report(rated_once.data_dir, "rated").images}
    for video, score in zip(dataset.dis_videos, found["quality_scores"], strict=True):
        assert score == pytest.approx(mine[video["path"]], abs=1e-4)


def rows(study: Study) -> dict:
    connection = sqlite3.connect(study.data_dir / "annotations.db")
    found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in [*TABLES, "places"]}
    connection.close()
    for table in ("studies", "study_versions", "study_states"):
        found[table] = [
            line for line in found[table] if line[0] != 1
        ]  # of the ready-made study, which is not in the archive
    return {table: sorted(lines, key=repr) for table, lines in found.items()}


def test_the_zip_is_restored_with_every_event_and_the_study_goes_on(rated_once, export, run, tmp_path):
    archive = export("zip", "rated.zip")
    assert "restored" in run(study_main, "restore", archive, "--data-dir", tmp_path / "empty")
    restored = Study(tmp_path / "empty", "rated")
    assert rows(restored) == rows(rated_once)
    assert make_report(restored.data_dir, "rated") == make_report(rated_once.data_dir, "rated")
    images = sorted(path.name for path in (restored.data_dir / "images").rglob("*.*"))
    assert images == sorted(path.name for path in (rated_once.data_dir / "images").rglob("*.*"))
    showing = restored.show_next("Zoe", browser="z")
    assert restored.image_path(showing.sha256).is_file() and restored.rate(showing.key, 3, browser="z")
    assert "holds ratings or studies" in run(study_main, "restore", archive, "--data-dir", tmp_path / "empty", code=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.pop("tables/ratings.jsonl"), "is not a study's archive"),
        (lambda files: files.update({"tables/raters.jsonl": b""}), "holds rows that contradict each other"),
        (lambda files: files.update({"tables/raters.jsonl": b"{"}), "is not a study's archive"),
        (lambda files: files.update({"tables/raters.jsonl": b'{"id": 1}\n'}), "has other columns in raters"),
        (lambda files: files.update({next(n for n in files if n[:6] == "images"): b"another"}), "is not the image"),
        (None, "is not a study's archive"),
    ],
)
def test_an_archive_that_was_changed_is_refused_and_restores_nothing(export, run, tmp_path, change, said):
    archive = export("zip", "rated.zip")
    with zipfile.ZipFile(archive) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    if change:
        change(files)
        with zipfile.ZipFile(archive, "w") as changed:
            for name, data in files.items():
                changed.writestr(name, data)
    else:
        archive.write_bytes(b"no archive")
    assert said in run(study_main, "restore", archive, "--data-dir", tmp_path / "empty", code=2)
    assert "no studies" in run(study_main, "status", "--data-dir", tmp_path / "empty", code=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "no study named 'nope'"),
        (["--format", "koniq"], "is for a study"),
        (["rated", "--format", "zip"], "name a file with --out"),
        (["rated", "--include-revealed"], "leave out --include-revealed"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(rated_once, run, arguments, said):
    assert said in run(export_main, *arguments, "--data-dir", rated_once.data_dir, code=2)


def test_a_continuous_study_has_no_distribution_of_five_and_an_empty_one_no_mos(make_study, go_through, run):
    study = make_study(2, "scale: continuous\nrepeats: 0\n")
    assert "has no ratings that are used" in run(export_main, "one", "--data-dir", study.data_dir, code=2)
    go_through(study, "Ann", value=lambda showing: 41.5)
    assert "on another scale" in run(export_main, "one", "--format", "koniq", "--data-dir", study.data_dir, code=2)
    table = list(csv.DictReader(run(export_main, "one", "--data-dir", study.data_dir).splitlines()))
    assert [(float(row["mos"]), row["std"], row["n"]) for row in table] == [(41.5, "", "1")] * 2
    whole = json.loads(run(study_main, "report", "one", "--format", "json", "--data-dir", study.data_dir))
    assert whole["scale"] == [0, 100]
