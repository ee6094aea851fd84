"""What python -m model.evaluate prints for people, and the files that it writes besides."""

import contextlib
import csv
import io
import json
import xml.etree.ElementTree as ET

import pytest

from model.common.scale import Scale
from model.evaluate import main
from model.evaluation.report import as_latex, as_table, number
from model.evaluation.scatter import ticks
from model.evaluation.verdict import verdict
from tests.programs import ROOT

IMAGES = sorted((ROOT / "tests" / "images").glob("*.jpg"))[:10]


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Ten images of two qualities; the first column has a name that LaTeX and spreadsheets take for more than text."""
    file = tmp_path_factory.mktemp("labels") / "labels.csv"
    rows = "".join(f"{path},{5 if 'pristine' in path.name else 1 + n / 10},0.5\n" for n, path in enumerate(IMAGES))
    file.write_text("image,mos,std\n" + rows)
    return file


@pytest.fixture(scope="module")
def evaluated(labels, tmp_path_factory):
    """The JSON report of nano against nano-qalign, and the folder of the files written besides."""
    folder, out = tmp_path_factory.mktemp("files"), io.StringIO()
    files = ["--per-image", str(folder / "each.csv"), "--figure", str(folder / "plots.svg")]
    with contextlib.redirect_stdout(out):
        status = main(["--labels", str(labels), "--against", "nano-qalign", "--device", "cpu", *files])
    assert status == 0
    return json.loads(out.getvalue()), folder


def test_the_table_has_each_system_with_its_interval_and_the_verdicts(evaluated):
    report, _ = evaluated
    lines = as_table(report).splitlines()
    assert lines[0] == "10 images of labels, MOS from 1 to 5; figures with their 95 % intervals"
    assert [line.split()[:2] for line in lines[3:5]] == [
        ["nano", number(report["srcc"])],
        ["nano-qalign", number(report["against"]["srcc"])],
    ]
    assert verdict("nano", "nano-qalign", report["against"]["paired"]) in lines


def test_each_image_has_a_row_with_its_mos_and_every_score(evaluated):
    report, folder = evaluated
    with open(folder / "each.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [str(path) for path in IMAGES]
    assert list(rows[0]) == ["image", "mos", "std", "n", "nano", "nano-qalign"]
    assert all(1 <= float(row["nano-qalign"]) <= 5 and row["std"] == "0.5" and row["n"] == "" for row in rows)


def test_the_figure_is_an_svg_with_a_dot_for_each_image_of_each_plot(evaluated):
    _, folder = evaluated
    drawn = ET.parse(folder / "plots.svg").getroot()
    assert len(drawn.findall(".//{*}circle")) == 10 * (2 + 1)
    texts = {text.text for text in drawn.findall(".//{*}text")}
    assert {"Score by nano-qalign", "Mean opinion score", "10 images"} <= texts


def test_a_latex_row_holds_what_tex_would_take_for_commands():
    system = {"model": "a_b&c%", "n": 12, "srcc": 0.8134, "plcc": -0.5, "krcc": None, "rmse": 10.25}
    head, row = as_latex([system]).splitlines()
    assert head.startswith("% model & SRCC") and "n = 12" in head
    assert row == r"a\_b\&c\% & .813 & -.500 & -- & 10.250 \\"


def test_a_file_that_cannot_be_written_is_told_before_anything_is_scored(labels, tmp_path, capsys):
    for file in (tmp_path, tmp_path / "absent" / "each.csv"):
        assert main(["--labels", str(labels), "--model", "absent/model", "--per-image", str(file)]) == 2
        assert f"error: {file}" in capsys.readouterr().err


def paired(difference, interval, n=50):
    return {"n": n, "srcc": {"difference": difference, "interval": interval}}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (paired(0.1, [0.02, 0.2]), "a ranks these 50 images better than b"),
        (paired(-0.1, [-0.2, -0.02]), "b ranks these 50 images better than a"),
        (paired(0.1, [-0.02, 0.2]), "a and b cannot be told apart on these 50 images"),
        (paired(0.1, None, 5), "cannot be compared on 5 images"),
        (paired(None, None), "a correlation is not defined"),
    ],
)
def test_the_verdict_is_by_the_interval_of_the_difference(found, said):
    assert said in verdict("a", "b", found)


def test_ticks_are_few_and_round():
    assert ticks(Scale(1, 5)) == [1, 2, 3, 4, 5]
    assert ticks(Scale(0, 100)) == [0, 20, 40, 60, 80, 100]
    assert ticks(Scale(0.19, 0.88)) == pytest.approx([0.2, 0.4, 0.6, 0.8])
