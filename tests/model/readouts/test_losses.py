"""Losses: their values where they are known, and their gradients against finite differences. DeQA-Score's are in test_deqa.py, the released
Q-Scorer's in test_mplug_owl2_training.py."""

import math

import pytest
import torch

from model.common.scale import Scale
from model.readouts.losses import (
    LEAST_NORM,
    answer_cross_entropy,
    calibration,
    cross_entropy,
    fidelity,
    norm_in_norm,
    pair_fidelity,
    pairs_within,
    preference,
    ranking,
    regression_loss,
    soft_label_divergence,
    squared_error,
    token_mass_loss,
)
from model.readouts.objective import LOSSES, Taught, weighted_sum

SCALE = Scale(1.0, 5.0)
LOGITS, IDS, LABELS = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([1, 2]), torch.tensor([[0.25, 0.75]])


def test_norm_in_norm_is_zero_for_a_rising_line_and_one_at_worst():
    mos = torch.tensor([1.0, 2.0, 4.0, 5.0])
    assert norm_in_norm(3 * mos - 7, mos).item() == pytest.approx(0, abs=1e-6)
    plus_minus = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert norm_in_norm(-plus_minus, plus_minus).item() == pytest.approx(1, abs=1e-6)


def test_norm_in_norm_of_equal_scores_has_a_gradient_that_leaves_room_for_others():
    scores = torch.full((3,), 2.0, requires_grad=True)
    norm_in_norm(scores, torch.tensor([1.0, 2.0, 3.0])).backward()
    assert 0 < scores.grad.norm() < 1 / LEAST_NORM


def test_norm_in_norm_of_several_data_sets_is_taken_within_each():
    mos, groups = torch.tensor([1.0, 2.0, 3.0, 2.0, 3.0, 5.0]), torch.tensor([0, 0, 0, 1, 1, 1])
    shifted = mos + torch.tensor([0.0, 0, 0, 1, 1, 1])
    within, across = (regression_loss(shifted, mos, given) - squared_error(shifted, mos) for given in (groups, None))
    assert within.item() == pytest.approx(0, abs=1e-6) and across > 0.01


def test_a_weighted_sum_uses_norm_in_norm_within_each_data_set_and_names_an_unknown_loss():
    mos, groups = torch.tensor([1.0, 2.0, 1.0, 2.0]), torch.tensor([0, 0, 1, 1])
    taught = Taught(mos=mos, scores=mos + 2 * groups, groups=groups)
    assert weighted_sum({"norm_in_norm": 1.0}, taught)[0].item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="no loss 'mse': use some of cross_entropy, .*squared_error"):
        weighted_sum({"mse": 1.0}, taught)


def test_answer_cross_entropy_counts_nats_an_image():
    assert answer_cross_entropy(torch.zeros(4, 3, 10), torch.zeros(4, 3, dtype=torch.long)).item() == pytest.approx(
        3 * math.log(10)
    )


def test_the_divergence_is_over_the_whole_vocabulary():
    log_p = LOGITS[0].log_softmax(0)
    expected = 0.25 * (math.log(0.25) - log_p[1]) + 0.75 * (math.log(0.75) - log_p[2])
    assert soft_label_divergence(LOGITS, IDS, LABELS).item() == pytest.approx(expected.item())
    perfect = torch.tensor([[-100.0, math.log(0.25), math.log(0.75)]])
    assert soft_label_divergence(perfect, IDS, LABELS).item() == pytest.approx(0, abs=1e-6)


def test_token_mass_loss_falls_with_the_mass_and_does_not_care_which_token_has_it():
    assert token_mass_loss(LOGITS, IDS).item() == pytest.approx(-math.log(LOGITS.softmax(1)[0, 1:].sum()), abs=1e-6)
    torch.testing.assert_close(token_mass_loss(LOGITS, IDS), token_mass_loss(LOGITS[:, [0, 2, 1]], IDS))


def test_ranking_asks_for_the_margin_between_images_of_one_data_set():
    mos, scores = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 1.05, 5.0])
    # pairs: (1, 2) short by .1 - .05; the others are far enough
    assert ranking(scores, mos).item() == pytest.approx(0.05 / 3)
    assert ranking(scores, mos, torch.tensor([0, 1, 0])).item() == 0
    assert ranking(scores, torch.ones(3)).item() == 0


def test_pairs_never_span_two_data_sets():
    first, second = pairs_within(torch.tensor([0, 1, 0, 1, 0]))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 2), (0, 4), (1, 3), (2, 4)]


def test_preference_is_thurstones():
    assert preference(torch.tensor([3.0]), torch.tensor([3.0])).item() == 0.5
    # one standard deviation of the difference apart
    assert preference(torch.tensor([4.0]), torch.tensor([3.0]), 1.0).item() == pytest.approx(0.8413447, abs=1e-6)


def test_fidelity_is_zero_where_probabilities_agree_and_one_where_they_are_opposite():
    p = torch.tensor([0.2, 0.9])
    assert fidelity(p, p).item() == pytest.approx(0, abs=1e-6)
    assert fidelity(torch.tensor([1.0]), torch.tensor([0.0])).item() == pytest.approx(1, abs=1e-3)
    mos, stds = torch.tensor([1.0, 2.5, 4.0]), torch.tensor([0.5, 0.6, 0.7])
    assert pair_fidelity(mos, mos, stds.square(), stds).item() == pytest.approx(0, abs=1e-5)
    assert pair_fidelity(-mos, mos, stds.square(), stds).item() > 0.5


def test_calibration_is_least_where_the_variance_is_the_squared_error():
    scores, mos = torch.full((4,), 3.0), torch.tensor([2.5, 3.5, 2.5, 3.5])
    values = {v: calibration(scores, torch.full((4,), v), mos).item() for v in (0.05, 0.2, 0.25, 0.3, 2.0)}
    assert min(values, key=values.get) == 0.25


def test_calibration_is_finite_where_there_is_no_variance():
    variances = torch.zeros(2, requires_grad=True)
    loss = calibration(torch.tensor([1.0, 2.0]), variances, torch.tensor([1.0, 2.5]))
    assert math.isfinite(loss.item())


def test_calibration_teaches_the_scores_nothing():
    scores = torch.tensor([3.0], requires_grad=True)
    calibration(scores, scores * 0 + 0.5, torch.tensor([1.0])).backward()
    assert scores.grad.item() == 0


def test_upstreams_clamp_takes_the_gradient_away_outside_of_the_scale():
    scores, mos = torch.tensor([6.0, 4.0], requires_grad=True), torch.tensor([5.0, 5.0])
    assert squared_error(scores, mos, Scale(0.0, 5.0)).item() == 0.5
    squared_error(scores, mos, Scale(0.0, 5.0)).backward()
    assert scores.grad.tolist() == [0, -1]


def test_a_mean_and_a_sum_over_the_answer_differ_by_its_length():
    logits, ids = torch.randn(4, 3, 10), torch.randint(10, (4, 3))
    torch.testing.assert_close(3 * cross_entropy(logits, ids), answer_cross_entropy(logits, ids))


def double(*shape) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_the_losses_gradients_agree_with_finite_differences():
    torch.manual_seed(1)
    ids, answer, groups = torch.tensor([1, 4, 6]), torch.randint(7, (6, 3)), torch.tensor([0, 0, 0, 1, 1, 1])
    mos, stds = 1 + 4 * torch.rand(6, dtype=torch.float64), torch.rand(6, dtype=torch.float64)
    soft = torch.rand(6, 3, dtype=torch.float64).softmax(1)
    scores, variances, logits = double(6), torch.rand(6, dtype=torch.float64, requires_grad=True), double(6, 3, 7)

    def taught(scores=None, variances=None, logits=None) -> Taught:
        return Taught(mos, logits, answer, 1, ids, soft, SCALE, scores, variances, stds, groups)

    def check(name, given, tensors):
        assert torch.autograd.gradcheck(
            lambda *given: LOSSES[name](taught(**dict(zip(tensors, given, strict=True)))), given
        )

    checked = set()
    for name in ("squared_error", "clamped_squared_error", "norm_in_norm", "ranking", "unit_fidelity"):
        check(name, (scores,), ("scores",))
        checked.add(name)
    for name in (
        "cross_entropy",
        "answer_cross_entropy",
        "cross_entropy_but_token",
        "soft_label_divergence",
        "token_mass",
    ):
        check(name, (logits,), ("logits",))
        checked.add(name)
    check("fidelity", (scores, variances), ("scores", "variances"))
    assert torch.autograd.gradcheck(lambda v: calibration(scores.detach(), v, mos), variances)
    assert checked | {"fidelity", "calibration"} == set(LOSSES)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "token_mass"])
def test_a_label_counts_by_its_weight_in_every_loss(name):
    """Equal weights change nothing, and an image of weight 0 is as if it were not there."""
    torch.manual_seed(0)
    logits, ids = torch.randn(5, 3, 7), torch.randint(7, (5, 3))
    labels, scores, mos = torch.rand(5, 4).softmax(1), torch.rand(5) * 4 + 1, torch.rand(5) * 4 + 1

    def loss(rows, weights=None):
        taught = Taught(
            mos=mos[rows],
            answer_logits=logits[rows],
            answer_ids=ids[rows],
            token_at=1,
            token_ids=torch.arange(4),
            soft_labels=labels[rows],
            scale=SCALE,
            scores=scores[rows],
            variances=torch.full((len(mos[rows]),), 0.5),
            stds=torch.full((len(mos[rows]),), 0.4),
            weights=weights,
        )
        return weighted_sum({name: 1.0}, taught)[0].item()

    assert loss(slice(0, 5), torch.full((5,), 3.0)) == pytest.approx(loss(slice(0, 5)), rel=1e-5)
    assert loss(slice(0, 5), torch.tensor([1.0, 1, 1, 1, 0])) == pytest.approx(loss(slice(0, 4)), rel=1e-5)
    assert loss(slice(0, 5), torch.tensor([5.0, 1, 1, 1, 1])) != pytest.approx(loss(slice(0, 5)), rel=1e-5)
