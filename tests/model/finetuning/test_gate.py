import numpy as np
import pytest

from model.finetuning.gate import judge

MOS = np.random.default_rng(0).uniform(1, 5, 60)
NOISE = np.random.default_rng(1).normal(0, 1, 60)


def test_less_noise_is_better_more_is_worse_and_the_same_is_neither():
    close, far = MOS + 0.3 * NOISE, MOS + NOISE
    assert judge(MOS, far, close, "nano")[0]
    better, verdict = judge(MOS, close, far, "nano")
    assert not better and verdict.startswith("Worse than nano: its")
    better, verdict = judge(MOS, far, far, "nano")
    assert not better and "Not shown to be better than nano" in verdict and "95 % are required" in verdict


def test_scores_brought_onto_the_raters_scale_are_better_though_their_order_stays():
    better, verdict = judge(MOS, MOS - 1, MOS, "nano")
    assert better and "RMSE" in verdict


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_images_show_nothing(count):
    better, verdict = judge(MOS[:count], MOS[:count] + 1, MOS[:count], "nano")
    assert not better and f"on {count} images only" in verdict
