"""'Why regress?': what is said beside the charts."""

import pytest

from app.conversion_error import in_words, where_deqa_errs


def test_the_words_give_each_methods_score_and_error():
    said = in_words(3.5, 0.8)
    assert "teaches “good” and gets back 4.00, off by +0.50 points" in said
    assert "is taught 3.50 and loses nothing" in said
    assert "off by −0.70" in in_words(1.7, 0.8)


def test_deqas_estimate_of_a_small_spread_is_shown_to_be_wrong():
    said = in_words(3.5, 0.1)
    assert "gets back 3.50, which is exact" in said and "for 0.50 instead of 0.10" in said


@pytest.mark.parametrize(
    ("mos", "words"), [(3.0, "never off"), (1.7, "only for spreads between 0.43 and 0.77"), (4.5, "from 0.64 on")]
)
def test_it_is_said_for_which_spreads_deqa_loses(mos, words):
    assert words in where_deqa_errs(mos)
