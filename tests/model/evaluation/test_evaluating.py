"""The evaluate command: labels in, one JSON object out, and a sentence for everything that is wrong with them."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest

from model import evaluate as module
from model.common.errors import DataError, ImageError, ModelLoadError
from model.common.scale import Scale
from model.datasets.labels_csv import read_labels
from model.datasets.rated import RatedImage
from model.evaluation.evaluating import evaluate, raw_rmse
from model.images.decoding import open_image
from model.scoring.assessment import Failure
from tests.bad_images import sample_image
from tests.model import published_sets


class BrightnessScorer:
    """Stands in for a model: the brighter, the better."""

    name, revision, readout, scale = "brightness", "1", "score_token", Scale(0.0, 255.0)

    def assess_files(self, paths, batch_size=8):
        for path in paths:
            try:
                yield SimpleNamespace(score=float(open_image(path).convert("L").resize((1, 1)).getpixel((0, 0))))
            except ImageError as error:
                yield Failure(str(path), str(error))


class DarknessScorer(BrightnessScorer):
    """The darker, the better; image 5 is beyond it."""

    name = "darkness"

    def assess_files(self, paths, batch_size=8):
        for path, result in zip(paths, super().assess_files(paths, batch_size), strict=True):
            if path.name == "5.png":
                result = Failure(str(path), "too much for it")
            yield result if isinstance(result, Failure) else SimpleNamespace(score=255 - result.score)


SCORERS = {"brightness": BrightnessScorer, "darkness": DarknessScorer}


@pytest.fixture
def gallery(tmp_path):
    """12 ever brighter images with rising MOS 1.0 .. 3.2, and their labels.csv."""
    folder = tmp_path / "images"
    folder.mkdir()
    lines = ["image,mos,std"]
    for i in range(12):
        sample_image(48, 48).point(lambda value, gain=0.3 + i / 20: round(value * gain)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{1 + i / 5},0.4")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(lines) + "\n")
    return SimpleNamespace(folder=folder, labels=labels)


@pytest.fixture
def command(gallery, capsys, monkeypatch):
    """Runs the command on the gallery with the brightness scorer; returns exit status, stdout and stderr."""
    asked = []

    def check_spec(spec, adapters):
        if spec not in SCORERS:
            raise ModelLoadError(f"there is no model '{spec}'")

    def load_scorer(spec, device="auto", dtype="auto", adapters=None, progress=None):
        asked.append((spec, device, dtype, adapters))
        return SCORERS[spec]()

    monkeypatch.setattr(module, "check_spec", check_spec)
    monkeypatch.setitem(
        sys.modules, "model.scoring.scorer", SimpleNamespace(load_scorer=load_scorer, choose_device=lambda word: "cpu")
    )

    def run(*more, model="brightness", data=None):
        labels = ["--images", str(gallery.folder), "--labels", str(gallery.labels)]
        status = module.main(["--model", model, *(["--data", str(data)] if data else labels), *more])
        captured = capsys.readouterr()
        return SimpleNamespace(status=status, out=captured.out, err=captured.err, asked=asked)

    return run


def labels_of(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_the_command_prints_one_json_object_with_all_figures(command):
    ran = command()
    report = json.loads(ran.out)
    assert ran.status == 0 and ran.out.count("\n") == 1 and "scoring" in ran.err
    assert (report["model"], report["revision"], report["scale"]) == ("brightness", "1", [0, 255])
    assert (report["n"], report["mos_range"]) == (12, [1, 3.2])
    assert (report["srcc"], report["krcc"]) == pytest.approx((1, 1))
    for name in ("srcc", "plcc", "srcc_fitted", "plcc_fitted", "krcc", "krcc_fitted", "rmse"):
        low, high = report["intervals"][name]
        assert low - 1e-9 <= report[name] <= high + 1e-9
    assert report["unreadable"] == []


def test_options_reach_the_scorer(command, tmp_path, monkeypatch):
    monkeypatch.setenv("QSCORER_DATA", str(tmp_path))
    ran = command("--device", "cpu", "--dtype", "float32")
    assert ran.asked == [("brightness", "cpu", "float32", tmp_path / "adapters")]


def test_unreadable_and_absent_images_are_listed_and_the_rest_is_evaluated(command, gallery):
    (gallery.folder / "3.png").write_bytes(b"no image at all")
    (gallery.folder / "7.png").unlink()
    ran = command()
    report = json.loads(ran.out)
    assert (ran.status, report["n"], report["srcc"]) == (1, 10, pytest.approx(1))
    assert report["unreadable"] == [
        {"image": "3.png", "error": "not an image: the file holds text"},
        {"image": "7.png", "error": "cannot be read: no such file or directory"},
    ]


def test_a_name_that_no_file_can_have_is_listed_and_stops_nothing(gallery):
    gallery.labels.write_text(gallery.labels.read_text() + "x" * 5000 + ",1.0,0.1\nno/such/folder.png,1.0,0.1\n")
    rated = read_labels(gallery.labels, gallery.folder) + [RatedImage(Path("nul\0.png"), 1.0, 0.1, None, None)]
    report = evaluate(BrightnessScorer(), rated).report
    assert (report["n"], len(report["unreadable"])) == (12, 3)
    assert all(entry["error"].startswith("cannot be read: ") for entry in report["unreadable"])


def test_nothing_readable_gives_nulls_and_not_a_crash(command, gallery):
    for path in gallery.folder.iterdir():
        path.write_bytes(b"no image")
    ran = command()
    report = json.loads(ran.out)
    assert (ran.status, report["n"], report["srcc"], report["mos_range"], len(report["unreadable"])) == (
        2,
        0,
        None,
        None,
        12,
    )


def test_what_cannot_be_evaluated_is_one_sentence_and_status_2(command, gallery):
    ran = command(model="nonesuch")
    assert (ran.status, ran.out, ran.err) == (2, "", "error: there is no model 'nonesuch'\n")
    ran = command("--against", "nonesuch")
    assert (ran.status, ran.asked) == (2, [])  # told before the first model is loaded
    gallery.labels.write_text("image,score\n0.png,3\n")
    ran = command()
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1) and "no column 'mos'" in ran.err
    with pytest.raises(SystemExit, match="2"):
        command("--batch-size", "0")


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        read_labels(labels_of(tmp_path, "image,mos\na.png,3\n"), tmp_path / "absent")
    with pytest.raises(DataError, match="no labels"):
        evaluate(BrightnessScorer(), [])


def test_a_name_may_differ_from_its_file_in_case(gallery):
    (gallery.folder / "0.png").rename(gallery.folder / "0.PNG")
    report = evaluate(BrightnessScorer(), read_labels(gallery.labels, gallery.folder)).report
    assert (report["n"], report["unreadable"]) == (12, [])


def test_a_name_may_write_its_accents_in_another_way_than_its_file(tmp_path):
    (tmp_path / unicodedata.normalize("NFD", "é.png")).write_bytes(b"")
    (found,) = read_labels(labels_of(tmp_path, "image,mos\né.png,3\n"), tmp_path)
    assert found.image.exists()


def test_labels_are_read_whatever_the_case_order_and_company_of_their_columns(tmp_path):
    text = "STD,Mos , Image,remark,N\n.5,3.25,sub/a b.jpg,fine,12\n,-1e1,ü.png,,\n\n"
    for encoding in ("utf-8", "utf-8-sig"):
        assert read_labels(labels_of(tmp_path, text, encoding), tmp_path) == [
            RatedImage(tmp_path / "sub/a b.jpg", 3.25, 0.5, 12, None, "labels"),
            RatedImage(tmp_path / "ü.png", -10.0, None, None, None, "labels"),
        ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column 'image'.*found: none"),
        ("photo,mos\na,1\n", "no column 'image'.*found: photo, mos"),
        ("image,std\na,1\n", "no column 'mos'"),
        ("image|mos\na|1\n", "no column 'image'"),
        ("image;mos\na;1.234,5\n", "line 2: the mos of a is 1.234,5, not a number"),
        ("sep=;\nimage,mos\na,1\n", "no column 'image'"),
        ("image,mos\n", "no rows"),
        ("image,mos\na,1\nb,good\n", "line 3: the mos of b is good, not a number"),
        ("image,mos\na,nan\n", "line 2: the mos of a is nan, not a number"),
        ("image,mos\na\n", "line 2: the mos of a is empty"),
        ("image,mos\n,3\n", "line 2: no image is named"),
        ("image,mos\na,1\nb,2\na,3\n", "line 4: a was given on line 2 already"),
        ("image,mos,std\na,1,-1\n", "line 2: a has a negative std"),
        ("image,mos,n\na,1,many\n", "line 2: the n of a is many, not a number"),
        ("image,mos,n\na,1,2.7\n", "line 2: the n of a is 2.7, and must be a whole number"),
        ("image,mos\na,4,5\n", "line 2: there are more cells than the 2 columns: write 4.5 with a point"),
        ("image,mos,mos\na,4,5\n", "two columns 'mos'"),
    ],
)
def test_labels_that_cannot_be_used_are_named_with_their_line(tmp_path, text, sentence):
    with pytest.raises(DataError, match=sentence):
        read_labels(labels_of(tmp_path, text), tmp_path)


def test_a_labels_file_that_is_absent_or_no_text_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="absent.csv cannot be read: no such file"):
        read_labels(tmp_path / "absent.csv", tmp_path)
    with pytest.raises(DataError, match="not a CSV file in UTF-8"):
        read_labels(labels_of(tmp_path, "image,mos\nü.png,1\n", "latin-1"), tmp_path)
    with pytest.raises(DataError, match="the mos of a is 77, outside of the scale 1 to 5"):
        read_labels(labels_of(tmp_path, "image,mos\na,77\n"), tmp_path, (1, 5))


@pytest.mark.parametrize(
    ("program", "given", "error"),
    [
        ("evaluate", ["--images", ".", "--labels", "absent.csv"], "absent.csv cannot be read"),
        ("score", ["--model", "nanoo", "labels.csv"], "there is no model 'nanoo'"),
    ],
)
def test_a_misspelt_file_or_model_is_told_without_loading_torch_or_what_is_optional(tmp_path, program, given, error):
    labels_of(tmp_path, "image,mos\nlabels.csv,3\n")
    unwanted = "{'torch', 'pyiqa', 'openpyxl', 'plotly'}"
    lines = f"import sys; from model.{program} import main; main(sys.argv[1:]); print({unwanted} & set(sys.modules) != set())"
    run, home = [sys.executable, "-c", lines, *given], {**os.environ, "PYTHONPATH": str(Path.cwd())}
    ended = subprocess.run(run, capture_output=True, text=True, check=True, cwd=tmp_path, env=home)
    assert ended.stdout == "False\n" and ended.stderr.startswith(f"error: {error}")


def rated(mos, scale):
    return [RatedImage(Path("a.png"), value, None, None, scale) for value in mos]


def test_rmse_without_a_fit_is_in_units_of_the_labels():
    for scale in (None, Scale(1, 5)):
        assert raw_rmse([2.0, 4.0], rated([3.0, 3.0], scale), Scale(1, 5)) == pytest.approx(1)
    assert raw_rmse([2.0, 4.0], rated([50.0, 50.0], Scale(0, 100)), Scale(1, 5)) == pytest.approx(25)
    assert raw_rmse([2.0, 4.0], rated([3.0, 3.0], Scale(0, 100)), Scale(1, 5)) > 40  # on 0 to 100, though within 1 to 5


def test_rmse_without_a_fit_is_null_where_scales_are_not_known():
    assert raw_rmse([2.0, 4.0], rated([30.0, 70.0], None), Scale(1, 5)) is None
    assert raw_rmse([], [], Scale(1, 5)) is None and raw_rmse([2.0], rated([3.0], (1, 5)), None) is None
    assert raw_rmse([2.0, 2.0], rated([3.0], (1, 5)) + rated([3.0], (0, 5)), Scale(1, 5)) is None


def test_a_published_set_is_evaluated_on_its_test_split_with_what_is_known_of_it(command, tmp_path):
    report = json.loads(command(data=published_sets.koniq(tmp_path / "koniq")).out)
    assert (report["dataset"], report["split"], report["label_scale"], report["n"]) == ("KonIQ-10k", "test", [1, 5], 2)
    ran = command("--split", "all", data=tmp_path / "koniq")
    assert json.loads(ran.out)["n"] == 5 and json.loads(ran.out)["split"] == "test + training + validation"
    ran = command("--split", "test", data=published_sets.spaq(tmp_path / "spaq"))
    assert (ran.status, ran.err) == (
        2,
        "error: the data set has no split 'test' (it has: none): choose another or 'all'\n",
    )


def test_parts_and_images_without_near_duplicates_have_figures_of_their_own(command, tmp_path):
    report = json.loads(command("--split", "all", data=published_sets.kadid(tmp_path / "kadid")).out)
    assert {part: found["n"] for part, found in report["parts"].items()} == {"01": 3, "03": 2}
    assert all(found["rmse_raw"] > 0 for found in report["parts"].values())
    assert "intervals" not in report["parts"]["01"] and "without_near_duplicates" not in report
    report = json.loads(command(data=published_sets.biq2021(tmp_path / "biq")).out)
    assert report["without_near_duplicates"]["rmse_raw"] > 0
    assert (report["n"], report["without_near_duplicates"]["n"]) == (2, 1)  # ss01 (151) is one that has a twin


def test_std_tells_how_many_raters_the_scorer_is_worth(command, gallery):
    assert json.loads(command().out)["raters"]["one_rater_plcc"] == pytest.approx(0.865, abs=0.005)
    gallery.labels.write_text(gallery.labels.read_text().replace(",0.4", ",9"))
    assert json.loads(command().out)["raters"]["std"] == 9
    gallery.labels.write_text("image,mos\n" + "".join(f"{n}.png,{1 + n / 5}\n" for n in range(12)))
    assert "raters" not in json.loads(command().out)


def test_a_scorer_that_ranks_backwards_is_worth_no_raters(command):
    found = json.loads(command(model="darkness").out)["raters"]
    assert (found["by_correlation"], found["by_error"]) == (0, 0) and "equivalent to 0 raters" in found["note"]


def test_two_systems_are_compared_on_the_images_that_both_could_read(command, gallery):
    (gallery.folder / "3.png").write_bytes(b"no image at all")
    ran = command("--against", "darkness")
    report = json.loads(ran.out)
    assert ran.status == 1 and [asked[0] for asked in ran.asked] == ["brightness", "darkness"]
    against = report["against"]
    assert (report["n"], against["n"], against["paired"]["n"]) == (11, 10, 10)
    assert (against["model"], against["srcc"]) == ("darkness", pytest.approx(-1))
    assert [entry["image"] for entry in against["unreadable"]] == ["3.png", "5.png"]
    assert against["paired"]["srcc"]["difference"] == pytest.approx(2)
    assert against["rmse_raw"] > 100  # the labels' scale is not known, and they lie in the scores' 0 to 255
    against = json.loads(command("--against", "darkness", "--scale", "1", "5").out)["against"]
    assert 4 > against["rmse_raw"] > against["rmse"]


def test_several_systems_are_compared_with_the_first(command, monkeypatch):
    def broken():
        raise ModelLoadError("its weights are gone")

    monkeypatch.setitem(SCORERS, "broken", broken)
    against = ("darkness", "broken", "brightness")
    ran = command(*(word for spec in against for word in ("--against", spec)))
    report = json.loads(ran.out)
    assert ran.status == 2 and ran.err.endswith("error: its weights are gone\n")
    systems = [report["against"], *report["more_against"]]
    assert [system["model"] for system in systems] == list(against)
    assert [system["paired"]["srcc"]["difference"] for system in systems if "paired" in system] == pytest.approx([2, 0])


def test_the_gallery_is_written_beside_the_report(command, tmp_path):
    ran = command("--gallery", str(tmp_path / "misses"))
    assert ran.status == 0 and f"gallery: {tmp_path / 'misses' / 'index.html'}" in ran.err
    assert json.loads(ran.out)["n"] == 12 and (tmp_path / "misses" / "index.html").is_file()


def test_a_gallery_that_cannot_be_written_is_told_before_anything_is_scored(command, gallery, tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (gallery.folder, tmp_path / "file", tmp_path / "file" / "below"):
        ran = command("--gallery", str(folder))
        assert (ran.status, ran.out, ran.asked) == (2, "", [])
    assert f"{tmp_path / 'file' / 'below'} cannot be written" in ran.err


def test_what_was_scored_is_printed_though_the_gallery_fails(command, gallery, monkeypatch):
    def full(*_):
        raise DataError("the disk is full")

    monkeypatch.setattr(module, "write_gallery", full)
    ran = command("--gallery", "misses")
    assert (ran.status, json.loads(ran.out)["n"]) == (2, 12) and "the disk is full" in ran.err


def test_what_was_scored_is_printed_though_the_second_model_cannot_be_loaded(command, tmp_path, monkeypatch):
    def broken():
        raise ModelLoadError("its weights are gone")

    monkeypatch.setitem(SCORERS, "broken", broken)
    ran = command("--against", "broken", "--gallery", str(tmp_path / "misses"))
    report = json.loads(ran.out)
    assert (ran.status, report["n"]) == (2, 12) and "error: its weights are gone" in ran.err
    assert report["against"] == {"model": "broken", "error": "its weights are gone"}
    assert "its weights are gone" in (tmp_path / "misses" / "index.html").read_text()


def test_a_labels_file_or_a_data_set_is_asked_for_and_not_both(command, gallery):
    for arguments in ([], ["--data", "a", "--labels", "b"]):
        with pytest.raises(SystemExit, match="2"):
            module.main(arguments)
    ran = command("--scale", "1", "5", data=gallery.labels)  # names start beside the file, where no image is
    assert (ran.status, ran.out, ran.asked) == (2, "", [])
    assert f"no image {gallery.labels.parent / '0.png'}, nor any of 11 others" in ran.err and "--images" in ran.err
    for wrong in (("5", "1"), ("3", "3"), ("nan", "5")):
        with pytest.raises(SystemExit, match="2"):
            command("--scale", *wrong)
    ran = command("--scale", "2", "5")
    assert (ran.status, "outside of the scale 2 to 5" in ran.err) == (2, True)
