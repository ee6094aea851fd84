"""What stands out in the way in which a rater answers."""

import pytest

from annotations.statistics.habits import FAST, RUN, fast_ratings, habits_in_words, longest_run

CAREFUL = [2.5, 4.0] * 20
MIXED = [1, 3, 4, 2, 5, 3, 3, 4] * 5


@pytest.mark.parametrize(
    ("values", "run"), [([], 0), ([3], 1), ([1, 2, 2, 2, 1, 1], 3), ([4.0, 4, 4.5], 2), ([3] * 20, 20)]
)
def test_the_longest_run(values, run):
    assert longest_run(values) == run


def test_ratings_without_a_time_are_neither_fast_nor_slow():
    assert fast_ratings([None, FAST, FAST - 0.01, 0, 9, None]) == (2, 4)
    assert fast_ratings([]) == (0, 0)


@pytest.mark.parametrize(
    ("seconds", "values", "said"),
    [
        (CAREFUL, MIXED, None),
        ([], [], None),
        ([0.1] * 9, MIXED[:9], None),  # too few to judge
        ([0.1] * 4 + CAREFUL[4:], MIXED, None),  # a slip is no habit
        ([0.1] * 5 + CAREFUL[5:], MIXED, "5 of 40 ratings took less than 0.8 s"),
        (CAREFUL, [*MIXED, *[3] * (RUN - 1)], None),
        (CAREFUL, [*MIXED, *[3] * RUN], f"the same rating {RUN} times in a row"),
        ([0.1] * 40, [3] * 40, "40 of 40 ratings took less than 0.8 s; the same rating 40 times in a row"),
        ([None] * 40, MIXED, None),
    ],
)
def test_fast_answers_and_long_runs_are_told(seconds, values, said):
    assert habits_in_words(seconds, values) == said
