"""The temperature that makes the score tokens' spread agree with the errors: on MOS drawn from a known spread it is found again."""

from pathlib import Path

import pytest
import torch

from model.backbones.nano.backbone import NanoBackbone
from model.backbones.nano.loading import load_nano
from model.common.scale import Scale
from model.readouts.reading import over_intervals
from model.training.calibrating import COVERED, calibrate, coverage, fit_temperature

SCALE = Scale(1.0, 5.0)
NANO = Path(__file__).parents[3] / "model" / "weights" / "nano"


@pytest.fixture(scope="module")
def drawn():
    """Token logits [N, 5] and a MOS [N] of each, drawn from what the logits say."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 5, generator=generator)
    chosen = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return logits, SCALE.low + (chosen + torch.rand(len(logits), generator=generator)) * (SCALE.high - SCALE.low) / 5


@pytest.mark.parametrize("said", [0.4, 1.0, 2.5])
def test_a_spread_that_is_too_narrow_or_too_wide_is_put_right(drawn, said):
    logits, mos = drawn
    stated = logits * said
    assert coverage(logits, mos, SCALE) == pytest.approx(COVERED, abs=0.02)
    if said != 1:
        assert abs(coverage(stated, mos, SCALE) - COVERED) > 0.03
    temperature = fit_temperature(stated, mos, SCALE)
    assert temperature == pytest.approx(said, rel=0.15)
    assert coverage(stated, mos, SCALE, temperature) == pytest.approx(COVERED, abs=0.01)


def test_the_weights_say_it_and_nothing_else_changes(drawn):
    nano = NanoBackbone(*load_nano(NANO))
    before = nano.model.lm_head.weight.detach().clone()
    hidden = torch.randn(3, before.shape[1])
    temperature = calibrate(nano, *drawn)
    after, ids = nano.model.lm_head.weight, nano.readout.token_ids
    torch.testing.assert_close(hidden @ after[ids].T, hidden @ before[ids].T / temperature)
    others = [n for n in range(len(before)) if n not in ids.tolist()]
    assert torch.equal(after[others], before[others])


def test_a_distribution_knows_how_much_of_it_lies_below():
    probabilities = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0]]).expand(4, -1)
    below = over_intervals(probabilities, SCALE).below(torch.tensor([1.0, 1.4, 1.8, 5.0]))
    torch.testing.assert_close(below, torch.tensor([0.0, 0.25, 0.5, 1.0]))
