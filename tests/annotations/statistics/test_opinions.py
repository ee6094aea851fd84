"""MOS of many images, the SOS parameter and the number of raters."""

import numpy as np
import pytest
from scipy.stats import t

from annotations import opinion
from annotations.statistics.opinions import opinions, raters_needed, sos_parameter
from annotations.statistics.ratings import Ratings, from_table

nan = np.nan


def test_it_is_what_one_image_at_a_time_gives():
    table = np.array([[1, 5, 3, nan], [2, 5, nan, nan], [4, 5, nan, nan]])
    found = opinions(from_table(table))
    for image, votes in enumerate(([1.0, 2, 4], [5.0, 5, 5], [3.0])):
        one = opinion(votes)
        assert found.n[image] == one.n and found.mos[image] == pytest.approx(one.mos)
        if one.std is not None:
            assert found.std[image] == pytest.approx(one.std)
            assert found.half[image] == pytest.approx((one.interval[1] - one.interval[0]) / 2)
    assert np.isnan([found.std[2], found.half[2], found.mos[3], found.std[3]]).all() and found.n[3] == 0


def test_without_ratings_there_is_nothing_but_no_failure():
    empty = Ratings(np.array([], int), np.array([], int), np.array([]), 2, 3)
    assert opinions(empty).n.tolist() == [0, 0, 0]


def test_the_sos_parameter_of_known_distributions():
    mos = np.linspace(1.2, 4.8, 9)
    assert sos_parameter(mos, np.sqrt(0.2 * (mos - 1) * (5 - mos)), 1, 5) == pytest.approx(0.2)
    both_ends = from_table(np.array([[1, 5, 5], [5, 5, 1], [1, 1, 5], [5, 1, 5.0]]))
    found = opinions(both_ends)
    population = found.std * np.sqrt(3 / 4)  # Hoßfeld's bound is of the distribution, not of a sample
    assert sos_parameter(found.mos, population, 1, 5) == pytest.approx(1.0)
    assert sos_parameter(np.array([1.0, 5.0]), np.array([0.0, 0.0]), 1, 5) is None
    assert sos_parameter(np.array([3.0]), np.array([nan]), 1, 5) is None


@pytest.mark.parametrize(("std", "width"), [(0.8, 0.5), (0.8, 0.1), (1.2, 3.0), (0.0, 0.1), (20.0, 5.0)])
def test_the_smallest_number_of_raters_for_an_interval(std, width):
    n = raters_needed(std, width)
    assert 2 * t.ppf(0.975, n - 1) * std / np.sqrt(n) <= width
    assert n == 2 or 2 * t.ppf(0.975, n - 2) * std / np.sqrt(n - 1) > width


def test_no_number_of_raters_makes_an_interval_vanish():
    with pytest.raises(ValueError, match="must be positive"):
        raters_needed(0.8, 0.0)
