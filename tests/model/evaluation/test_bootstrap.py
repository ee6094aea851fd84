"""Figures of many samples at once are those of the same samples one by one, by scipy, ties and constant values included."""

import warnings

import numpy as np
import pytest
from scipy import stats

from model.evaluation import bootstrap
from model.evaluation.bootstrap import interval, kendall, pearson, ranks, resample
from model.evaluation.metrics import plcc, srcc


def cases():
    random = np.random.default_rng(4)
    y = random.uniform(1, 5, 60)
    x = y + random.normal(0, 1, 60)
    return {
        "no ties": (x, y),
        "ties": (x.round(), y.round()),
        "backwards": (-x, y),
        "mostly one value": (np.where(np.arange(60) < 2, 1.0, 2.0), y),  # many samples hold one value only
        "nearly constant": (1 + 1e-16 * random.integers(0, 4, 60), y),
    }


@pytest.mark.parametrize("case", cases())
def test_each_sample_has_the_figure_that_it_has_alone(case, monkeypatch):
    monkeypatch.setattr(bootstrap, "COLUMNS", 7)  # Kendall's matrix in several pieces
    x, y = cases()[case]
    picks = np.random.default_rng(0).integers(len(y), size=(100, len(y)))
    np.testing.assert_array_equal(ranks(x, picks), stats.rankdata(x[picks], axis=1))
    found = [pearson(x[picks], y[picks]), pearson(ranks(x, picks), ranks(y, picks)), kendall(x, y, picks)]
    with warnings.catch_warnings(action="ignore"):
        tau = [stats.kendalltau(x[pick], y[pick]).statistic for pick in picks]
    alone = [[plcc(x[pick], y[pick]) for pick in picks], [srcc(x[pick], y[pick]) for pick in picks], tau]
    np.testing.assert_allclose(found, alone, atol=1e-12)
    assert np.isnan(found[0]).any() == (case == "mostly one value")


def test_samples_do_not_depend_on_how_many_are_computed_at_once(monkeypatch):
    values = np.random.default_rng(1).normal(size=40)
    together = resample(lambda picks: {"mean": values[picks].mean(1)}, 40)["mean"]
    monkeypatch.setattr(bootstrap, "AT_ONCE", 40 * 7)
    pieces = resample(lambda picks: {"mean": values[picks].mean(1)}, 40)["mean"]
    assert together.shape == (bootstrap.RESAMPLES,) and np.array_equal(together, pieces)
    assert together.std() == pytest.approx(values.std() / 40**0.5, rel=0.1)


def test_an_interval_leaves_out_samples_without_a_figure():
    assert interval(np.array([*np.linspace(0, 1, 41), np.nan])) == pytest.approx([0.025, 0.975])
    assert interval(np.array([np.nan])) is None
