"""The rules of P.910 for crowds."""

import numpy as np

from annotations.statistics.ratings import from_table
from annotations.statistics.screening import outliers, straight_lines


def test_who_always_says_the_same_draws_a_straight_line():
    table = np.full((4, 12), np.nan)
    table[0] = 3
    table[1] = [3] * 11 + [5]  # variance 1/3
    table[2] = [3] * 11 + [4]  # variance 1/12
    table[3, :5] = 3  # too few to say
    assert straight_lines(from_table(table), 1, 5).tolist() == [True, False, True, False]
    assert straight_lines(from_table(25 * (table - 1)), 0, 100).tolist() == [True, False, True, False]


def test_a_rating_far_from_all_others_of_its_image_is_an_outlier():
    table = np.column_stack([[3.0] * 18 + [4.0] * 2 + [1.0], [1.0, 5.0] * 10 + [3.0], [3.0] * 21, [2.0] * 20 + [5.0]])
    ratings = from_table(table)
    found = ratings.only(outliers(ratings))
    assert (found.rater.tolist(), found.image.tolist()) == ([20, 20], [0, 3])
