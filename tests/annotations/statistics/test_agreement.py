"""Agreement against published figures and the krippendorff package."""

import krippendorff
import numpy as np
import pytest

from annotations.statistics.agreement import (
    alpha_without_each,
    krippendorff_alpha,
    split_half,
    test_retest,
    variance_components,
)
from annotations.statistics.ratings import Ratings, from_table

# Shrout and Fleiss (1979), table 2: six targets (rows) by four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
).T
retest = test_retest  # by another name, so that pytest does not take it for a test
del test_retest


def test_the_intraclass_correlations_of_shrout_and_fleiss():
    found = variance_components(from_table(SHROUT_FLEISS))
    assert (round(found.icc_one, 2), round(found.icc_mean, 2)) == (0.29, 0.62)  # their table 4: ICC(2,1), ICC(2,4)
    # Their analysis of variance has mean squares of 11.24, 32.49 and 1.02.
    assert found.left == pytest.approx(1.02, abs=0.005)
    assert found.images == pytest.approx((11.24 - 1.02) / 4, abs=0.01)
    assert found.raters == pytest.approx((32.49 - 1.02) / 6, abs=0.01)


def test_variance_components_of_an_incomplete_table_are_near_the_simulated_ones():
    rng = np.random.default_rng(0)
    table = rng.normal(0, 1.0, 400) + rng.normal(0, 0.5, (200, 1)) + rng.normal(0, 0.7, (200, 400)) + 3
    table[rng.random(table.shape) < 0.9] = np.nan
    found = variance_components(from_table(table))
    assert found.images == pytest.approx(1.0, rel=0.2)
    assert found.raters == pytest.approx(0.25, rel=0.3)
    assert found.left == pytest.approx(0.49, rel=0.05)


@pytest.mark.parametrize(
    "table", [[[1.0, 2, 3]], [[1.0], [2]], [[1.0, np.nan], [np.nan, 2]], np.full((3, 3), 2.0), np.full((2, 2), np.nan)]
)
def test_components_that_cannot_be_told_apart_are_none(table):
    assert variance_components(from_table(np.array(table))) is None


@pytest.mark.parametrize("missing", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("continuous", [False, True])
def test_alpha_is_that_of_the_krippendorff_package(missing, continuous):
    rng = np.random.default_rng(3)
    table = rng.normal(3, 1, 30) + rng.normal(0, 0.8, (12, 30))
    table = table if continuous else np.clip(np.round(table), 1, 5)
    table[rng.random(table.shape) < missing] = np.nan
    expected = krippendorff.alpha(table, level_of_measurement="interval")
    assert krippendorff_alpha(from_table(table)) == pytest.approx(expected)


def test_alpha_of_agreement_is_one_and_of_nothing_to_compare_none():
    assert krippendorff_alpha(from_table(np.array([[1.0, 2], [1, 2]]))) == 1
    assert krippendorff_alpha(from_table(np.array([[1.0, np.nan], [np.nan, 2]]))) is None
    assert krippendorff_alpha(from_table(np.full((2, 2), 3.0))) is None
    assert krippendorff_alpha(Ratings(np.array([], int), np.array([], int), np.array([]), 0, 0)) is None


def test_repeats():
    found = retest(np.array([1.0, 2, 3, 4]), np.array([2.0, 3, 4, 5]))
    assert (found.n, found.rms, found.shift) == (4, 1.0, 1.0) and found.correlation == pytest.approx(1.0)
    assert retest(np.array([3.0, 3, 3]), np.array([2.0, 3, 4])).correlation is None
    assert retest(np.array([]), np.array([])) is None


def test_halves_of_raters_who_agree_give_one_order_and_of_chance_none():
    rng = np.random.default_rng(0)
    quality = rng.uniform(1, 5, 80)
    agreeing = split_half(from_table(quality + rng.normal(0, 0.2, (10, 80))), splits=50)
    chance = split_half(from_table(rng.uniform(1, 5, (10, 80))), splits=50)
    assert agreeing.srcc > 0.99 and agreeing.interval[0] > 0.97 and agreeing.splits == 50
    assert abs(chance.srcc) < 0.25 and chance.interval[0] < 0 < chance.interval[1]
    assert split_half(from_table(np.array([[1.0, 2, 3]]))) is None


def test_alpha_without_each_rater_is_that_of_the_others():
    rng = np.random.default_rng(3)
    table = rng.integers(1, 6, (7, 12)).astype(float)
    table[rng.random(table.shape) < 0.5] = np.nan
    table[6] = np.nan
    table[6, 0] = 3
    ratings = from_table(table)
    found = alpha_without_each(ratings)
    for rater in range(7):
        others = krippendorff_alpha(ratings.only(ratings.rater != rater))
        assert found[rater] == pytest.approx(others)
    assert np.isnan(alpha_without_each(from_table(np.array([[1.0, 2.0], [2.0, 2.0]])))).all()
