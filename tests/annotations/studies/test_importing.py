"""Ratings from elsewhere into a study, and places of unused ratings that are given again."""

import sqlite3

import pytest

from annotations import AnnotationError
from annotations.export import main as export_main
from annotations.studies.archive import TABLES
from annotations.studies.importing import import_ratings
from annotations.studies.report import make_report
from annotations.studies.study import Study
from annotations.study import main as study_main


@pytest.fixture
def votes(tmp_path):
    def write(*lines: str):
        (tmp_path / "votes.csv").write_text("\n".join(["rating,image,rater", *lines]) + "\n")
        return tmp_path / "votes.csv"

    return write


def test_imported_ratings_count_are_marked_and_survive_the_zip(make_study, votes, run, tmp_path):
    study = make_study(3, "ratings_per_image: 2\n")
    file = votes("4,0.jpg,'=Ann", "2,1.jpg,'=Ann", "5,0.jpg,Bob")
    said = run(study_main, "import", "one", file, "--data-dir", study.data_dir)
    assert said == "one: 3 ratings imported\n"
    found = make_report(study.data_dir, "one")
    assert [(image.name, image.mos, image.n) for image in found.images[:2]] == [("0.jpg", 4.5, 2), ("1.jpg", 2.0, 1)]
    assert {one.rater for one in found.by_rater} == {"=Ann", "Bob"}
    ratings = run(export_main, "one", "--format", "ratings", "--data-dir", study.data_dir)
    assert ratings.count('"votes.csv"') == 3 and '"\'=Ann"' in ratings
    assert study.show_next("Cleo", browser="c").sha256 not in {image.sha256 for image in found.images[:1]}  # it is full
    run(export_main, "one", "--format", "zip", "--out", tmp_path / "one.zip", "--data-dir", study.data_dir)
    run(study_main, "restore", tmp_path / "one.zip", "--data-dir", tmp_path / "restored")
    rows = []
    for folder in (study.data_dir, tmp_path / "restored"):
        connection = sqlite3.connect(folder / "annotations.db")
        rows.append(
            [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in ("imports", "imported")]
        )
        connection.close()
    assert rows[0] == rows[1] and len(rows[0][1]) == 3 and {"imports", "imported"} <= set(TABLES)


@pytest.mark.parametrize(
    "line, said",
    [
        ("3,9.jpg,Ann", "line 3: the study has no test image '9.jpg'"),
        ("6,1.jpg,Ann", "line 3: '6' is no rating on the scale"),
        ("x,1.jpg,Ann", "line 3: 'x' is no rating on the scale"),
        ("nan,1.jpg,Ann", "line 3: 'nan' is no rating on the scale"),
        ("3,0.jpg,ann", "line 3: 'ann' has rated this image before"),
        ("3,1.jpg,", "line 3: "),
    ],
)
def test_a_file_with_a_wrong_line_is_refused_whole(make_study, votes, line, said):
    study = make_study(2)
    with pytest.raises(AnnotationError, match=said):
        import_ratings(study.data_dir, "one", votes("4,0.jpg,Ann", line))
    assert make_report(study.data_dir, "one").ratings == 0


def test_places_of_ratings_that_are_not_used_are_given_to_others(make_study, go_through):
    study: Study = make_study(4, "ratings_per_image: 2\nrepeats: 0\n")
    for rater, value in (("Ann", 4), ("Eve", 1)):
        assert len(go_through(study, rater, value=lambda showing, value=value: value)) == 4
    assert study.show_next("Cleo", browser="c") is None
    study.set_state("closed")
    study.decide("Eve", False, "clicked at random")
    assert study.reopen_short() == 4 and study.state() == "open"
    assert len(go_through(study, "Cleo", value=lambda showing: 5)) == 4
    assert study.show_next("Dan", browser="d") is None
    assert study.reopen_short() == 0
    assert {image.n for image in make_report(study.data_dir, "one").images} == {2}
