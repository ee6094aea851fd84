"""Bradley–Terry scores."""

import numpy as np
import pytest

from annotations.statistics.comparison import bradley_terry


def test_two_images_have_the_log_odds_of_their_wins():
    found = bradley_terry(np.array([[0, 30.0], [10, 0]]))  # and half a win of each by the prior
    odds = np.log(30.5 / 10.5)
    np.testing.assert_allclose(found.score, [odds / 2, -odds / 2], atol=1e-6)
    information = 41 * (30.5 / 41) * (10.5 / 41)
    np.testing.assert_allclose(found.half, 1.96 / (2 * np.sqrt(information)), rtol=1e-3)


def test_intervals_hold_the_true_scores_19_times_in_20():
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1, 12)
    true -= true.mean()
    beats, held = 1 / (1 + np.exp(true[None, :] - true[:, None])), []
    for _ in range(40):
        upper = np.triu(rng.binomial(30, beats), 1)
        wins = upper + np.tril(30 - upper.T, -1)
        found = bradley_terry(wins)
        held.append(np.abs(found.score - true) < found.half)
    assert 0.9 < np.mean(held) < 0.99


def test_an_image_that_always_wins_or_was_never_shown_is_no_failure():
    wins = np.array([[0, 5, 0, 0], [0, 0, 5, 0], [0, 0, 0, 0], [0, 0, 0, 0.0]])
    found = bradley_terry(wins)
    assert found.score[0] > found.score[1] > found.score[2] and np.isfinite(found.half[:3]).all()
    assert np.isnan([found.score[3], found.half[3]]).all()
    assert np.isnan(bradley_terry(np.zeros((3, 3))).score).all()


@pytest.mark.parametrize("times", [1, 4])
def test_ties_bring_scores_together(times):
    tied = np.array([[0, 0.5], [0.5, 0]]) * times
    np.testing.assert_allclose(bradley_terry(tied).score, [0, 0], atol=1e-9)
