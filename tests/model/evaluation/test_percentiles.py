"""The percentiles of the shipped models' scores."""

import pytest

from model import ModelError
from model.backbones.spec import revision
from model.common.json_files import read_json
from model.evaluation.percentiles import TABLES, percentile_of
from model.loading.known import SHIPPED, resolve


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
