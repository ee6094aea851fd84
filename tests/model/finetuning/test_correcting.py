"""From ratings to a corrected score, by the command, on nano and on a tiny VLM."""

import numpy as np
import pytest

from model import finetune as command
from model.backbones.adapter_card import read_card
from model.scoring.scorer import load_scorer
from tests.model.tiny import gallery, rate

COUNT = 32


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with 32 images of rising brightness that Ada rated as she likes brightness."""
    folder = tmp_path_factory.mktemp("ratings")
    rate(folder / "data", gallery(folder / "images", COUNT))
    return folder / "data"


def learn(data, out, *more):
    status = command.main(["--data-dir", str(data), "--out", out, "--device", "cpu", *more])
    assert status == 0
    return read_card(data / "adapters" / out)


def scores(spec, data):
    images = sorted((data.parent / "images").iterdir())
    found = load_scorer(spec, adapters=data / "adapters", device="cpu").assess_files(images)
    return np.array([assessment.score for assessment in found])


def test_a_head_follows_the_ratings_and_its_figures_are_of_images_left_out(data, capsys):
    card = learn(data, "head", "--model", "nano")
    assert "kernel regression on 32 images" in capsys.readouterr().out
    assert (card.rung, card.cross_validated, card.trained, card.held_out, card.better) == ("head", True, 32, 32, True)
    assert card.after["rmse"] < 0.6 * card.before["rmse"] and card.after_trained["rmse"] < card.after["rmse"]
    assert card.verdict.startswith("Better than nano: its")
    given = scores("nano+head", data)
    assert np.corrcoef(given, np.arange(COUNT))[0, 1] > 0.9 > np.corrcoef(scores("nano", data), np.arange(COUNT))[0, 1]


def test_recalibration_keeps_the_order_of_scores(data):
    card = learn(data, "affine", "--model", "nano", "--rung", "recalibrate")
    before, after = scores("nano", data), scores("nano+affine", data)
    assert card.options["images in the kernel"] == 0 and card.options["slope"] > 0
    assert after == pytest.approx((card.options["slope"] * before + card.options["offset"]).clip(1, 5), abs=1e-4)


def test_what_a_frozen_model_answered_is_kept_and_gives_the_same_card(data, monkeypatch):
    first = learn(data, "first", "--model", "nano")
    monkeypatch.setattr("model.finetuning.correcting.answer", None)  # it would fail if an image were looked at again
    second = learn(data, "second", "--model", "nano")
    assert (second.after, second.options) == (first.after, first.options)


def test_a_correction_goes_on_from_a_correction_and_is_judged_on_other_images(data):
    learn(data, "one", "--model", "nano")
    card = learn(data, "two", "--model", f"nano+{data / 'adapters' / 'one'}")
    assert card.parent["name"] == "one" and card.held_out == 0 and not card.better
    assert "could be measured on 0 images only" in card.verdict
    assert scores("nano+two", data) == pytest.approx(scores("nano+one", data), abs=1e-4)


def test_a_lora_does_not_continue_a_correction(data, capsys):
    learn(data, "start", "--model", "nano", "--rung", "recalibrate")
    spec = f"nano+{data / 'adapters' / 'start'}"
    status = command.main(["--data-dir", str(data), "--model", spec, "--out", "no", "--rung", "lora"])
    assert status == 2 and "which --rung lora cannot continue: give --model nano" in capsys.readouterr().err
