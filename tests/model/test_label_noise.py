"""How far MOS can be trusted: known reliabilities are found again, copies and strangers are no pairs, and the command works on a folder."""

import json

import numpy as np
import pytest

from model import label_noise
from tests.model import published_sets as sets


def shots(count: int, seed: int = 0) -> np.ndarray:
    """Features of `count` scenes, two shots of each in a row, which are alike by a cosine of about .8."""
    draw = np.random.default_rng(seed)
    scenes = np.repeat(draw.normal(size=(count, 512)), 2, axis=0)
    return scenes + draw.normal(size=scenes.shape) * 0.5


def test_two_shots_of_a_scene_are_a_pair():
    pairs = label_noise.look_alikes(shots(50))
    np.testing.assert_array_equal(pairs, np.arange(100).reshape(50, 2))


def test_copies_and_unrelated_images_are_not_pairs():
    seen = shots(3)
    copies = np.repeat(seen[::2], 2, axis=0)
    assert len(label_noise.look_alikes(copies)) == 0
    assert len(label_noise.look_alikes(seen[::2])) == 0


@pytest.mark.parametrize("reliability", [0.3, 0.9])
def test_the_correlation_of_pairs_is_the_reliability(reliability):
    draw = np.random.default_rng(1)
    quality = np.repeat(draw.normal(size=2000), 2) * np.sqrt(reliability)
    mos = quality + draw.normal(size=4000) * np.sqrt(1 - reliability)
    found = label_noise.agreement(mos, np.arange(4000).reshape(2000, 2))
    low, high = found["interval"]
    assert low < reliability < high and found["correlation"] == pytest.approx(reliability, abs=0.05)
    assert found["difference"] == pytest.approx(np.sqrt(2 * (1 - reliability)), rel=0.05)


def test_the_order_of_a_pair_means_nothing():
    first, second = np.random.default_rng(2).normal(size=(2, 1, 30))
    assert label_noise.correlations(first, second) == pytest.approx(label_noise.correlations(second, first))


def test_few_pairs_give_no_correlation():
    found = label_noise.agreement(np.arange(18.0), np.arange(18).reshape(9, 2))
    assert (found["pairs"], found["correlation"], found["interval"], found["difference"]) == (9, None, None, 1.0)


def test_the_command_reports_each_subset(tmp_path, capsys):
    label_noise.report(sets.biq2021(tmp_path / "biq"), tmp_path / "runs")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["subset"] for line in lines] == ["ss01", "ss02", "ss03"]
