"""Where rated images come from, what of them is held out, and the fine-tune command on data sets and labels."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from annotations import open_annotations
from annotations.studies.lifecycle import keep_study
from annotations.studies.study import Study
from model import finetune as command
from model.backbones.adapter_card import read_card
from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.finetuning.material import by_held_out_raters, held_out_raters, reliability, split, taught
from model.finetuning.sources import gather
from tests.model.published_sets import koniq
from tests.model.tiny import gallery, tiny_base

RATERS = ("Ada", "Bo", "Cy")


def options(*arguments):
    return command.parser().parse_args(["--out", "new", *map(str, arguments)])


def labelled(folder: Path, count: int, low: float = 0, high: float = 100) -> Path:
    """A folder of images with labels.csv on the scale low to high."""
    rows = [f"{r.image.name},{low + (r.mos - 1) / 4 * (high - low):.2f}" for r in gallery(folder, count)]
    (folder / "labels.csv").write_text("\n".join(["image,mos", *rows]) + "\n")
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def rated_by_three(tmp_path_factory):
    """A data folder in which three people rated thirty images, each a little higher than the one before."""
    folder = tmp_path_factory.mktemp("three")
    store = open_annotations(folder / "data")
    for record in gallery(folder / "images", 30):
        for more, rater in enumerate(RATERS):
            store.record_rating(rater, record.image.read_bytes(), min(5.0, record.mos + more / 4), suffix="png")
    return folder / "data"


def test_several_sources_come_together_each_on_its_own_scale(tmp_path, rated_by_three):
    labels, other = labelled(tmp_path / "a", 8), labelled(tmp_path / "b", 9, 0, 10)
    given = ["--data-dir", rated_by_three, "--data", koniq(tmp_path / "koniq"), f"{other}=0:10", "--labels", labels]
    found = gather(options(*given, "--images", tmp_path / "a", "--scale", "0", "100"))
    sets = {name: [r for r in found if r.dataset == name] for name in dict.fromkeys(r.dataset for r in found)}
    assert {name: (len(own), own[0].scale) for name, own in sets.items()} == {
        "ratings": (30, (1, 5)),
        "KonIQ-10k": (5, (1, 5)),
        "labels": (9, (0, 10)),
        "labels (2)": (8, (0, 100)),
    }
    assert [round(sets[name][-1].mos_on(Scale(1, 5)), 2) for name in ("labels", "labels (2)")] == [4.5, 4.5]
    assert len(sets["ratings"][0].ratings) == 3 and not sets["labels"][0].ratings


def test_a_study_is_a_source_with_its_scale_and_without_what_its_owner_left_out(tmp_path):
    images = [record.image for record in gallery(tmp_path / "images", 9)]
    (tmp_path / "some.yaml").write_text("study: some\nquestion: Good?\nscale: continuous\nimages: images\nrepeats: 0\n")
    open_annotations(tmp_path / "data")
    keep_study(tmp_path / "data", tmp_path / "some.yaml")
    opened = Study(tmp_path / "data", "some")
    opened.set_state("open")
    for rater, value in (("Ann", 40.0), ("Bob", 60.0), ("Eve", 0.0)):
        while showing := opened.show_next(rater, browser=rater):
            opened.rate(showing.key, value, browser=rater)
    opened.decide("Ann", True, "the images are much alike")
    opened.decide("Bob", True, "the images are much alike")
    opened.decide("Eve", False, "always the same")
    found = gather(options("--data-dir", tmp_path / "data", "--study", "some"))
    assert len(found) == len(images) and {record.image.read_bytes() for record in found} == {
        i.read_bytes() for i in images
    }
    assert {(record.mos, record.n, record.scale, record.dataset) for record in found} == {
        (50.0, 2, Scale(0, 100), "some")
    }
    assert {value for record in found for _, value in record.ratings} == {40.0, 60.0}
    with pytest.raises(DataError, match="no study named 'other'"):
        gather(options("--data-dir", tmp_path / "data", "--study", "other"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--images", "{folder}"], "--images is the folder of the images in --labels: give --labels, too"),
        (["--labels", "{labels}"], "do not say which scale they are on: give it as --scale LOW HIGH"),
        (["--data", "{labels}"], "do not say which scale they are on: give it as .*labels.csv=LOW:HIGH"),
        (["--data", "{labels}=100:0"], "the low end of the scale must be less than the high end"),
        (["--data", "{labels}=high"], "is not a data set: give a path, or a path with its scale"),
        (["--data", "{labels}=1:5"], "outside of the scale 1 to 5"),
        (["--data", "{labels}=0:100", "{labels}=0:100"], "comes from two of the given sources"),
        (["--data", "{empty}=0:100"], "there is no image .*gone.png"),
        (["--data-dir", "{folder}/none"], "0 rated images are too few"),
    ],
)
def test_material_that_cannot_be_used_is_one_sentence(tmp_path, given, words):
    labels, empty = labelled(tmp_path / "a", 8), tmp_path / "empty.csv"
    empty.write_text("image,mos\ngone.png,3\n")
    filled = [text.format(folder=tmp_path, labels=labels, empty=empty) for text in given]
    with pytest.raises(DataError, match=words):
        gather(options(*filled))


def digests_of(rated):
    return [hashlib.sha256(str(r.image).encode()).hexdigest() for r in rated]


def test_a_sets_own_split_holds_out_its_test_part_and_other_images_go_by_content():
    parts = ["training"] * 6 + ["validation"] * 2 + ["test"] * 2
    own = [RatedImage(Path(f"{n}.jpg"), 3, None, 5, dataset="set", split=part) for n, part in enumerate(parts)]
    free = [RatedImage(Path(f"free{n}.jpg"), 3, None, 5, dataset="mine", content=str(n // 4)) for n in range(40)]
    found = split(digests_of(own + free), rated=own + free)
    assert [n for n in found.train if n < 10] == [0, 1, 2, 3, 4, 5] and [n for n in found.held_out if n < 10] == [8, 9]
    held_out = [n - 10 for n in found.held_out if n >= 10]
    assert (
        len(held_out) == 8
        and {free[n].content for n in held_out} & {free[n - 10].content for n in found.train if n > 9} == set()
    )


def test_with_three_raters_one_is_held_out_but_never_who_gave_most_ratings():
    def by(*given):
        return RatedImage(Path("a.jpg"), 3, None, len(given), ratings=tuple((rater, 3.0) for rater in given))

    assert len(held_out_raters([by("a", "b", "c")] * 8)) == 1 and not held_out_raters([by("a", "b")] * 20)
    assert held_out_raters([by("much")] * 20 + [by("a", "b")] * 2) <= {"a", "b"}
    rated = [replace(by("a", "b", "c"), image=Path(f"{n}.jpg")) for n in range(20)]
    parts = split(digests_of(rated), rated=rated)
    (rater,) = parts.raters
    assert all(len(r.ratings) == 2 and rater not in dict(r.ratings) for r in taught(rated, parts)[1])
    rows, theirs = by_held_out_raters(rated, parts.held_out, parts.raters)
    assert rows == parts.held_out and all(dict(r.ratings).keys() == {rater} for r in theirs)


def test_more_ratings_that_agree_count_more_and_the_scale_does_not_matter():
    def weights(*records, scale=Scale(1, 5)):
        return reliability([RatedImage(Path("a"), 3, std, n, scale) for n, std in records])

    few, many = weights((1, None), (30, None))
    assert few < 1 < many and (few + many) / 2 == pytest.approx(1)
    apart, agreed = weights((10, 1.5), (10, 0.3))
    assert apart < agreed
    assert weights((2, 20.0), (9, 9.0), scale=Scale(0, 100)) == pytest.approx(weights((2, 0.8), (9, 0.36)))
    assert weights((5, None), (5, None)) == pytest.approx([1, 1])


@pytest.mark.slow
@pytest.mark.parametrize("rung", ["recalibrate", "lora"])
def test_the_command_on_ratings_and_a_data_set_shows_figures_of_new_images_of_each_set_and_of_new_raters(
    tmp_path, rated_by_three, capsys, rung
):
    labels, base = labelled(tmp_path / "a", 12), tiny_base(tmp_path / "base")
    status = command.main(
        [
            "--data-dir",
            str(rated_by_three),
            "--data",
            f"{labels}=0:100",
            "--model",
            str(base),
            "--out",
            rung,
            "--rung",
            rung,
        ]
    )
    out = capsys.readouterr().out
    assert status == 0, out
    card = read_card(rated_by_three / "adapters" / rung)
    assert card.by_rater["raters"] == 1 and card.by_rater["after"]["rmse"] is not None
    assert (
        card.by_set.keys() == {"ratings", "labels"} and sum(f["images"] for f in card.by_set.values()) == card.held_out
    )
    assert "1 held-out raters of" in out and "labels, " in out
