"""How many raters' mean a scorer is worth: found again where people are drawn at random and the answer is known."""

import json

import numpy as np
import pytest

from model.common.errors import DataError
from model.evaluation.metrics import plcc
from model.evaluation.raters import raters_worth, scorers_worth


def study(images=4000, raters=30, spread=0.7, seed=0):
    """True quality, MOS and std of ratings, and a function that gives the mean of k fresh raters."""
    random = np.random.default_rng(seed)
    quality = random.normal(3, 0.8, images)
    ratings = quality[:, None] + random.normal(0, spread, (images, raters))
    fresh = lambda k: quality + random.normal(0, spread, (images, k)).mean(1)  # noqa: E731
    return quality, ratings.mean(1), ratings.std(1, ddof=1), fresh


@pytest.mark.parametrize("k", [1, 3, 8])
def test_the_mean_of_k_people_is_worth_k_people(k):
    _, mos, std, fresh = study()
    found = raters_worth(fresh(k), mos, std, 30)
    for name in ("by_correlation", "by_error"):
        low, high = found["intervals"][name]
        assert found[name] == pytest.approx(k, rel=0.08) and low < k * 1.02 and high > k * 0.98


def test_few_ratings_a_mos_are_allowed_for():
    _, mos, std, fresh = study(raters=5)
    scores = fresh(4)
    assert raters_worth(scores, mos, std, 5)["by_error"] == pytest.approx(4, rel=0.1)
    blind = raters_worth(scores, mos, std, None)  # noise of the MOS is taken for the scorer's: 1/4 + 1/5
    assert blind["by_error"] == pytest.approx(1 / (1 / 4 + 1 / 5), rel=0.1)


def test_one_rater_and_the_ceiling_are_what_they_are():
    quality, mos, std, fresh = study(raters=6)
    found = raters_worth(fresh(2), mos, std, 6)
    assert found["one_rater_plcc"] == pytest.approx(plcc(fresh(1), quality), abs=0.01)
    assert found["ceiling_plcc"] == pytest.approx(plcc(mos, quality), abs=0.01)
    assert found["std"] == pytest.approx(0.7, abs=0.01)


def test_a_scorer_off_the_scale_loses_by_error_only_and_one_that_ranks_backwards_is_worth_nobody():
    _, mos, std, fresh = study()
    scores = fresh(4)
    shifted = raters_worth(scores + 0.7, mos, std, 30)
    assert shifted["by_correlation"] == pytest.approx(4, rel=0.08)
    assert shifted["by_error"] == pytest.approx(0.49 / (0.49 / 4 + 0.49), rel=0.08)
    assert raters_worth(6 - scores, mos, std, 30)["by_correlation"] == 0


def test_a_scorer_on_any_scale_is_worth_what_it_is_after_the_fit():
    _, mos, std, fresh = study(images=1000)
    found = scorers_worth(np.tanh(fresh(4) / 3 - 1) * 50, mos, std, 30)
    assert found["by_correlation"] == pytest.approx(4, rel=0.2) and "note" not in found
    with pytest.raises(DataError, match="logistic fit"):
        scorers_worth(mos[:4], mos[:4], std[:4], 30)
    with pytest.raises(DataError, match="each image needs one of each"):
        scorers_worth(mos[:-1], mos, std, 30)


@pytest.mark.parametrize("turned", [lambda scores: -scores, np.zeros_like], ids=["backwards", "constant"])
def test_a_scorer_that_ranks_backwards_is_worth_nobody_though_the_fit_turns_it_upright(turned):
    _, mos, std, fresh = study(images=100)
    found = scorers_worth(turned(fresh(5)), mos, std, 30)
    assert (found["by_correlation"], found["by_error"], found["intervals"]) == (0, 0, None)
    assert "equivalent to 0 raters" in found["note"] and found["one_rater_plcc"] > 0.5
    json.dumps(found, allow_nan=False)


def test_a_scorer_that_the_mos_cannot_tell_from_perfect_has_no_number():
    quality, mos, std, _ = study(images=60, raters=4)
    found = raters_worth(mos, mos, std, 4)  # it knows even the noise
    assert found["by_correlation"] is None and found["by_error"] is None
    assert found["intervals"]["by_error"] == [None, None]
    json.dumps(found, allow_nan=False)
    assert raters_worth(quality[:8], mos[:8], std[:8], 4)["intervals"] is None


def test_invalid_ratings_are_refused():
    _, mos, std, fresh = study(images=50)
    for arguments, sentence in [
        ((mos[:-1], mos, std, 30), "each image needs one of each"),
        ((mos, mos, 0.0, 30), "not 0 for all images"),
        ((mos, mos, -std, 30), "must be at least 0"),
        ((mos, mos, 5.0, 1), "does not exceed their noise"),
    ]:
        with pytest.raises(DataError, match=sentence):
            raters_worth(*arguments)
