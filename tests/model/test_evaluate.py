"""The evaluate command: labels in, one JSON object out, and a sentence for everything that is wrong with them."""

import functools
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from model import evaluate as module
from model.assessment import Failure
from model.errors import DataError, ImageError, ModelLoadError
from model.evaluate import Label, evaluate, read_labels, raw_rmse
from model.images import open_image
from tests.bad_images import picture


class BrightnessScorer:
    """Stands in for a model: the brighter, the better."""

    name, revision, readout, scale = "brightness", "1", "score_token", (0.0, 255.0)

    def assess_files(self, paths, batch_size=8):
        for path in paths:
            try:
                yield SimpleNamespace(score=float(open_image(path).convert("L").resize((1, 1)).getpixel((0, 0))))
            except ImageError as error:
                yield Failure(str(path), str(error))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(module, "figures", functools.partial(module.figures, resamples=50))


@pytest.fixture
def gallery(tmp_path):
    """12 ever brighter pictures with rising MOS 1.0 .. 3.2, and their labels.csv."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = ["image,mos,std"]
    for i in range(12):
        picture(48, 48).point(lambda value, gain=0.3 + i / 20: round(value * gain)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{1 + i / 5},0.4")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(lines) + "\n")
    return SimpleNamespace(folder=folder, labels=labels)


@pytest.fixture
def command(gallery, capsys, monkeypatch):
    """Runs the command on the gallery with the brightness scorer; returns exit status, stdout and stderr."""
    asked = []

    def load_scorer(spec, device="auto", dtype="auto", adapters=None, progress=None):
        asked.append((spec, device, dtype, adapters))
        if spec != "brightness":
            raise ModelLoadError(f"there is no model '{spec}'")
        return BrightnessScorer()

    monkeypatch.setitem(sys.modules, "model.scorer", SimpleNamespace(load_scorer=load_scorer))

    def run(*more, model="brightness"):
        status = module.main(
            ["--model", model, "--images", str(gallery.folder), "--labels", str(gallery.labels), *more]
        )
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
    for name in ("srcc", "plcc", "srcc_fitted", "plcc_fitted", "krcc", "rmse"):
        low, high = report["intervals"][name]
        assert low - 1e-9 <= report[name] <= high + 1e-9
    assert report["unreadable"] == []


def test_options_reach_the_scorer(command, tmp_path, monkeypatch):
    monkeypatch.setenv("QSCORER_DATA", str(tmp_path))
    ran = command("--device", "cpu", "--dtype", "float32")
    assert ran.asked == [("brightness", "cpu", "float32", tmp_path / "adapters")]


def test_unreadable_and_absent_pictures_are_listed_and_the_rest_is_evaluated(command, gallery):
    (gallery.folder / "3.png").write_bytes(b"no picture at all")
    (gallery.folder / "7.png").unlink()
    ran = command()
    report = json.loads(ran.out)
    assert (ran.status, report["n"], report["srcc"]) == (1, 10, pytest.approx(1))
    assert report["unreadable"] == [
        {"image": "3.png", "error": "not an image: the file holds text"},
        {"image": "7.png", "error": "cannot be read: no such file or directory"},
    ]


def test_a_name_that_no_file_can_have_is_listed_and_stops_nothing(gallery):
    labels = read_labels(gallery.labels) + [
        Label("x" * 5000, 1.0),
        Label("nul\0.png", 1.0),
        Label("no/such/folder.png", 1.0),
    ]
    report = evaluate(BrightnessScorer(), gallery.folder, labels)
    assert (report["n"], len(report["unreadable"])) == (12, 3)
    assert all(entry["error"].startswith("cannot be read: ") for entry in report["unreadable"])


def test_nothing_readable_gives_nulls_and_not_a_crash(command, gallery):
    for path in gallery.folder.iterdir():
        path.unlink()
    ran = command()
    report = json.loads(ran.out)
    assert (ran.status, report["n"], report["srcc"], report["mos_range"], len(report["unreadable"])) == (
        1,
        0,
        None,
        None,
        12,
    )


def test_what_cannot_be_evaluated_is_one_sentence_and_status_2(command, gallery):
    ran = command(model="nonesuch")
    assert (ran.status, ran.out, ran.err) == (2, "", "error: there is no model 'nonesuch'\n")
    gallery.labels.write_text("image,score\n0.png,3\n")
    ran = command()
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1) and "no column 'mos'" in ran.err
    with pytest.raises(SystemExit, match="2"):
        command("--batch-size", "0")


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        evaluate(BrightnessScorer(), tmp_path / "absent", [Label("a.png", 3)])


def test_a_name_may_differ_from_its_file_in_case(gallery):
    (gallery.folder / "0.png").rename(gallery.folder / "0.PNG")
    report = evaluate(BrightnessScorer(), gallery.folder, read_labels(gallery.labels))
    assert (report["n"], report["unreadable"]) == (12, [])


def test_labels_are_read_whatever_the_case_order_and_company_of_their_columns(tmp_path):
    text = "STD,Mos , Image,remark\n.5,3.25,sub/a b.jpg,fine\n,-1e1,ü.png,\n\n"
    for encoding in ("utf-8", "utf-8-sig"):
        assert read_labels(labels_of(tmp_path, text, encoding)) == [Label("sub/a b.jpg", 3.25), Label("ü.png", -10.0)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column 'image'.*found: none"),
        ("picture,mos\na,1\n", "no column 'image'.*found: picture, mos"),
        ("image,std\na,1\n", "no column 'mos'"),
        ("image;mos\na;1\n", "no column 'image'"),
        ("image,mos\n", "no rows"),
        ("image,mos\na,1\nb,good\n", "line 3: the mos of b is good, not a number"),
        ("image,mos\na,nan\n", "line 2: the mos of a is nan, not a number"),
        ("image,mos\na\n", "line 2: the mos of a is empty"),
        ("image,mos\n,3\n", "line 2: no image is named"),
        ("image,mos\na,1\nb,2\na,3\n", "line 4: a was given on line 2 already"),
    ],
)
def test_labels_that_cannot_be_used_are_named_with_their_line(tmp_path, text, sentence):
    with pytest.raises(DataError, match=sentence):
        read_labels(labels_of(tmp_path, text))


def test_a_labels_file_that_is_absent_or_no_text_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="absent.csv cannot be read: no such file"):
        read_labels(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="not a CSV file in UTF-8"):
        read_labels(labels_of(tmp_path, "image,mos\nü.png,1\n", "latin-1"))


def test_a_misspelt_labels_file_is_told_without_loading_torch():
    lines = "import sys; from model.evaluate import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    run = [sys.executable, "-c", lines, "--images", ".", "--labels", "absent.csv"]
    ended = subprocess.run(run, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n" and ended.stderr.startswith("error: absent.csv cannot be read")


def test_rmse_without_a_fit_is_there_when_labels_and_scores_share_a_scale():
    assert raw_rmse([2.0, 4.0], [3.0, 3.0], (1, 5)) == pytest.approx(1)
    assert raw_rmse([2.0, 4.0], [30.0, 70.0], (1, 5)) is None and raw_rmse([], [], (1, 5)) is None
