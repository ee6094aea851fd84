"""Labels as other programs and other countries write them."""

from pathlib import Path

import pytest

from model.common.errors import DataError
from model.datasets.labels_csv import read_labels
from model.datasets.tables import has_columns, read_table

PLAIN = "image,mos,std\na.jpg,4.5,0.25\nb c.jpg,1.5,\n"
READ = [("a.jpg", 4.5, 0.25), ("b c.jpg", 1.5, None)]


def read(path: Path) -> list[tuple]:
    return [(image.image.name, image.mos, image.std) for image in read_labels(path, path.parent)]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";").replace(".5", ",5").replace("0.25", "0,25"),
        PLAIN.replace(",", "\t").replace(".5", ",5").replace("0.25", "0,25"),
        'image,mos,std\na.jpg,"4,5","0,25"\nb c.jpg,"1,5",\n',
        'image, mos, std\n"a.jpg", "4,5", 0.25\n"b c.jpg", 1.5,\n',
        "sep=;\n" + PLAIN.replace(",", ";"),
        '"sep=;"\r\n' + PLAIN.replace(",", ";").replace("\n", "\r\n"),
        "SEP=,;;\r" + PLAIN.replace("\n", "\r"),
        "sep=|\n" + PLAIN.replace(",", "|"),
        "sep=\t\n" + PLAIN.replace(",", "\t"),
        PLAIN.replace("image,mos,std", ' IMAGE ,"Mos", Std\xa0'),
        PLAIN.replace("\n", "\n\n").replace("\n\n", "\n,,\n \n"),
        "Ratings of May;;\n;;\nimage;mos;std;\na.jpg;+4,5;0,25;;\nb c.jpg;1,5;;;\n;;;\n",
        PLAIN.replace("a.jpg", '"a.jpg"').replace(",1.5", ',"1.5"'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_labels_are_read_as_spreadsheets_write_them(text, encoding, tmp_path):
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    assert read(tmp_path / "labels.csv") == READ


def test_a_name_may_hold_any_delimiter(tmp_path):
    (tmp_path / "labels.csv").write_text('image,mos\n"a;b,c\td.jpg",4\n"say ""x"".jpg",3\nx;y.jpg,2\n')
    assert [row[0] for row in read(tmp_path / "labels.csv")] == ["a;b,c\td.jpg", 'say "x".jpg', "x;y.jpg"]


def test_in_a_file_of_one_column_the_comma_is_a_decimal_comma(tmp_path):
    (tmp_path / "mos.csv").write_text("mos\n4,5\n3\n")
    assert [row.number("mos") for row in read_table(tmp_path / "mos.csv", ["mos"])] == [4.5, 3]


def test_a_line_is_counted_as_an_editor_counts_it(tmp_path):
    (tmp_path / "labels.csv").write_text("sep=;\nimage;mos\n\na.jpg;good\n")
    with pytest.raises(DataError, match="line 4: the mos of a.jpg is good, not a number"):
        read(tmp_path / "labels.csv")


def test_what_is_in_another_encoding_is_one_sentence(tmp_path):
    for content in (PLAIN.encode("utf-16-le"), "image,mos\né.jpg,4\n".encode("cp1252"), PLAIN.encode("utf-16") + b"x"):
        (tmp_path / "labels.csv").write_bytes(content)
        with pytest.raises(DataError, match="is not a CSV file in UTF-8: save it as 'CSV UTF-8'"):
            read(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    "first", ["name,mos_quality", "name;mos_quality", "\ufeffname\tMOS_quality", "sep=;\nname;mos_quality"]
)
def test_a_published_table_is_known_by_its_first_line(first, tmp_path):
    (tmp_path / "data.csv").write_text(f"{first}\n")
    assert has_columns(tmp_path / "data.csv", ("name", "mos_quality"))
    assert not has_columns(tmp_path / "data.csv", ("dist_img", "dmos"))
