"""What the page says in words."""

import pytest

from app.score_in_words import (
    certainty,
    difference_in_words,
    disagreement,
    distribution_in_words,
    level_word,
    percent,
    warnings,
)
from tests.app.examples import assessment


@pytest.mark.parametrize(
    "score, word", [(1, "bad"), (2, "poor"), (3, "fair"), (4, "good"), (5, "excellent"), (3.4, "fair")]
)
def test_each_whole_rating_has_its_acr_word_and_an_edge_the_one_below(score, word):
    assert level_word(score, (1, 5)) == word


def test_the_word_follows_the_scale():
    assert level_word(0.5, (0, 1)) == "fair"
    assert level_word(4.5, (0, 5)) == "excellent"


def test_a_clear_answer_reads_as_sure():
    assert "fairly sure: 90 % for “good”" in certainty(assessment(3.9, (0.01, 0.02, 0.03, 0.9, 0.04)))


def test_two_neighbours_read_as_wavering():
    assert "wavers between “good” and “excellent”: 91 %" in certainty(assessment(3.9, (0.01, 0.02, 0.06, 0.5, 0.41)))


def test_a_flat_distribution_reads_as_unsure():
    assert "unsure: no answer has more than 20 %" in certainty(assessment(3, (0.2,) * 5))


@pytest.mark.parametrize(
    "score, probabilities, said",
    [
        (4.18, (0, 0, 0.02, 0.36, 0.62), "just below the border to “excellent”, which the model finds likelier"),
        (4.25, (0, 0, 0.02, 0.62, 0.36), "just above the border to “good”, which the model finds likelier"),
        (3.0, (0, 0, 0.3, 0.1, 0.6), "finds “excellent” likeliest, but its regressor gives a lower score"),
        (3.08, (0.45, 0, 0, 0.1, 0.45), "finds “bad” likeliest, but the score weighs the other levels too"),
    ],
)
def test_a_word_that_is_not_the_likeliest_one_is_explained(score, probabilities, said):
    assert said in disagreement(assessment(score, probabilities))


def test_a_word_that_is_the_likeliest_one_needs_no_explanation():
    assert disagreement(assessment()) == ""


def test_little_token_mass_is_a_warning():
    (warning,) = warnings(assessment(mass=0.15))
    assert "Take it with care: only 15 %" in warning
    assert warnings(assessment(mass=0.95)) == []


def test_a_score_outside_of_the_distribution_is_a_warning():
    sure = (0, 0, 0, 0.5, 0.5)
    (warning,) = warnings(assessment(1.5, sure))
    assert "regressed score is 1.5, but 90% of the tokens' probability lies between 3.5 and 4.9" in warning
    assert warnings(assessment(3.6, sure)) == []
    weighted = assessment(
        score=3.0, probabilities=(0.5, 0, 0, 0, 0.5)
    )  # Q-Align's: the score is the expectation, between two peaks
    assert weighted.score == weighted.expectation and warnings(weighted) == []


def test_the_chart_in_words_holds_every_number_of_the_chart():
    words = distribution_in_words(assessment())
    for part in ("bad (1.0 to 1.8) 1 %", "excellent (4.2 to 5.0) 29 %", "Score 3.88", "from 1 to 5"):
        assert part in words


def test_a_share_is_never_rounded_to_none_or_all():
    assert [percent(share) for share in (0, 0.001, 0.416, 0.999, 1)] == [
        "0 %",
        "under 1 %",
        "42 %",
        "over 99 %",
        "100 %",
    ]


def test_a_difference_names_the_higher_one():
    assert difference_in_words(40, 52.5, ("A", "B")) == "B is 12.5 points of 100 above A."
    # 28.0 and 18.1, as they are shown.
    assert difference_in_words(28.04, 18.06, ("A", "B")) == "A is 9.9 points of 100 above B."
    assert "agree" in difference_in_words(40, 40.3, ("A", "B"))
