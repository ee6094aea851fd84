"""The meta JSON of Q-Scorer, DeQA-Score and Q-Align, both ways, against the files that came with the originals' fixtures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.meta_json import read_meta, write_meta
from model.datasets.rated import RatedImage
from model.datasets.reading import read_dataset
from tests.model.owl_fixtures import QALIGN, QSCORER, assert_near, facts
from tests.programs import python_m

FIXTURES = {"qscorer": QSCORER / "training", "qalign": QALIGN / "training"}
# Files that DeQA-Score's own program wrote, and the MOS that it was given.
SOFT = facts(QALIGN / "deqa" / "soft_labels.json")


def some(folder: Path, scale=Scale(0.0, 100.0), dataset="SPAQ") -> list[RatedImage]:
    mos = [10.0, 33.4, 46.0, 46.1, 90.0]
    return [RatedImage(folder / "a" / f"{n}.jpg", m, 9.0, None, scale, dataset) for n, m in enumerate(mos)]


def answers(path: Path) -> list[str]:
    return [entry["conversations"][1]["value"] for entry in json.loads(path.read_text())]


@pytest.mark.parametrize("family", ["qscorer", "qalign"])
def test_the_originals_files_are_read(family):
    images = read_dataset(FIXTURES[family] / "meta.json", scale=Scale(1, 5))
    assert [(image.mos, image.std) for image in images] == [
        (4.63, 0.4),
        (1.29, 0.5),
        (3.07, pytest.approx(0.6)),
        (2.22, pytest.approx(0.7)),
    ]
    assert all(image.image.is_file() for image in images) and {image.dataset for image in images} == {"meta"}


@pytest.mark.parametrize("family", ["qscorer", "qalign"])
def test_what_is_written_says_what_the_originals_files_say(family, tmp_path):
    folder = FIXTURES[family]
    images = read_meta(folder / "meta.json", folder, Scale(1, 5))
    write_meta(tmp_path / "meta.json", images, folder, "q-scorer" if family == "qscorer" else "q-align")
    original, ours = (json.loads((place / "meta.json").read_text()) for place in (folder, tmp_path))
    for theirs, mine in zip(original, ours, strict=True):
        assert {key: mine[key] for key in ("id", "image", "gt_score", "std")} == {
            key: theirs[key] for key in ("id", "image", "gt_score", "std")
        }
        assert mine["conversations"][1] == theirs["conversations"][1]
        assert mine["conversations"][0]["value"].endswith("\n<|image|>")


@pytest.mark.parametrize("kind", ["q-align", "deqa"])
def test_what_is_written_is_read_again_unchanged(kind, tmp_path):
    images = some(tmp_path)
    write_meta(tmp_path / "meta.json", images, tmp_path, kind)
    again = read_meta(tmp_path / "meta.json", tmp_path, Scale(0, 100))
    assert again == [replace(image, scale=Scale(0, 100), dataset="meta") for image in images]


def test_q_scorers_figures_are_put_onto_its_scale_of_1_to_5(tmp_path):
    write_meta(tmp_path / "meta.json", some(tmp_path), tmp_path, "q-scorer")
    again = read_meta(tmp_path / "meta.json", tmp_path, Scale(1, 5))
    assert [image.mos for image in again] == pytest.approx([1.4, 2.336, 2.84, 2.844, 4.6])
    assert again[0].std == pytest.approx(0.36)
    assert [answer[-9:-1] for answer in answers(tmp_path / "meta.json")] == [f"<score{k}>" for k in (1, 2, 3, 3, 5)]


def test_q_aligns_levels_cut_the_files_own_range_and_are_closed_above(tmp_path):
    # 10 to 90 in fifths: 26, 42, 58, 74; 26 itself is still bad.
    images = [*some(tmp_path), RatedImage(tmp_path / "edge.jpg", 26.0, None, None, Scale(0, 100))]
    write_meta(tmp_path / "meta.json", images, tmp_path, "q-align")
    words = [
        answer.removeprefix("The quality of the image is ").rstrip(".") for answer in answers(tmp_path / "meta.json")
    ]
    assert words == ["bad", "poor", "fair", "fair", "excellent", "bad"]


@pytest.mark.parametrize(("kind", "dataset"), [("pdf", "KonIQ-10k"), ("cdf", "SPAQ")])
def test_deqas_file_is_the_originals(kind, dataset, tmp_path):
    table = SOFT["mos_table"]
    images = [
        RatedImage(tmp_path / "SYN/images" / name, table[name]["mos"], table[name]["std"], None, dataset=dataset)
        for name in SOFT["split"]["train"]
    ]
    # The original's range is that of both of its parts; what is in neither does not count.
    mos = [table[name]["mos"] for part in SOFT["split"].values() for name in part]
    write_meta(tmp_path / "meta.json", images, tmp_path, "deqa", (min(mos), max(mos)))
    for ours, original in zip(json.loads((tmp_path / "meta.json").read_text()), SOFT[kind]["train"], strict=True):
        for key in ("id", "image", "gt_score", "std"):
            assert ours[key] == original[key]
        for key in ("gt_score_norm", "std_norm", "level_probs", "level_probs_org"):
            assert_near(ours[key], original[key], 1e-6)
        assert ours["conversations"][1] == original["conversations"][1]


def test_deqa_writes_both_scales_and_labels_from_excellent_to_bad(tmp_path):
    write_meta(tmp_path / "meta.json", some(tmp_path, dataset="KonIQ-10k"), tmp_path, "deqa")
    entries = json.loads((tmp_path / "meta.json").read_text())
    assert [entry["gt_score_norm"] for entry in entries][::4] == [1, 5]
    assert entries[1]["std_norm"] == pytest.approx(9 * 4 / 80)
    for entry in entries[1:4]:
        assert sum(entry["level_probs"]) == pytest.approx(1, abs=1e-6)
        mean = sum(p * value for p, value in zip(entry["level_probs"], (5, 4, 3, 2, 1), strict=True))
        assert mean == pytest.approx(entry["gt_score_norm"], abs=1e-6)
        assert sum(entry["level_probs_org"]) != pytest.approx(1, abs=1e-6)


def test_raters_who_all_agree_give_a_whole_soft_label(tmp_path):
    agreed = [replace(image, std=0.0) for image in some(tmp_path)]
    write_meta(tmp_path / "train.json", agreed, tmp_path, "deqa")
    for entry in json.loads((tmp_path / "train.json").read_text()):
        assert sum(entry["level_probs"]) == pytest.approx(1) and sum(p > 0 for p in entry["level_probs"]) <= 2


def test_scores_as_text_and_img_path_are_read_and_other_things_are_named(tmp_path):
    path = tmp_path / "meta.json"
    path.write_text(json.dumps([{"img_path": "x.png", "gt_score": "3.5"}]))
    assert [(image.image.name, image.mos, image.std, image.scale) for image in read_dataset(path)] == [
        ("x.png", 3.5, None, None)
    ]
    path.write_text(json.dumps([{"image": ["x.png"], "gt_score": 3.5}]), encoding="utf-8-sig")
    assert [(image.image.name, image.mos) for image in read_dataset(path)] == [("x.png", 3.5)]
    good = {"image": "x.png", "gt_score": 3.5}
    for content, sentence in [
        ("[", "not readable JSON"),
        ("[" * 100_000, "not readable JSON"),
        ("{}", "is not a meta JSON"),
        ([good, {"image": "./x.png", "gt_score": 3}], "x.png is named more than once"),
        ([{"image": "x.png", "gt_score": 10**400}], "gt_score of x.png is 1000"),
        ([good, {"image": ["a", "b"], "gt_score": 3}], "entry 2: `image` must be the path of one image"),
        ([{"image": "x.png", "gt_score": None}], "entry 1: gt_score of x.png is null, not a number"),
        ([{"image": "x.png", "gt_score": 77}], "gt_score of x.png is 77, outside of the scale 1 to 5"),
    ]:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(DataError, match=sentence):
            read_dataset(path, scale=Scale(1, 5))
    with pytest.raises(DataError, match="absent.json cannot be read: no such file"):
        read_dataset(tmp_path / "absent.json")


def test_what_cannot_be_written_is_said(tmp_path):
    images = some(tmp_path)
    for given, kind, sentence in [
        (images, "q-bench", "no meta JSON of kind 'q-bench'"),
        ([], "deqa", "no images to write"),
        (images[:1], "q-align", "all MOS are 10"),
        ([replace(image, std=None) for image in images], "deqa", "0.jpg has no std"),
        ([replace(image, scale=None) for image in images], "q-scorer", "came without a scale"),
    ]:
        with pytest.raises(DataError, match=sentence):
            write_meta(tmp_path / "meta.json", given, tmp_path, kind)
    with pytest.raises(DataError, match="does not lie in"):
        write_meta(tmp_path / "meta.json", images, tmp_path / "other", "q-align")


@pytest.mark.slow
def test_the_command_says_what_a_set_holds_and_writes_it_for_another_program(tmp_path):
    def told(*arguments):
        return python_m("model.datasets", *arguments)

    labels = tmp_path / "labels.csv"
    labels.write_text("image,mos,std\na.png,10,9\nb.png,46,9\nc.png,90,8\n")
    found = json.loads(told(tmp_path).stdout)
    assert (found["images"], found["scale"], found["mos_range"], found["std_known"]) == (3, None, [10, 90], True)
    out = tmp_path / "train.json"
    asked = (labels, "--scale", 0, 100, "--write", "q-align", "--out", out)
    assert told(*asked).stdout.strip() == str(out)
    assert [one.mos for one in read_dataset(out, tmp_path)] == [10, 46, 90]
    assert answers(out)[1] == "The quality of the image is fair."
    turned = told(labels, "--scale", 100, 0)
    assert turned.returncode == 2 and "LOW must be less than HIGH, both finite (given: 100 0)" in turned.stderr
    again = told(*asked)
    assert again.returncode == 2 and again.stderr.strip().endswith("give another name, or delete it first.")
