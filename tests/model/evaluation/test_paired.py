"""Two systems on the same images: Williams' test against published figures, and tests that are right as often as they claim."""

import json

import numpy as np
import pytest

from model.common.errors import DataError
from model.evaluation.metrics import plcc, srcc
from model.evaluation.paired import compare, williams


def systems(n=300, first=0.3, second=0.5, shared=0.4, seed=0):
    """MOS and two systems whose errors hang together."""
    random = np.random.default_rng(seed)
    mos, common = random.normal(3, 1, n), random.normal(0, shared, n)
    return mos + common + random.normal(0, first, n), mos + common + random.normal(0, second, n), mos


def test_williams_test_gives_the_textbooks_figures():
    # Howell, Statistical Methods for Psychology, 6th edition, p. 262: t(23) = 1.36, p = .187.
    assert williams(0.80, 0.72, 0.89, 26) == (pytest.approx(1.361, abs=5e-4), pytest.approx(0.187, abs=5e-4))
    assert williams(0.72, 0.80, 0.89, 26)[0] == pytest.approx(-1.361, abs=5e-4)


def test_williams_test_rejects_a_true_hypothesis_as_rarely_as_it_says():
    p = []
    for seed in range(400):
        first, second, mos = systems(60, 0.4, 0.4, seed=seed)
        p.append(williams(plcc(first, mos), plcc(second, mos), plcc(first, second), 60)[1])
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.08


def test_a_better_system_is_found_better_by_both_and_a_swap_turns_all_over():
    first, second, mos = systems()
    found, swapped = compare(first, second, mos), compare(second, first, mos)
    for name, figure in (("srcc", srcc), ("plcc", plcc)):
        one = found[name]
        assert (one["first"], one["second"]) == (pytest.approx(figure(first, mos)), pytest.approx(figure(second, mos)))
        assert 0 < one["interval"][0] < one["difference"] < one["interval"][1]
        assert one["p_bootstrap"] < 0.02 and one["p_williams"] < 0.001
        assert swapped[name]["difference"] == -one["difference"] and swapped[name]["williams_t"] == -one["williams_t"]
        assert swapped[name]["interval"] == pytest.approx([-end for end in one["interval"][::-1]])


def test_pairing_sees_what_two_separate_intervals_do_not():
    first, second, mos = systems(200, 0.1, 0.35, shared=0.8)
    random, draws = np.random.default_rng(1), {0: [], 1: []}
    for which, scores in enumerate((first, second)):
        for _ in range(300):
            pick = random.integers(200, size=200)
            draws[which].append(srcc(scores[pick], mos[pick]))
    low, high = np.percentile(draws[0], 2.5), np.percentile(draws[1], 97.5)
    assert low < high  # the separate intervals overlap
    assert compare(first, second, mos)["srcc"]["interval"][0] > 0


def test_equal_systems_and_few_images_leave_null_what_is_not_defined():
    first, _, mos = systems(40)
    same = compare(first, first, mos)["srcc"]
    assert (same["difference"], same["williams_t"], same["p_williams"], same["p_bootstrap"]) == (0, None, None, 1)
    few = compare([1.0, 2, 3], [3.0, 2, 1], [1.0, 2, 3])["srcc"]
    assert few["difference"] == pytest.approx(2)
    assert (few["interval"], few["p_bootstrap"], few["p_williams"]) == (None, None, None)
    json.dumps(compare([1.0], [1.0], [1.0]), allow_nan=False)
    with pytest.raises(DataError, match="each image needs one of each"):
        compare([1.0, 2], [1.0], [1.0, 2])
