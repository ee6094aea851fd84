"""Intervals and verdicts over seeds and images, on figures whose answer is known."""

import numpy as np
import pytest
from scipy import stats

from model.paper.verdicts import (
    CONFIRMED,
    OPEN,
    REFUTED,
    SMALLER,
    Estimate,
    difference,
    estimate,
    holm,
    measure,
    verdict,
)


def test_with_images_that_do_not_matter_the_interval_is_students():
    values = [0.80, 0.82, 0.81, 0.85, 0.79]
    found = estimate(values, [np.full(50, value) for value in values])
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_with_seeds_that_agree_the_interval_is_the_images():
    draws = np.random.default_rng(0).normal(0.8, 0.02, 4000)
    found = estimate([0.8] * 3, [draws] * 3)
    assert (found.low, found.high) == pytest.approx((0.8 - 1.96 * 0.02, 0.8 + 1.96 * 0.02), abs=1e-3)


@pytest.mark.parametrize("of_seeds, of_images", [(1.0, 0.3), (1.0, 1.0), (0.3, 1.0)])
def test_without_a_difference_few_claims_are_decided(of_seeds, of_images):
    random, decided = np.random.default_rng(3), 0
    for _ in range(600):
        values = random.normal(0, of_images) + random.normal(0, of_seeds, 5)
        found = estimate(values, [random.normal(0, of_images, 100)] * 5)
        decided += verdict(found, found.p, None) != OPEN
    assert 0.02 < decided / 600 < 0.085


def test_p_and_interval_agree():
    values = [0.80, 0.82, 0.81, 0.85, 0.79]
    found = estimate(values, [np.full(50, value) for value in values])
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    at_zero = [value - found.low for value in values]
    assert estimate(at_zero, [np.full(50, value) for value in at_zero]).p == pytest.approx(0.05)


def test_holm_by_hand():
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_with_many_claims_without_substance_hardly_any_page_decides_one():
    random = np.random.default_rng(4)
    pages = [[estimate(random.normal(0, 1, 5), np.zeros((5, 9))).p for _ in range(20)] for _ in range(80)]
    assert np.mean([min(page) < 0.05 for page in pages]) > 0.5
    assert np.mean([min(holm(page)) < 0.05 for page in pages]) < 0.1


def test_verdicts_tell_three_kinds_of_undecided_apart():
    def of(mean, seeds=5, paper=None):
        return verdict(Estimate(mean, mean - 0.011, mean + 0.011, seeds), None, paper)

    assert of(0.02) == CONFIRMED and of(-0.02) == REFUTED
    assert of(0.0) == of(0.0, paper=0.01) == OPEN
    assert of(0.0, paper=0.03) == SMALLER
    assert of(0.02, seeds=2) == OPEN  # two seeds say nothing of seeds
    assert verdict(Estimate(0.02, 0.009, 0.031, 5), 0.2, 0.02) == OPEN  # after the correction


@pytest.mark.parametrize(
    "low, high, seeds, expected",
    [(-0.005, 0.007, 5, True), (-0.015, 0.017, 5, False), (0.014, 0.026, 5, False), (-0.005, 0.007, 2, False)],
)
def test_alike_is_shown_and_not_assumed(low, high, seeds, expected):
    assert Estimate((low + high) / 2, low, high, seeds).alike == expected


@pytest.mark.parametrize("spread", [1, 2, 3])
def test_alike_is_two_one_sided_tests(spread):
    values = spread * np.array([0.004, -0.002, 0.003, 0.001, 0.006])
    found = estimate(values, [np.full(50, value) for value in values])
    sides = (
        stats.ttest_1samp(values, bound, alternative=side).pvalue
        for bound, side in ((-0.01, "greater"), (0.01, "less"))
    )
    assert found.alike == (max(sides) < 0.05)


def test_measures_are_those_of_the_metrics_and_their_spread_that_of_theory():
    random = np.random.default_rng(1)
    mos = random.uniform(1, 5, 500)
    measured = measure(mos + random.normal(0, 1, 500), mos)
    r = measured.raw_plcc
    assert measured.values["merit"] == (measured.values["srcc"] + measured.values["plcc"]) / 2
    assert abs(measured.values["plcc"] - r) < 0.01
    assert np.std(measured.draws["plcc"]) == pytest.approx((1 - r**2) / 500**0.5, rel=0.3)  # of normal variables


def test_a_reversed_score_has_no_merit_by_its_fit():
    mos = np.linspace(1, 5, 50)
    assert measure(-mos, mos).values["srcc"] == -1


def test_constant_scores_have_no_merit():
    measured = measure([3.0] * 50, np.linspace(1, 5, 50))
    assert measured.values["merit"] == 0 and not measured.draws["merit"].any()


def test_test_sets_count_alike():
    random = np.random.default_rng(2)
    mos = random.uniform(1, 5, (2, 200))
    good, bad = ([measure(m + random.normal(0, s, 200), m) for m in mos] for s in (0.3, 2.0))
    found = difference([[good[0], bad[1]]], [[bad[0], bad[1]]])
    assert found.mean == pytest.approx((good[0].values["merit"] - bad[0].values["merit"]) / 2)
