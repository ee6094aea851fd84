"""Published data sets are recognised by their files and read on their own scale, higher better; a wrong scale is refused.

The folders are built by published_sets.py: no data set is at hand. What is checked of the real files is said where it is.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.reading import choose_split, read_dataset
from tests.model import published_sets as sets

BUILDERS = {
    "KonIQ-10k": sets.koniq,
    "SPAQ": sets.spaq,
    "KADID-10k": sets.kadid,
    "LIVE-Wild": sets.live_wild,
    "AGIQA-3K": sets.agiqa,
    "CSIQ": sets.csiq,
    "BIQ2021": sets.biq2021,
}
SCALES = {
    "KonIQ-10k": (1, 5),
    "SPAQ": (0, 100),
    "KADID-10k": (1, 5),
    "LIVE-Wild": (0, 100),
    "AGIQA-3K": (0, 5),
    "CSIQ": (0, 1),
    "BIQ2021": (1, 5),
}


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", BUILDERS)
def test_a_data_set_is_detected_from_its_files_and_every_image_is_found(name, tmp_path):
    images = read_dataset(BUILDERS[name](tmp_path / "anything"))
    assert {image.dataset for image in images} == {name} and {image.scale for image in images} == {SCALES[name]}
    assert [image.image for image in images if not image.image.is_file()] == []
    assert len({image.image for image in images}) == len(images) > 2
    low, high = SCALES[name]
    assert all(low <= image.mos <= high for image in images)


def test_koniq_has_mos_std_and_n_on_one_scale_and_its_splits(tmp_path):
    first = read_dataset(sets.koniq(tmp_path))[0]
    assert first.image.name == "10004473376.jpg" and first.image.parent.name == "1024x768"
    assert (first.mos, first.std, first.n) == (pytest.approx(402 / 105), pytest.approx(0.527277894494), 105)
    assert [image.split for image in read_dataset(tmp_path)] == sets.KONIQ_SETS


def test_koniqs_sets_file_alone_gives_the_same_though_its_mos_is_on_another_scale(tmp_path):
    both = read_dataset(sets.koniq(tmp_path / "both"))
    alone = read_dataset(sets.koniq(tmp_path / "alone", scores=False))
    assert [image.mos for image in alone] == pytest.approx([image.mos for image in both])
    assert [(image.n, image.split) for image in alone] == [(image.n, image.split) for image in both]
    without = read_dataset(sets.koniq(tmp_path / "without", sets=False))
    assert {image.split for image in without} == {""}


def test_kadids_dmos_rises_with_quality_and_its_var_is_a_standard_deviation(tmp_path):
    images = read_dataset(sets.kadid(tmp_path))
    assert [image.mos for image in images] == [4.57, 4.33, 1.1, 4.6, 1.2]
    assert [(image.part, image.content) for image in images[:4:3]] == [("01", "I01.png"), ("03", "I02.png")]
    # The two published rows: 30 ratings from 1 to 5 with this mean can have this population std, and cannot have this variance.
    for image in images[:2]:
        total = round(30 * image.mos)
        squares = range(total * total // 30, 25 * 30 + 1)  # the sum of squared ratings is an integer
        variances = [square / 30 - (total / 30) ** 2 for square in squares]
        assert any(round(max(value, 0) ** 0.5, 3) == image.std for value in variances)
        assert all(round(value, 3) != image.std for value in variances)


def test_csiqs_dmos_is_turned_over_and_its_images_are_named(tmp_path):
    images = read_dataset(sets.csiq(tmp_path / "excel"))
    assert images[0].image == tmp_path / "excel" / "dst_imgs" / "AWGN" / "1600.AWGN.1.png"
    assert [image.mos for image in images] == pytest.approx([1 - 0.061989, 1 - 0.46748, 0.98, 0.17, 0.7])
    assert (images[0].std, images[0].content, images[2].part) == (0.05, "1600", "jpeg 2000")
    as_csv = read_dataset(sets.csiq(tmp_path / "csv", excel=False))
    assert [(image.mos, image.content) for image in as_csv] == [(image.mos, image.content) for image in images]


def test_live_wild_leaves_out_the_images_that_trained_the_raters(tmp_path):
    images = read_dataset(sets.live_wild(tmp_path))
    assert [image.image.name for image in images] == ["3.bmp", "4.bmp", "1024.JPG"]
    assert [(image.mos, image.std) for image in images][1] == (25.3353, pytest.approx(25.3353 / 4))


def test_agiqa_reads_quality_not_alignment(tmp_path):
    images = read_dataset(sets.agiqa(tmp_path))
    assert (images[0].mos, images[0].std, images[0].part) == (0.965602553, 0.223270101, "AttnGAN")
    assert images[2].content == "a pizza, sci-fi style" and images[0].content == images[1].content


def test_agiqa_is_split_by_prompt_whatever_the_folder_of_images_is_called(tmp_path):
    folder = sets.agiqa(tmp_path)
    (folder / "ACGIQA-3K").mkdir()
    for path in folder.glob("*.jpg"):
        path.rename(folder / "ACGIQA-3K" / path.name)
    prompts = [f"prompt {n // 2}" for n in range(400)]
    names = [f"{('glide', 'sd1.5')[n % 2]}_normal_{n // 2:03}.jpg" for n in range(400)]
    sets.draw(folder / "ACGIQA-3K", names)
    header = "name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align"
    rows = [
        (name, prompt, "", "", "", n % 5, 0.5, 2, 0.5)
        for n, (name, prompt) in enumerate(zip(names, prompts, strict=True))
    ]
    sets.table(folder / "data.csv", header, rows)
    images = read_dataset(folder)
    split = {image.content: image.split for image in images}
    assert all(image.split == split[image.content] for image in images)
    held_out = [image for image in images if image.split == "test"]
    assert 0.1 < len(held_out) / len(images) < 0.3 and {image.part for image in held_out} == {"glide", "sd1.5"}
    shuffled = sets.table(folder / "data.csv", header, rows[::-1]) and read_dataset(folder)
    assert {image.content: image.split for image in shuffled} == split


def test_spaq_comes_as_excel_or_csv(tmp_path):
    as_csv, as_excel = read_dataset(sets.spaq(tmp_path / "csv")), read_dataset(sets.spaq(tmp_path / "xlsx", excel=True))
    assert [image.mos for image in as_csv] == [image.mos for image in as_excel] == [48.86, 62.5, 77.25, 5.83, 22.71]
    assert {(image.std, image.n) for image in as_csv} == {(None, None)}


def test_biq2021_is_put_onto_1_to_5_with_its_subsets_and_official_split(tmp_path):
    images = read_dataset(sets.biq2021(tmp_path))
    assert [image.mos for image in images] == pytest.approx([1.8, 2.8, 3.8, 1.4, 3.4])
    assert [image.part for image in images] == ["ss01", "ss02", "ss03", "ss01", "ss03"]
    assert [image.split for image in images] == ["training"] * 3 + ["test"] * 2


def test_an_excel_file_without_openpyxl_is_one_sentence_with_the_remedy(tmp_path, monkeypatch):
    sets.spaq(tmp_path, excel=True)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        DataError, match="pip install openpyxl, or save it beside as 'MOS and Image attribute scores.csv'"
    ):
        read_dataset(tmp_path)


def test_a_broken_excel_or_mat_file_is_one_sentence(tmp_path):
    (sets.spaq(tmp_path / "a", excel=True) / "Annotations" / "MOS and Image attribute scores.xlsx").write_bytes(
        b"PK no"
    )
    with pytest.raises(DataError, match="is not a readable Excel file"):
        read_dataset(tmp_path / "a")
    sets.live_wild(tmp_path / "b")
    for content in (b"no matlab" * 30, b"", bytes(500)):
        (tmp_path / "b" / "Data" / "AllStdDev_release.mat").write_bytes(content)
        with pytest.raises(DataError, match="AllStdDev_release.mat is not readable"):
            read_dataset(tmp_path / "b")
    savemat(tmp_path / "b" / "Data" / "AllStdDev_release.mat", {"AllStdDev_release": [[1.0, 2.0]]})
    with pytest.raises(DataError, match="of different lengths"):
        read_dataset(tmp_path / "b")


def test_a_table_without_a_column_or_rows_is_named(tmp_path):
    scores = sets.koniq(tmp_path / "koniq") / "koniq10k_scores_and_distributions.csv"
    replace_in(scores, "MOS", "mean")
    with pytest.raises(DataError, match="koniq10k_scores_and_distributions.csv has no column 'mos'"):
        read_dataset(tmp_path / "koniq")
    replace_in(scores, "mean", "MOS")
    replace_in(scores.with_name("koniq10k_distributions_sets.csv"), "image_name", "name")
    with pytest.raises(DataError, match="koniq10k_distributions_sets.csv has no column 'image_name'"):
        read_dataset(tmp_path / "koniq")
    table = sets.biq2021(tmp_path / "biq") / "Train (Images and MOS).csv"
    table.write_text(table.read_text().splitlines()[0])
    with pytest.raises(DataError, match="has no rows below its first line"):
        read_dataset(tmp_path / "biq")


def test_of_two_images_of_one_name_the_one_less_deep_is_meant(tmp_path):
    found = read_dataset(sets.agiqa(tmp_path))[0].image
    (found.parent / "a copy").mkdir()
    (found.parent / "a copy" / found.name).write_bytes(found.read_bytes())
    assert read_dataset(tmp_path)[0].image == found


def test_figures_outside_of_the_scale_are_refused_with_what_was_expected(tmp_path):
    scores = sets.koniq(tmp_path) / "koniq10k_scores_and_distributions.csv"
    scores.write_text(scores.read_text().replace("MOS,SD,MOS_zscore", "old,SD,MOS"))  # the column that others train on
    with pytest.raises(
        DataError, match=r"10004473376.jpg is 77.38.*KonIQ-10k's lie in 1 to 5: take the published table"
    ):
        read_dataset(tmp_path)
    replace_in(sets.biq2021(tmp_path / "biq") / "Test (Images and MOS).csv", "0.6", "3.4")
    with pytest.raises(DataError, match=r"ss03 \(954\).jpg is 3.4, and BIQ2021's lie in 0 to 1"):
        read_dataset(tmp_path / "biq")


def test_mos_of_ones_own_on_another_scale_than_the_one_given_are_refused(tmp_path):
    rows = "".join(f"{n}.png,{1 + 4 * n / 9:.2f}\n" for n in range(10))
    (tmp_path / "labels.csv").write_text(f"image,mos\n{rows}")
    assert len(read_dataset(tmp_path, scale=Scale(1, 5))) == 10
    with pytest.raises(DataError, match="lie in 1 to 5, hardly any of the scale 0 to 100: give the scale they are on"):
        read_dataset(tmp_path, scale=Scale(0, 100))


def test_figures_in_a_corner_of_the_scale_are_refused(tmp_path):
    table = sets.spaq(tmp_path) / "Annotations" / "MOS and Image attribute scores.csv"
    for mos in (48.86, 62.5, 77.25, 5.83, 22.71):
        replace_in(table, f",{mos},", f",{mos / 100:.4f},")
    with pytest.raises(
        DataError, match="all lie in 0.0583 to 0.7725, and SPAQ's lie in 0 to 100: were they put on another"
    ):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (sets.kadid, "mean MOS is 1.42 where the degradation is mildest and 4.85 .* KADID-10k's rises with quality"),
        (sets.csiq, "mean DMOS is 0.96 where the degradation is mildest .* CSIQ's falls with quality"),
    ],
)
def test_reversed_mos_are_refused(build, sentence, tmp_path):
    with pytest.raises(DataError, match=sentence):
        read_dataset(build(tmp_path, turned=True))


def test_koniqs_mos_that_contradicts_its_own_ratings_is_refused(tmp_path):
    # Turned over: no degradation is known, and only the ratings c1..c5 in the same row tell it.
    path = sets.koniq(tmp_path) / "koniq10k_scores_and_distributions.csv"
    header, *rows = path.read_text().splitlines()
    cells = [row.split(",") for row in rows]
    at = header.split(",").index("MOS")
    turned = [[*row[:at], str(6 - float(row[at])), *row[at + 1 :]] for row in cells]
    sets.table(path, header, turned)
    said = "line 2: the MOS of 10004473376.jpg is 2.171, and the mean of its ratings c1 to c5 is 3.829: take the published table"
    with pytest.raises(DataError, match=said):
        read_dataset(tmp_path)
    rounded = [[*row[:at], f"{float(row[at]):.2f}", *row[at + 1 :]] for row in cells]
    sets.table(path, header, rounded)
    assert len(read_dataset(tmp_path)) == 5


@pytest.mark.parametrize("std", [-0.1, 2.5])
def test_a_std_that_no_ratings_on_the_scale_can_have_is_refused_by_every_reader(std, tmp_path):
    table = sets.kadid(tmp_path / "kadid") / "kadid10k" / "dmos.csv"
    replace_in(table, ",0.869", f",{std}")
    (tmp_path / "labels.csv").write_text(f"image,mos,std,n\na.png,3,{std},30\n")
    (tmp_path / "meta.json").write_text(json.dumps([{"image": "a.png", "gt_score": 3, "std": std * 4}]))
    for path, scale in (
        (tmp_path / "kadid", None),
        (tmp_path / "labels.csv", (1, 5)),
        (tmp_path / "meta.json", (1, 5)),
    ):
        with pytest.raises(DataError, match=r"std") as refused:
            read_dataset(path, scale=scale)
        assert "negative" in str(refused.value) or "on the scale 1 to 5 is at most" in str(refused.value)


def test_the_maximum_std_depends_on_the_number_of_ratings(tmp_path):
    def read(std, n, scale=Scale(1, 5)):
        (tmp_path / "labels.csv").write_text(f"image,mos,std,n\na.png,3,{std},{n}\n")
        return read_dataset(tmp_path / "labels.csv", scale=scale)[0].std

    assert (read(2.83, 2), read(2.03, 30), read(4, ""), read(9, 30, None)) == (
        2.83,
        2.03,
        4,
        9,
    )  # 1 and 5; half 1, half 5
    for std, n in ((2.9, 2), (2.1, 30), (4.1, "")):
        with pytest.raises(DataError, match="std of a.png is .* on the scale 1 to 5 is at most"):
            read(std, n)


def test_a_folder_with_nothing_known_or_no_images_says_so(tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")  # AGIQA-3K's name, with other columns
    with pytest.raises(DataError, match="holds no data set that is known here .*KonIQ-10k.*BIQ2021"):
        read_dataset(tmp_path)
    for path in (sets.kadid(tmp_path / "kadid") / "kadid10k" / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="the images are not there: I01_01_01.png and all others"):
        read_dataset(tmp_path / "kadid")
    with pytest.raises(DataError, match="leave out its images and scale"):
        read_dataset(tmp_path / "kadid", scale=Scale(1, 5))


def test_a_missing_image_is_left_to_be_reported_when_it_is_opened(tmp_path):
    (sets.kadid(tmp_path) / "kadid10k" / "images" / "I02_03_01.png").unlink()
    images = read_dataset(tmp_path)
    assert [image.image.is_file() for image in images] == [True, True, True, False, True]


def test_the_test_split_is_chosen_unless_another_is_asked_for(tmp_path):
    koniq, spaq = read_dataset(sets.koniq(tmp_path / "a")), read_dataset(sets.spaq(tmp_path / "b"))
    assert [image.split for image in choose_split(koniq, None)] == ["test", "test"]
    assert (len(choose_split(koniq, "validation")), len(choose_split(koniq, "all"))) == (1, 5)
    assert choose_split(spaq, None) == spaq
    with pytest.raises(DataError, match=r"no split 'test' \(it has: none\)"):
        choose_split(spaq, "test")


def test_the_published_koniq_rows_agree_with_their_distributions():
    # 10004473376.jpg in subpic/koniq's file: 25, 73 and 7 of 105 ratings, SD 0.527277894494 (all 10,073 rows were checked once).
    values = np.repeat(range(1, 6), sets.KONIQ_COUNTS[0])
    assert statistics.stdev(values.tolist()) == pytest.approx(0.527277894494, abs=1e-12)
