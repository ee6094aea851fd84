"""Conversion error: against theory, against brute force, and as a command."""

import json
import math

import numpy as np
import pytest

from model.conversion_error import HEADINGS, main
from model.paper.conversion_chart import error_by_std, errors_figure, one_image
from model.paper.conversions import (
    METHODS,
    Opinions,
    conversion_errors,
    deqa,
    deqa_bound,
    deqa_cut_off,
    deqa_raw,
    left_out,
    q_align,
    q_align_theory,
    regression_bfloat16,
)
from tests.model import published_sets

SCALE = (1.0, 5.0)
EVEN = [float(m) for m in np.linspace(1, 5, 4001)]


def rows_of(mos, stds=None):
    return {row["method"]: row for row in conversion_errors(mos, stds, SCALE)}


def test_q_aligns_error_on_evenly_spread_mos_is_the_theory():
    errors = np.array([q_align(m, 0.5, SCALE).score - m for m in EVEN])
    assert math.sqrt(np.mean(errors**2)) == pytest.approx(q_align_theory(SCALE), rel=5e-3)


def test_the_theory_has_its_closed_forms():
    assert q_align_theory(SCALE) == pytest.approx(math.sqrt(2 / 15))
    assert q_align_theory(SCALE, at_middles=True) == pytest.approx(0.8 / math.sqrt(12))
    assert q_align_theory((0.0, 100.0)) == pytest.approx(25 * math.sqrt(2 / 15))


def test_label_and_restoration_error_of_q_align_are_one():
    row = rows_of(EVEN)["Q-Align"]
    assert row["label_rmse"] == row["restored_rmse"] and row["srcc"] < 0.99


def test_regression_loses_nothing_and_upstreams_rounding_little():
    rows = rows_of(EVEN)
    assert rows["Regression"]["restored_worst"] == 0
    assert 0 < rows["Regression, bfloat16 labels"]["restored_worst"] <= 1 / 64
    torch = pytest.importorskip("torch")
    for m in EVEN[::37]:
        assert regression_bfloat16(m, 0.5, SCALE).score == torch.tensor(m).bfloat16().item()


def test_what_is_cut_off_is_the_tail_of_the_normal_distribution():
    x = np.linspace(0.5, 5.5, 200001)
    density = np.exp(-0.5 * ((x - 1.8) / 0.7) ** 2) / (0.7 * math.sqrt(2 * math.pi))
    assert deqa_cut_off(1.8, 0.7, SCALE) == pytest.approx(1.8 - np.trapezoid(x * density, x), abs=1e-6)


@pytest.mark.parametrize("std", [0.3, 0.5, 0.8, 1.1])
def test_the_raw_labels_error_is_within_the_bound(std):
    for mos in EVEN[::200]:
        assert abs(deqa_raw(mos, std, SCALE).label - mos) <= deqa_bound(mos, std, SCALE)


def test_the_raw_label_is_worst_where_raters_agree_and_the_corrected_one_where_they_do_not():
    mos = EVEN[::20]
    raw = {std: rows_of(mos, [std] * len(mos))["DeQA-Score, raw label"]["restored_rmse"] for std in (0.1, 0.4)}
    corrected = {std: rows_of(mos, [std] * len(mos))["DeQA-Score"] for std in (0.1, 0.4, 1.0)}
    assert raw[0.1] > 2 * raw[0.4]
    assert corrected[0.1]["restored_rmse"] < 1e-6  # two neighbouring levels hit the mean exactly
    assert corrected[1.0]["restored_rmse"] > 2 * corrected[0.4]["restored_rmse"] > 0
    assert corrected[0.1]["std_rmse"] > corrected[0.4]["std_rmse"]  # but not the spread


def test_deqa_beats_q_align_and_regression_beats_both():
    random = np.random.default_rng(0)
    rows = rows_of(random.uniform(1, 5, 500).tolist(), random.uniform(0.3, 0.9, 500).tolist())
    ordered = [rows[name]["restored_rmse"] for name in ("Regression", "DeQA-Score", "Q-Align")]
    assert ordered == sorted(ordered) and len(set(ordered)) == 3


def test_a_model_gives_what_minimises_the_divergence_from_a_label_that_does_not_sum_to_one():
    torch = pytest.importorskip("torch")
    from model.readouts.levels import soft_label
    from model.readouts.losses import soft_label_divergence

    mos, std = 4.5, 0.8
    label = torch.tensor([soft_label(mos, std, False)])
    assert abs(label.sum() - 1) > 0.01
    logits = torch.zeros(1, 5, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200)

    def closure():
        optimizer.zero_grad()
        loss = soft_label_divergence(logits, torch.arange(5), label)
        loss.backward()
        return loss

    optimizer.step(closure)
    score = (logits.softmax(1) @ torch.arange(1.0, 6.0)).item()
    assert score == pytest.approx(deqa(mos, std, SCALE).score, abs=2e-3)


def test_the_raw_labels_own_error_is_told_only_where_the_method_uses_that_label():
    # With a std of 0 the density at a level is beyond all measure; below a fifth of a step DeQA-Score falls back.
    mos, stds = [3.0, 4.0, 2.3, 3.6, 2.5], [0.0, 0.19, 0.0, 0.5, 0.7]
    raw, usual = (rows_of(*some)["DeQA-Score, raw label"] for some in ((mos, stds), (mos[3:], stds[3:])))
    assert (raw["label_rmse"], raw["theory"]) == (usual["label_rmse"], usual["theory"]) and raw["label_rmse"] < 0.1
    assert left_out(mos, stds, SCALE) == [
        "DeQA-Score, raw label: 3 of 5 have a std below 0.2, where the method falls back on two levels; they are left out of label RMSE "
        "and theory",
        "DeQA-Score, raw label: 1 of 5 have a label that is 0 everywhere, from which nothing is learned; they are left out",
    ]
    only = rows_of([2.3, 2.4], [0.0, 0.0])["DeQA-Score, raw label"]
    assert all(only[key] is None for key in ("label_rmse", "restored_rmse", "restored_worst", "std_rmse", "plcc"))


def test_images_without_a_std_are_left_out_of_what_needs_one_and_of_nothing_else():
    mos, stds = [1.5, 2.2, 3.9, 4.6], [0.5, math.nan, 0.6, math.nan]
    rows, some, none = rows_of(mos, stds), rows_of(mos[::2], stds[::2]), rows_of(mos)
    for name in ("DeQA-Score, raw label", "DeQA-Score"):
        assert rows[name] == some[name]
    assert rows["Q-Align"] == none["Q-Align"] | {"std_rmse": some["Q-Align"]["std_rmse"]}
    assert left_out(mos, stds, SCALE) == ["DeQA-Score: 2 of 4 have no std and are left out"]
    assert "DeQA-Score" not in rows_of(mos, [math.nan] * 4)


def test_realqa_is_left_out_where_it_cannot_write_every_score():
    for top, there in ((9.99, True), (9.996, False), (10, False), (85, False)):
        rows = conversion_errors([3.2, top], None, (0, 100))
        assert ("RealQA" in [row["method"] for row in rows]) == there
        assert any(note.startswith("RealQA is left out") for note in left_out([3.2, top], None, (0, 100))) != there


def write(path, lines):
    path.write_text("image,mos,std\n" + "".join(f"{n}.jpg,{line}\n" for n, line in enumerate(lines)))
    return path


def test_the_command_prints_a_table_or_json_and_draws(tmp_path, capsys):
    labels = write(tmp_path / "labels.csv", ["1.5,.4", "2.7,.6", "4.6,.3", "3.3,.9"])
    assert main([str(labels), "--scale", "1", "5", "--format", "json", "--out", str(tmp_path / "e.html")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["n"] == 4 and [row["method"] for row in report["methods"]] == list(METHODS)
    assert "Conversion error of 4 opinion scores" in (tmp_path / "e.html").read_text(encoding="utf-8")
    assert main([str(labels)]) == 0
    shown, said = capsys.readouterr()
    assert "on the scale 1.5 to 4.6" in shown and "DeQA-Score" in shown
    assert "no --scale was given" in said and "--scale 1 5" in said
    for heading in list(HEADINGS.values())[1:]:
        assert shown.lower().count(heading.lower()) > 1, heading  # in the table, and explained below it


def test_without_stds_deqa_is_left_out_and_the_table_says_so(tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text("MOS\n1\n3.4\n5\n")
    assert main([str(labels)]) == 0
    assert "DeQA-Score is left out" in capsys.readouterr().out
    assert main([str(labels), "--std", "0.6"]) == 0
    assert "DeQA-Score, raw label" in capsys.readouterr().out


def test_an_empty_std_is_none_and_a_negative_one_no_std(tmp_path, capsys):
    labels = write(
        tmp_path / "labels.csv", ["1.5,.4", "2.7,", "4.6,.1"]
    )  # annotations.export leaves it empty for one rater
    assert main([str(labels), "--scale", "1", "5", "--out", str(tmp_path / "e.html")]) == 0
    shown = capsys.readouterr().out
    assert "1 of 3 have no std and are left out" in shown and "1 of 2 have a std below 0.2" in shown
    assert main([str(labels), "--scale", "1", "5", "--std", "0.5", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["notes"]) == 1 and "1 of 3 have a std below 0.2" in report["notes"][0]
    with pytest.raises(SystemExit, match="2"):
        main([str(labels), "--std", "-1"])
    write(labels, ["1.5,", "2.7,"])
    capsys.readouterr()
    assert main([str(labels)]) == 0 and "DeQA-Score is left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("image,score\na,3\n", [], "no column 'mos'"),
        ("image,mos\n", [], "no rows"),
        ("mos\n3\nx\n", [], "line 3: the mos is x"),
        ("mos,std\n3,-1\n", [], "std is -1"),
        (
            "mos,std\n3,5\n",
            ["--scale", "1", "5"],
            "line 2: the std is 5, and that of any ratings on the scale 1 to 5 is at most 4",
        ),
        (
            "mos\n3\n4\n",
            ["--scale", "1", "5", "--std", "50"],
            "the --std is 50, and that of any ratings on the scale 1 to 5 is at most 4",
        ),
        ("mos\n3\n3\n", [], "all MOS are 3, so the scale is unknown"),
        ("mos\n3\n7\n", ["--scale", "1", "5"], "a mos of 7 is outside the scale 1 to 5"),
        ("mos\n3\n4\n", ["--out", "nowhere/e.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_computed_is_said_in_one_sentence(tmp_path, capsys, monkeypatch, content, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text(content)
    assert main(["labels.csv", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_scale_that_runs_downwards_is_refused(tmp_path, capsys):
    (tmp_path / "labels.csv").write_text("mos\n3\n4\n")
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "labels.csv"), "--scale", "5", "1"])
    assert "--scale: LOW must be less than HIGH, both finite (given: 5 1)" in capsys.readouterr().err


def test_a_data_sets_folder_is_read_with_its_scale_and_stds_and_another_is_refused(tmp_path, capsys):
    assert main([str(published_sets.koniq(tmp_path / "koniq")), "--format", "json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert (found["scale"], found["n"], told.err) == ([1, 5], len(published_sets.KONIQ_SETS), "")
    assert {row["method"] for row in found["methods"]} == set(METHODS)
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 2
    assert "empty holds no data set that is known here" in capsys.readouterr().err


def test_the_figures_have_titles_units_and_every_method():
    opinions = Opinions([1.5, 3.2], [0.4, 0.7])
    figure = errors_figure(conversion_errors(opinions.mos, opinions.stds, SCALE), opinions, SCALE)
    assert len(figure.data) == len(METHODS)
    for found in (figure, one_image(3.4, 0.5), error_by_std(3.4, 0.5)):
        assert found.layout.title.text and found.layout.xaxis.title.text and found.layout.yaxis.title.text
    lines = {trace.name: trace.x[0] for trace in one_image(3.5, 0.5).data if trace.name.count("score ")}
    assert lines["Q-Align: score 4.00"] == 4 and lines["Regression: score 3.50"] == 3.5
