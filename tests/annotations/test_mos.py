"""What votes become."""

import math

import pytest
from scipy import stats

from annotations import opinion


def test_mos_std_and_interval_agree_with_scipy():
    votes = [1.0, 2.5, 3.0, 4.5, 4.0]
    result = opinion(votes)
    expected = stats.t.interval(0.95, 4, loc=sum(votes) / 5, scale=stats.sem(votes))
    assert result.mos == pytest.approx(3.0)
    assert result.std == pytest.approx(math.sqrt(sum((vote - 3.0) ** 2 for vote in votes) / 4))
    assert result.interval == pytest.approx(expected)
    assert result.n == 5


def test_a_single_vote_has_no_spread_and_equal_votes_have_none_to_show():
    assert (opinion([4.0]).mos, opinion([4.0]).std, opinion([4.0]).interval) == (4.0, None, None)
    assert (opinion([4.0, 4.0]).std, opinion([4.0, 4.0]).interval) == (0.0, (4.0, 4.0))


def test_no_votes_are_no_opinion():
    with pytest.raises(ValueError):
        opinion([])


def test_blind_mos_keeps_the_blind_vote_and_the_other_takes_the_latest(store, shown):
    sha256 = store.record_rating("Ann", b"image", 2.0, suffix="jpg").sha256
    store.record_rating("Ann", sha256, 4.0, shown=shown)
    store.record_rating("Bob", sha256, 3.0)
    store.record_rating("Cid", sha256, 5.0, shown=shown)
    [blind], [revealed] = store.summaries(), store.summaries(include_revealed=True)
    assert (blind.opinion.mos, blind.opinion.n) == (2.5, 2)
    assert (revealed.opinion.mos, revealed.opinion.n) == (4.0, 3)
    counts = store.counts()
    assert (counts.ratings, counts.blind, counts.revealed, counts.raters, counts.images) == (4, 2, 2, 3, 1)


def test_an_image_with_revealed_votes_only_has_no_blind_mos(store, shown):
    store.record_rating("Ann", b"image", 2.0, suffix="jpg", shown=shown)
    assert store.summaries() == []
    assert len(store.summaries(include_revealed=True)) == 1
