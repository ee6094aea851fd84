"""The figures agree with scipy and with DeQA-Score's own evaluation, and say so when they are not defined."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from model.common.errors import DataError
from model.evaluation import metrics
from model.evaluation.metrics import FIGURES, figures, point_figures

# Predictions, MOS and correlations written by DeQA-Score's evaluation (zhiyuanyou/DeQA-Score @8e4abc8).
UPSTREAM = json.loads((Path(__file__).parent / "fixtures" / "evaluation.json").read_text())


def pairs(n=80, noise=0.4, seed=3):
    random = np.random.default_rng(seed)
    mos = random.uniform(1, 5, n)
    return mos + random.normal(0, noise, n), mos


@pytest.mark.parametrize("case", sorted(UPSTREAM))
def test_raw_and_fitted_correlations_are_upstreams(case):
    upstream = UPSTREAM[case]
    found = point_figures(upstream["pred"], upstream["gt"])
    for name, theirs in [
        ("srcc", "raw_srcc"),
        ("plcc", "raw_plcc"),
        ("srcc_fitted", "fitted_srcc"),
        ("plcc_fitted", "fitted_plcc"),
    ]:
        assert found[name] == pytest.approx(upstream[theirs], abs=1e-6), name


def test_correlations_are_scipys_ties_included():
    x, y = (np.round(values) for values in pairs())
    assert metrics.srcc(x, y) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)
    assert metrics.plcc(x, y) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)
    assert metrics.krcc(x, y) == pytest.approx(stats.kendalltau(x, y)[0], abs=1e-12)


def test_krcc_after_the_fit_is_kendalls_of_the_fitted_scores_and_turned_upright():
    x, y = pairs()
    fitted = metrics.logistic(x, *metrics.fit_logistic(x, y))
    found, backwards = point_figures(x, y), figures(-x, y)
    assert found["krcc_fitted"] == pytest.approx(stats.kendalltau(fitted, y)[0], abs=1e-12)
    assert backwards["krcc"] == pytest.approx(-found["krcc"]) and backwards["krcc_fitted"] > 0.5
    low, high = backwards["intervals"]["krcc_fitted"]
    assert 0 < low < backwards["krcc_fitted"] < high
    assert list(FIGURES) == [key for key in found if key not in ("n", "notes")]


def test_rmse_is_on_the_scale_of_the_labels_whatever_the_models_scale():
    x, y = pairs()
    assert metrics.rmse([1, 2], [1, 4]) == pytest.approx(2**0.5)
    assert point_figures(x * 20 + 7, y)["rmse"] == pytest.approx(point_figures(x, y)["rmse"], rel=1e-4)
    assert point_figures(x, y)["rmse"] <= metrics.rmse(x, y)


def test_a_logistic_relation_is_found_again():
    x = np.linspace(-2, 6, 60)
    y = metrics.logistic(x, 4.5, 1.2, 2.5, 0.7)
    assert metrics.fit_logistic(x, y)[:3] == pytest.approx([4.5, 1.2, 2.5], abs=1e-5)


def test_an_interval_covers_its_figure_and_narrows_with_more_images():
    few, many = (figures(*pairs(n)) for n in (40, 640))
    for name in FIGURES:
        (low, high), (closer_low, closer_high) = few["intervals"][name], many["intervals"][name]
        assert low <= few[name] <= high, name
        assert closer_high - closer_low < high - low, name


def test_intervals_are_as_wide_as_theory_says():
    x, y = pairs(400)
    low, high = figures(x, y)["intervals"]["plcc"]
    theory = np.tanh(np.arctanh(metrics.plcc(x, y)) + np.array([-1.96, 1.96]) / (400 - 3) ** 0.5)  # Fisher's z
    assert (low, high) == pytest.approx(theory, abs=0.006)


def test_intervals_are_the_same_each_time_and_figures_without_them_the_same():
    found = figures(*pairs())
    assert found == figures(*pairs())
    assert point_figures(*pairs()) == {key: value for key, value in found.items() if key != "intervals"}


@pytest.mark.parametrize(
    ("predictions", "mos", "undefined", "note"),
    [
        ([], [], FIGURES, "no images"),
        ([2.0], [3.0], FIGURES, "a single image"),
        ([2.0] * 12, list(range(12)), FIGURES, "all predictions are equal"),
        (list(range(12)), [2.0] * 12, FIGURES, "all opinion scores are equal"),
        ([2.0] * 12, [3.0] * 12, FIGURES, "all predictions and all opinion scores are equal"),
        (
            [1.0, 2.0, 4.0, 3.0],
            [1, 2, 3, 4],
            ("srcc_fitted", "plcc_fitted", "krcc_fitted", "rmse"),
            "fewer than 5 images",
        ),
    ],
)
def test_what_is_not_defined_is_null_and_said(predictions, mos, undefined, note):
    found = figures(predictions, mos)
    assert [name for name in FIGURES if found[name] is None] == list(undefined)
    assert found["notes"][0].startswith(note)
    json.loads(json.dumps(found, allow_nan=False))


def test_a_fit_that_fails_is_null_and_said(monkeypatch):
    monkeypatch.setattr(metrics, "fit_logistic", lambda *_: None)
    found = figures(*pairs())
    assert found["srcc"] > 0.9 and found["plcc_fitted"] is None and found["intervals"]["plcc_fitted"] is None
    assert found["notes"] == [
        "the logistic fit did not converge: srcc_fitted, plcc_fitted, krcc_fitted and rmse are null"
    ]


def test_what_the_fit_hides_is_said():
    scores, mos = pairs()
    assert figures(scores, mos)["notes"] == []
    backwards = figures(-np.asarray(scores), mos)
    assert backwards["srcc"] < -0.9 < 0.9 < backwards["srcc_fitted"]
    assert backwards["notes"] == [
        "the scores decrease as the opinion scores increase, and the fit reverses them: is higher better in both?"
    ]
    steep = figures([1.0, 1.1, 1.2, 1.3, 2.0, 3.0, 3.1, 3.2, 3.3, 3.4], [1] * 4 + [2] + [3] * 5)
    assert steep["notes"][0].startswith("the fit is so steep that 10 distinct scores become ")


def test_unpaired_or_infinite_values_are_refused():
    with pytest.raises(DataError, match="each image needs one of each"):
        figures([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match="NaN or infinite"):
        figures([1, float("nan"), 3], [1, 2, 3])


def test_two_images_have_a_rank_correlation_too():
    found = [figures([1.0, 2.0], mos)["krcc"] for mos in ([1.5, 3.0], [3.0, 1.5])]
    assert found == pytest.approx([1, -1])
