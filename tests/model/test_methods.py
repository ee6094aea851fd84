"""Labels, losses, readouts and the regressor: the arithmetic of the two methods."""

import math

import pytest
import torch

from model.assessment import common_score
from model.labels import interval_index, intervals
from model.losses import answer_cross_entropy, norm_in_norm, squared_error
from model.readouts import read_levels, read_score_token, token_probabilities
from model.regressor import Regressor

SCALE = (1.0, 5.0)


@pytest.mark.parametrize(("mos", "index"), [(1, 0), (1.79, 0), (1.81, 1), (3, 2), (4.21, 4), (5, 4), (0.2, 0), (9, 4)])
def test_a_mos_is_taught_as_the_token_of_the_interval_it_lies_in(mos, index):
    assert interval_index(mos, SCALE, 5) == index


def test_intervals_cover_the_scale_without_gap():
    found = intervals(SCALE, 5)
    assert found[0][0] == 1 and found[-1][1] == 5
    assert all(a[1] == b[0] for a, b in zip(found, found[1:], strict=False))


def test_token_mass_is_the_share_of_the_tokens_in_the_open_softmax():
    logits = torch.randn(3, 20)
    ids = torch.tensor([4, 7, 9])
    closed, mass = token_probabilities(logits, ids)
    open_softmax = logits.softmax(1)[:, ids]
    torch.testing.assert_close(mass, open_softmax.sum(1))
    torch.testing.assert_close(closed, open_softmax / open_softmax.sum(1, keepdim=True))


def test_q_align_weighs_the_level_words_one_to_five():
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0, 50.0], [0.0] * 5])
    reading = read_levels(logits, torch.arange(5), SCALE)
    torch.testing.assert_close(reading.score, torch.tensor([5.0, 3.0]))


def test_q_scorer_regresses_from_the_hidden_state_and_stays_on_the_scale():
    hidden = torch.tensor([[2.0], [9.0], [-3.0]])
    reading = read_score_token(hidden, torch.zeros(3, 8), torch.arange(5), SCALE, lambda h: h.squeeze(-1))
    assert reading.score.tolist() == [2, 5, 1]
    torch.testing.assert_close(reading.expectation, torch.full((3,), 3.0))


def test_norm_in_norm_is_zero_for_a_rising_line_and_one_at_worst():
    mos = torch.tensor([1.0, 2.0, 4.0, 5.0])
    assert norm_in_norm(3 * mos - 7, mos).item() == pytest.approx(0, abs=1e-6)
    plus_minus = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert norm_in_norm(-plus_minus, plus_minus).item() == pytest.approx(1, abs=1e-6)


def test_the_losses_gradients_agree_with_finite_differences():
    torch.manual_seed(1)
    scores = torch.rand(6, dtype=torch.float64, requires_grad=True)
    mos = torch.rand(6, dtype=torch.float64)
    logits = torch.randn(2, 3, 7, dtype=torch.float64, requires_grad=True)
    ids = torch.randint(7, (2, 3))
    assert torch.autograd.gradcheck(lambda s: norm_in_norm(s, mos), scores)
    assert torch.autograd.gradcheck(lambda s: squared_error(s, mos), scores)
    assert torch.autograd.gradcheck(lambda x: answer_cross_entropy(x, ids), logits)


def test_answer_cross_entropy_counts_nats_a_picture():
    assert answer_cross_entropy(torch.zeros(4, 3, 10), torch.zeros(4, 3, dtype=torch.long)).item() == pytest.approx(
        3 * math.log(10)
    )


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


def test_scales_meet_on_zero_to_a_hundred():
    assert common_score(3, (1, 5)) == 50
    assert common_score(0.25, (0, 1)) == 25
