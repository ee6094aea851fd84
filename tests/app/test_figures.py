"""The charts as data: what is drawn where."""

import pytest

from app.figures import Point, distribution, opinions_against_scores, two_distributions
from model.common.scale import Scale
from tests.app.examples import assessment


def lines(figure):
    return {trace.name: trace.x[0] for trace in figure.data if trace.type == "scatter" and trace.mode == "lines"}


def bars(figure):
    return [trace for trace in figure.data if trace.type == "bar"]


def test_bars_stand_over_their_intervals_and_sum_to_one_hundred_percent():
    (bar,) = bars(distribution(assessment()))
    assert list(bar.x) == pytest.approx([1.4, 2.2, 3.0, 3.8, 4.6])
    assert sum(bar.y) == pytest.approx(100)
    assert max(bar.width) < 0.8


def test_score_and_expectation_are_drawn_on_the_score_axis():
    a = assessment()
    assert lines(distribution(a)) == {"score 3.88": a.score, f"expectation {a.expectation:.2f}": a.expectation}


def test_a_chart_has_title_units_and_the_whole_scale():
    layout = distribution(assessment(scale=Scale(0.0, 5.0))).layout
    assert layout.title.text and "Probability (%)" in layout.yaxis.title.text
    assert "0 (worst) to 5 (best)" in layout.xaxis.title.text
    low, high = layout.xaxis.range
    assert low <= 0 and high >= 5


def test_names_of_tokens_are_not_taken_for_markup():
    (bar,) = bars(distribution(assessment()))
    assert "&lt;score1&gt;" in bar.hovertext[0]


def test_two_methods_with_different_scales_meet_on_the_common_scale():
    first, second = assessment(3.0), assessment(0.75, scale=Scale(0.0, 1.0))
    figure = two_distributions(first, second, ("A", "B"), "Both", common=True)
    assert lines(figure) == {"A: score 50.0": 50.0, "B: score 75.0": 75.0}
    above, below = bars(figure)
    assert list(above.y) == [100 * chance for chance in first.probabilities]
    assert list(below.y) == [-100 * chance for chance in second.probabilities]
    assert "-" not in "".join(figure.layout.yaxis.ticktext)


def test_two_images_stay_on_their_native_scale():
    figure = two_distributions(assessment(2.5), assessment(4.25), ("A", "B"), "Both", common=False)
    assert lines(figure) == {"A: score 2.50": 2.5, "B: score 4.25": 4.25}


def test_opinions_are_drawn_against_scores_with_their_intervals():
    figure = opinions_against_scores([Point(2.0, 3.5, 3, (1.5, 2.5)), Point(4.0, 3.9, 1, None)], "nano")
    dots = next(trace for trace in figure.data if trace.mode == "markers")
    assert (list(dots.x), list(dots.y)) == ([3.5, 3.9], [2.0, 4.0])
    assert list(dots.error_y.array) == [0.5, 0] and "95 % interval" in dots.name
    figure = opinions_against_scores([Point(3.5, 3.5, 2, (-2.9, 9.9))], "nano")
    dots = next(trace for trace in figure.data if trace.mode == "markers")
    assert (list(dots.error_y.array), list(dots.error_y.arrayminus)) == ([1.5], [2.5])  # to the ends of the scale
