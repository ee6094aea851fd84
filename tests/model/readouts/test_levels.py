"""Labels: what a MOS is taught as."""

import pytest

from model.common.scale import Scale
from model.paper.labels import BINARY_WORDS, COMPARISONS, COUNTS, WORD_SETS, comparison_index
from model.readouts.levels import digits, interval_index, intervals, level_values, middles, soft_label
from model.scoring.assessment import common_score

SCALE = Scale(1.0, 5.0)


@pytest.mark.parametrize(("mos", "index"), [(1, 0), (1.79, 0), (1.81, 1), (3, 2), (4.21, 4), (5, 4), (0.2, 0), (9, 4)])
def test_a_mos_is_taught_as_the_token_of_the_interval_it_lies_in(mos, index):
    assert interval_index(mos, SCALE, 5) == index


@pytest.mark.parametrize("count", COUNTS)
def test_an_inner_edge_belongs_to_the_interval_below(count):
    edges = [high for _, high in intervals(SCALE, count)]
    assert [interval_index(edge, SCALE, count) for edge in edges] == list(range(count))
    assert [interval_index(edge + 1e-6, SCALE, count) for edge in edges[:-1]] == list(range(1, count))


@pytest.mark.parametrize("count", COUNTS)
def test_intervals_cover_the_scale_without_gap(count):
    found = intervals(SCALE, count)
    assert found[0][0] == 1 and found[-1][1] == 5
    assert all(a[1] == b[0] for a, b in zip(found, found[1:], strict=False))
    assert [interval_index(m, SCALE, count) for m in middles(SCALE, count)] == list(range(count))


def test_levels_count_from_end_to_end_and_one_alone_for_the_middle():
    assert level_values(SCALE, 5) == [1, 2, 3, 4, 5]
    assert level_values(SCALE, 3) == [1, 3, 5]
    assert level_values((0.0, 1.0), 1) == [0.5]


def test_table_1_has_five_words_a_row_from_worst_to_best():
    assert all(len(set(words)) == 5 for words in WORD_SETS.values())
    assert WORD_SETS["common"][-1] == "excellent" and WORD_SETS["reversed"][-1] == "bad"
    assert WORD_SETS["number"][-1] == "five" and WORD_SETS["score tokens"][-1] == "<score5>"


@pytest.mark.parametrize("by_area", [False, True])
@pytest.mark.parametrize("count", [3, 5, 9])
@pytest.mark.parametrize("mos", [2.0, 2.9, 3.0, 3.0 + 1e-9, 4.1])
def test_a_soft_label_has_the_mos_for_its_mean_and_sums_to_one(mos, count, by_area):
    label = soft_label(mos, 0.55, by_area, SCALE, count)
    assert sum(label) == pytest.approx(1, abs=0.05)  # not 1 where something was cut off at zero
    assert sum(p * v for p, v in zip(label, level_values(SCALE, count), strict=True)) == pytest.approx(mos, abs=0.1)


def test_a_soft_label_in_the_middle_of_the_scale_is_no_different_from_its_neighbours():
    # The original's correction is 0 / 0 there and gives every level the same.
    assert soft_label(3.0, 0.7) == pytest.approx(soft_label(3.001, 0.7), abs=1e-3)
    assert max(soft_label(3.0, 0.7)) > 0.5


def test_a_soft_label_is_the_same_on_any_scale():
    assert soft_label(0.4, 0.15, scale=Scale(0.0, 1.0)) == pytest.approx(soft_label(2.6, 0.6))


def test_a_soft_label_far_outside_lies_on_the_nearest_level():
    assert soft_label(9.0, 0.3) == [0, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="two levels"):
        soft_label(3.0, 0.5, count=1)
    with pytest.raises(ValueError, match="needs a finite MOS and std, not 3.0 and nan"):
        soft_label(3.0, float("nan"))


def test_realqa_writes_the_number_out():
    assert digits(3.456) == ("3", ".", "4", "6")
    assert digits(5) == ("5", ".", "0", "0")
    with pytest.raises(ValueError, match="9.999"):
        digits(9.999)
    with pytest.raises(ValueError, match="nan"):
        digits(float("nan"))


def test_q_bench_knows_two_levels():
    assert [BINARY_WORDS[interval_index(m, SCALE, 2)] for m in (1, 3, 3.01, 5)] == ["poor", "poor", "good", "good"]


@pytest.mark.parametrize(
    ("mos_a", "word"),
    [(3.0, "similar"), (3.9, "similar"), (4.2, "better"), (5.9, "superior"), (1.5, "worse"), (0.5, "inferior")],
)
def test_comparisons_are_worded_by_standard_deviations_of_the_difference(mos_a, word):
    assert COMPARISONS[comparison_index(mos_a, 3.0, 0.6, 0.8)] == word


def test_scales_meet_on_zero_to_a_hundred():
    assert common_score(3, Scale(1, 5)) == 50
    assert common_score(0.25, Scale(0, 1)) == 25
