"""Intervals and verdicts over seeds and images, on figures whose answer is known."""

import numpy as np
import pytest
from scipy import stats

from model.paper.verdicts import Estimate, difference, estimate, measure, verdict


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
        decided += verdict(estimate(values, [random.normal(0, of_images, 100)] * 5)) != "undecided"
    assert 0.02 < decided / 600 < 0.085


def test_verdicts():
    assert verdict(Estimate(0.02, 0.01, 0.03, 5)) == "confirmed"
    assert verdict(Estimate(-0.02, -0.03, -0.01, 5)) == "refuted"
    assert verdict(Estimate(0.02, -0.01, 0.05, 5)) == "undecided"
    assert verdict(Estimate(0.02, 0.01, 0.03, 2)) == "undecided"  # two seeds say nothing of seeds


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
