"""'Why regress?': what is said beside the charts."""

import pytest

from app.conversion_error import in_words, show, where_deqa_errs


def test_the_words_give_each_methods_score_and_error():
    said = in_words(3.5, 0.8)
    assert "teaches “good” and gets back 4.00, off by +0.50 points" in said
    assert "is taught 3.50 and loses nothing" in said
    assert "off by −0.70" in in_words(1.7, 0.8)


def test_deqas_estimate_of_a_small_spread_is_shown_to_be_wrong():
    said = in_words(3.5, 0.1)
    assert "gets back 3.50, which is exact" in said and "for 0.50 instead of 0.10" in said


def test_a_spread_that_the_mean_does_not_allow_is_not_shown():
    said, _, errors = show(4.95, 1.2)  # the most is √(3.95 · 0.05)
    assert "cannot spread by more than 0.44" in said and "instead of 0.44" in said
    assert max(errors.data[0].x) <= 0.444 and errors.layout.shapes[0].x0 == pytest.approx(0.444, abs=1e-3)
    assert "cannot" not in show(4.5, 0.8)[0]
    assert all("nan" not in show(mean, 1.2)[0] for mean in (1, 3, 5))


@pytest.mark.parametrize(
    ("mos", "words"), [(3.0, "never off"), (1.7, "only for spreads between 0.43 and 0.77"), (4.5, "from 0.64 on")]
)
def test_it_is_said_for_which_spreads_deqa_loses(mos, words):
    assert words in where_deqa_errs(mos)
