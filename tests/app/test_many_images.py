"""Many images through several models, without a browser."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from app import many_results
from app.errors import Refused
from app.known_scores import KnownScores
from app.many_images import Answers, Many, labels_of, reports, sorted_out
from model.common.errors import DataError
from model.common.scale import Scale
from tests.app.examples import assessment


@pytest.fixture
def upload(tmp_path):
    """Twelve files, each in a folder of its own as Gradio keeps them, and labels that rise with their number."""
    files = []
    for n in range(12):
        (tmp_path / str(n)).mkdir()
        files.append(tmp_path / str(n) / f"{n}.jpg")
        files[-1].write_bytes(b"an image")
    table = tmp_path / "labels.csv"
    table.write_text("image,mos,std\n" + "".join(f"{n}.jpg,{1 + n / 4},0.5\n" for n in range(12)))
    return files, table


def compared(files, labels, *directions):
    """Models of the names a, b, …: the n-th gives the images scores that rise (1) or fall (-1) with their number."""
    answers = []
    for name, direction in zip("abc", directions, strict=False):
        scores = {n: assessment(3 + direction * (n - 6) / 4) for n in range(len(files))}
        answers.append(Answers(name, name, "score_token", Scale(1, 5), scores, {}))
    return Many(files, [str(n) for n in range(len(files))], labels, 0, answers, stopped=False)


def test_labels_belong_to_the_images_of_their_names_and_to_no_other_file_of_this_machine(upload, tmp_path):
    files, table = upload
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"of this machine")
    table.write_text(f"image,mos\n0.jpg,1\n2.JPG,2\n{secret},3\n../labels.csv,3\nphotos/5.jpg,4\n")
    images, found = sorted_out([str(table), *map(str, files)])
    labels, unused = labels_of(images, found)
    assert {label.image: label.mos for label in labels if label} == {files[0]: 1, files[2]: 2, files[5]: 4}
    assert unused == 2


def test_labels_that_cannot_be_read_are_told_by_the_name_of_their_file(upload):
    files, table = upload
    table.write_text("image,score\n0.jpg,1\n")
    with pytest.raises(DataError, match="^labels.csv.*no column 'mos'"):
        labels_of(files, table)


def test_what_cannot_be_compared_is_one_sentence(upload, tmp_path):
    files, table = upload
    twin = tmp_path / "0.jpg"
    twin.write_bytes(b"another")
    for given, said in (
        ([table], "no images yet"),
        ([*files, twin, table], "Two images are called 0.jpg"),
        ([table, tmp_path / "b.csv", files[0]], "several CSV files"),
    ):
        with pytest.raises(Refused, match=said):
            sorted_out([str(path) for path in given])
    assert (
        len(sorted_out([str(path) for path in [*files, twin]])[0]) == 13
    )  # without labels no name has to be the only one


def test_each_model_is_measured_against_the_labels_and_the_verdict_names_the_better_one(upload):
    files, table = upload
    many = compared(files, labels_of(files, table)[0], 1, -1)
    first, second = reports(many)
    assert (first["srcc"], second["srcc"]) == pytest.approx((1, -1)) and first["n"] == 12
    assert "a ranks these 12 images better than b" in many_results.summary(many, [first, second])
    per_image, plots, rows = map(Path, many_results.files(many, [first, second]))
    with per_image.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [(row["image"], float(row["mos"]), float(row["a"])) for row in table][5] == ("5.jpg", 2.25, 2.75)
    assert plots.read_text().count("<circle") == 12 * 3 and r"a & 1.000" in rows.read_text()


def test_without_labels_models_are_compared_with_each_other(upload):
    files, _ = upload
    many = compared(files, [None] * 12, 1, -1, 1)
    assert reports(many) == []
    summary = many_results.summary(many, [])
    assert "Agreement with a on 12 images" in summary and "-1.000" in summary and "Give labels.csv" in summary
    assert [n for n, _ in many_results.disagreements(many, "a", "b")][:2] == [0, 11]
    assert many_results.disagreements(many, "a", "c") == []


def test_an_image_that_one_model_could_not_score_is_left_out_of_all_figures(upload):
    files, table = upload
    many = compared(files, labels_of(files, table)[0], 1, 1)
    answers = [
        many.answers[0],
        replace(many.answers[1], assessments={n: many.answers[1].assessments[n] for n in range(11)}),
    ]
    assert [report["n"] for report in reports(replace(many, answers=answers))] == [11, 11]


def test_the_same_bytes_are_known_under_any_name_for_the_same_weights_and_task():
    known = KnownScores()
    known.keep(assessment(3.5, image="a.jpg"), "quality", "0" * 64)
    found = known.get("renamed", "0" * 12, "quality", "0" * 64, "b.jpg")
    assert (found.score, found.image, found.model) == (3.5, "b.jpg", "renamed")
    for other in (("1" * 12, "quality", "0" * 64), ("0" * 12, "aesthetics", "0" * 64), ("0" * 12, "quality", "1" * 64)):
        assert known.get("nano", *other, "a.jpg") is None
