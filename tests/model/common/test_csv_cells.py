"""Cells that no spreadsheet computes: in every CSV that the project writes, and read back as they were."""

import csv
import io

import pytest

from annotations import csv_cells
from model.common.csv_cells import guarded, row_writer, unguarded
from model.near_duplicates import _write
from model.scoring.assessment import Failure
from model.scoring.output import write_csv

NAMES = ["a.jpg", "", "'a.jpg", "a;=1+1.jpg", "a\t=1.jpg", 'a",=1.jpg', "é=.jpg"]
FORMULAS = [
    "=1+1.jpg",
    "+1.jpg",
    "-1.jpg",
    "@SUM(A1).jpg",
    "\tx.jpg",
    "\r=1.jpg",
    "\n=1.jpg",
    "＝1.jpg",
    "'=1.jpg",
    "''-1.jpg",
]


@pytest.mark.parametrize("text", NAMES + FORMULAS)
def test_a_guarded_cell_is_not_a_formula_and_can_be_restored(text):
    cell = guarded(text)
    assert (cell == text) == (text in NAMES) and cell[:1] not in tuple("=+-@\t\r\n＝＋－＠")
    assert unguarded(cell) == text and len({guarded(name) for name in NAMES + FORMULAS}) == len(NAMES + FORMULAS)


@pytest.mark.parametrize("text", NAMES + FORMULAS)
def test_annotations_guards_cells_in_the_same_way(text):
    assert csv_cells.guarded(text) == guarded(text)


def test_numbers_stay_numbers():
    file = io.StringIO()
    row_writer(file, ["name", "score"])(["-a.jpg", -0.5])
    assert file.getvalue() == 'name,score\n"\'-a.jpg",-0.5\n'


def test_a_name_with_semicolons_stays_one_cell():
    file = io.StringIO()
    row_writer(file, ["name", "score"])(["a;=1+1.jpg", 1.0])
    cells = next(csv.reader(file.getvalue().splitlines()[1:], delimiter=";"))
    assert cells == ["a;=1+1.jpg,1.0"]


def test_the_csv_of_scores_is_guarded(tmp_path):
    file = io.StringIO()
    write_csv(file, [Failure(name, "=no image") for name in FORMULAS])
    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert [unguarded(row["image"]) for row in rows] == FORMULAS
    assert {row["image"][0] for row in rows} == {"'"} and {row["error"] for row in rows} == {"'=no image"}


def test_the_lists_of_near_duplicates_are_guarded(tmp_path):
    _write(tmp_path / "list.csv", ("image", "group"), [("=1.jpg", 3)])
    assert (tmp_path / "list.csv").read_text() == 'image,group\n"\'=1.jpg",3\n'
