"""The percentiles of the shipped models' scores."""

from dataclasses import replace

import numpy as np
import pytest

from model import ModelError
from model.backbones.spec import revision
from model.common.json_files import read_json
from model.common.scale import Scale
from model.evaluation.percentiles import (
    TABLES,
    cross_checked,
    fit_range,
    percentile_of,
    reference,
    reference_of,
    standing,
)
from model.loading.known import SHIPPED, resolve
from tests.app.examples import assessment


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_model_has_the_table_of_its_present_weights(name):
    table = read_json(TABLES)[name]
    assert table["revision"] == revision(resolve(name)), "run python -m model.percentiles --data BIQ2021"
    marks = table["percentiles"]
    assert len(marks) == 101 and marks == sorted(marks)
    for share in (0, 50, 100):
        assert percentile_of(marks[share], name).percentile == share
    assert percentile_of((marks[20] + marks[21]) / 2, name).percentile == pytest.approx(20.5)
    assert (percentile_of(-1.0, name).percentile, percentile_of(9.0, name).percentile) == (0, 100)


def test_a_model_without_a_table_is_one_sentence():
    with pytest.raises(ModelError, match="no percentiles of 'one-align': they are known of nano and nano-qalign"):
        percentile_of(3, "one-align")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_range_holds_nine_of_ten_opinions_and_stays_on_the_scale(name):
    known = reference(name)
    assert 0.88 < known.covered < 0.92
    shown = replace(assessment(4.9), model=name, revision=known.revision)
    low, high = known.range(shown)
    assert low == pytest.approx(4.9 - known.uncertainties * shown.uncertainty) and high == 5
    assert standing(shown)["range"] == pytest.approx([low, high], abs=1e-4)


def test_weights_that_were_not_measured_have_no_range():
    assert reference_of(replace(assessment(), model="nano", revision="another")) is None
    assert reference_of(replace(assessment(), model="nano+mine")) is None


def test_the_histogram_holds_every_photograph():
    shares = reference("nano").histogram(Scale(1, 5), 40)
    assert len(shares) == 40 and sum(shares) == pytest.approx(1) and min(shares) >= 0


def test_a_range_that_is_fitted_on_some_errors_holds_as_many_of_others():
    draw = np.random.default_rng(1)
    ratios = np.abs(draw.normal(0, 2, 4000)).tolist()
    assert fit_range(ratios) == pytest.approx(2 * 1.645, rel=0.05)
    assert cross_checked(ratios) == pytest.approx(0.9, abs=0.02)
    assert fit_range([1.0, 2.0, 3.0]) == 3  # too few: the range that holds all
