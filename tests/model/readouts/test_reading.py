"""Readouts and the distributions that they give."""

import pytest
import torch

from model.paper.compare2score import choose_anchors, preferences, score_against_anchors
from model.paper.readouts import read_comparisons, read_digits, read_linear, read_score_and_variance
from model.readouts.reading import read_levels, read_score_token, token_probabilities
from model.readouts.regressor import HyperRegressor, Regressor

SCALE = (1.0, 5.0)
FIVE = torch.arange(5)


def test_token_mass_is_the_share_of_the_tokens_in_the_open_softmax():
    logits = torch.randn(3, 20)
    ids = torch.tensor([4, 7, 9])
    closed, mass = token_probabilities(logits, ids)
    open_softmax = logits.softmax(1)[:, ids]
    torch.testing.assert_close(mass, open_softmax.sum(1))
    torch.testing.assert_close(closed, open_softmax / open_softmax.sum(1, keepdim=True))


def test_q_align_weighs_the_level_words_one_to_five():
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0, 50.0], [0.0] * 5])
    reading = read_levels(logits, FIVE, SCALE)
    torch.testing.assert_close(reading.score, torch.tensor([5.0, 3.0]))
    torch.testing.assert_close(reading.uncertainty, torch.tensor([0.0, 2**0.5]))


def test_q_bench_is_the_binary_softmax_between_two_words():
    reading = read_levels(torch.tensor([[1.0, 3.0]]), torch.arange(2), (0.0, 1.0))
    assert reading.score.item() == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item())


def test_q_scorer_regresses_from_the_hidden_state_and_stays_on_the_scale():
    hidden = torch.tensor([[2.0], [9.0], [-3.0]])
    reading = read_score_token(hidden, torch.zeros(3, 8), FIVE, SCALE, lambda h: h.squeeze(-1))
    assert reading.score.tolist() == [2, 5, 1]
    torch.testing.assert_close(reading.expectation, torch.full((3,), 3.0))
    torch.testing.assert_close(reading.uncertainty, torch.full((3,), 4 / 12**0.5))  # evenly anywhere on the scale


def test_a_regressor_of_two_outputs_gives_its_own_variance():
    torch.manual_seed(0)
    regressor, hidden = Regressor(4, (3,), with_variance=True), torch.randn(5, 4)
    reading = read_score_and_variance(hidden, torch.zeros(5, 8), FIVE, (-9.0, 9.0), regressor)
    score, variance = regressor.score_and_variance(hidden)
    torch.testing.assert_close(reading.score, score)
    torch.testing.assert_close(reading.uncertainty, variance.sqrt())
    assert (variance > 0).all() and variance.std() > 0


def test_videoscore_reads_no_token():
    reading = read_linear(torch.tensor([[7.0]]), Regressor(1, ()), std=0.4)
    assert reading.probabilities.shape == (1, 0) and reading.token_mass.item() == 0
    assert reading.uncertainty.item() == pytest.approx(0.4)


def test_the_regressor_adds_its_input_where_widths_agree():
    regressor = Regressor(8, (8, 4))
    with torch.no_grad():
        for p in regressor.parameters():
            p.zero_()
        regressor.output.bias.fill_(2.5)
    hidden = torch.ones(3, 8)
    assert torch.equal(regressor.layers[0](hidden), torch.zeros(3, 8))
    assert regressor(hidden).tolist() == [2.5] * 3
    with torch.no_grad():
        regressor.layers[1].weight.fill_(1.0)
        regressor.output.weight.fill_(1.0)
    assert regressor(hidden).tolist() == [4 * 8 + 2.5] * 3  # the residual carried the ones past the zeroed layer


def test_a_hyper_network_makes_each_image_a_network_of_its_own():
    torch.manual_seed(0)
    hyper, hidden = HyperRegressor(6, 4), torch.randn(3, 6)
    made = hyper.output(hyper.hidden(hidden).relu())
    for row, weights in zip(hidden, made, strict=True):
        first, first_bias, second, second_bias = weights.split(hyper.sizes)
        inner = (first.reshape(16, 6) @ row + first_bias).relu()
        torch.testing.assert_close(hyper(row[None])[0], second @ inner + second_bias[0])
    torch.testing.assert_close(hyper(hidden)[1:], hyper(hidden[1:]))
    assert (made[0] - made[1]).abs().max() > 0


def figures(*rows: list[float]) -> torch.Tensor:
    """Logits [1, S, 10] of given probabilities; the rest is all but impossible."""
    return torch.tensor([[*row, *[1e-12] * (10 - len(row))] for row in rows]).log()[None]


def test_realqa_reads_the_number_that_is_written():
    ids = [torch.arange(1, 6), torch.arange(10), torch.arange(10)]
    logits = figures([0, 0.1, 0.2, 0.7], [0.25, 0.75], [0, 0, 0, 0.6, 0.4])
    logits[0, 0, 0] = -40  # the figure 0 is none of the first place's
    reading = read_digits(logits, ids, SCALE)
    assert reading.score.item() == pytest.approx(3.13)
    torch.testing.assert_close(reading.probabilities[0, :3], torch.tensor([0.1, 0.2, 0.7]))
    torch.testing.assert_close(reading.distribution.probabilities.sum(1), torch.ones(1))
    # 1 and 2 stand for the middles of their intervals, 3.0 for 3.05, and the last figures for themselves
    expected = 0.1 * 1.5 + 0.2 * 2.5 + 0.7 * (0.25 * 3.05 + 0.75 * (0.6 * 3.13 + 0.4 * 3.14))
    assert reading.expectation.item() == pytest.approx(expected, abs=1e-4)


def test_realqa_does_not_leave_the_scale():
    ids = [torch.arange(1, 6), torch.arange(10), torch.arange(10)]
    reading = read_digits(figures([0, 0, 0, 0, 0, 1], [0] * 9 + [1], [0] * 9 + [1]), ids, SCALE)
    assert reading.score.item() == 5


def test_a_score_is_found_from_how_often_it_beats_the_anchors():
    anchors, truth = torch.tensor([1.4, 2.2, 3.0, 3.8, 4.6]), torch.tensor([1.5, 3.0, 4.2])
    preferred = torch.special.ndtr((truth[:, None] - anchors) / 1.0)
    score, std = score_against_anchors(preferred, anchors, SCALE)
    assert score.diff().min() > 0.5
    assert (score - truth).abs().max() < 0.25  # the prior draws to the middle
    many = anchors.repeat(200)
    precise, surer = score_against_anchors(preferred.repeat(1, 200), many, SCALE)
    torch.testing.assert_close(precise, truth, atol=0.01, rtol=0)
    assert (surer < std / 5).all()


def test_the_score_from_comparisons_is_the_top_of_its_posterior():
    anchors, preferred = torch.tensor([2.0, 3.0, 4.5]).double(), torch.tensor([[0.9, 0.75, 0.25]]).double()
    score, std = score_against_anchors(preferred, anchors, SCALE)
    x = torch.linspace(1, 5, 40001).double()
    z = (x[:, None] - anchors) / 1.0  # a quarter of the scale's width
    log = (preferred * torch.special.log_ndtr(z) + (1 - preferred) * torch.special.log_ndtr(-z)).sum(1) - (
        x - 3
    ) ** 2 / 8
    assert score.item() == pytest.approx(x[log.argmax()].item(), abs=2e-4)
    top = log.argmax()
    bend = (2 * log[top] - log[top - 500] - log[top + 500]) / (x[500] - x[0]) ** 2
    assert std.item() == pytest.approx(bend.rsqrt().item(), rel=1e-3)


def test_an_image_that_wins_every_comparison_is_at_the_top_of_the_scale():
    anchors = torch.tensor([1.5, 3.0, 4.5])
    superior = torch.zeros(1, 3, 5)
    superior[..., 4] = 50
    reading = read_comparisons(superior, FIVE, anchors, SCALE)
    assert 4.5 < reading.score.item() <= 5
    assert reading.probabilities[0, 4].item() == pytest.approx(1)
    assert read_comparisons(superior.flip(2), FIVE, anchors, SCALE).score.item() < 1.5


def test_comparison_words_count_from_never_to_always():
    assert preferences(torch.eye(5)).tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_anchors_are_the_images_nearest_to_the_middle_of_each_interval():
    assert choose_anchors([1.2, 1.5, 4.9, 3.1, 2.9], SCALE) == [1, 3, 2]
