"""DeQA-Score's soft labels and pair losses, by fine-tuning's own step, against the original program."""

import pytest
import torch

from model.finetuning.step import Lesson, batch_gradients
from model.paper.systems import SYSTEMS
from model.readouts.levels import soft_label
from tests.model.backbones.test_mplug_owl2_training import batch_of, load
from tests.model.owl_fixtures import QALIGN, assert_near, facts

PAIRS = facts(QALIGN / "deqa" / "pair_losses.json")
LABELS = facts(QALIGN / "deqa" / "soft_labels.json")


@pytest.mark.parametrize("kind", ["pdf", "cdf"])
def test_soft_labels_are_the_originals(kind):
    compared = 0
    for sample in LABELS[kind]["train"]:
        mos, std = sample["gt_score_norm"], sample["std_norm"]
        assert_near(soft_label(mos, std, kind == "cdf")[::-1], sample["level_probs"], 1e-6)
        compared += 1
    assert compared == len(LABELS["split"]["train"])


def test_a_soft_label_of_a_sure_mos_lies_on_two_levels():
    assert_near(soft_label(3.25, 0.01, False), [0, 0, 0.75, 0.25, 0])
    assert_near(soft_label(1.0, 0.01, True), [1, 0, 0, 0, 0])


# The flags of its script that differ, in the words of our objective. Those that are off and that we do not offer are left out.
OBJECTIVES = {
    "script_default": SYSTEMS["deqa"].losses,
    "pred_std_not_detached": {"cross_entropy_but_token": 0.1, "soft_label_divergence": 0.1, "fidelity": 1.0},
    "no_kl_plain_ce": {"cross_entropy": 0.1, "unit_fidelity": 1.0},
}


@pytest.mark.parametrize("size", [8, 3], ids=lambda size: f"parts of {size}")
@pytest.mark.parametrize("name", OBJECTIVES)
def test_pair_losses_and_their_gradient_are_the_originals_however_the_batch_is_divided(name, size):
    backbone, case = load(QALIGN), PAIRS["cases"][name]
    images, conversations = batch_of(backbone, QALIGN)
    first, second = torch.tensor(PAIRS["pairs_A_B"]).T
    members = torch.cat([first, second]).tolist()
    lesson = Lesson(
        mos=torch.tensor(PAIRS["gt_scores"]),
        stds=torch.tensor(PAIRS["stds"]),
        tokens=conversations.tokens,
        questions=conversations.questions,
    )[members]
    lesson = Lesson(**vars(lesson) | {"groups": torch.arange(len(first)).repeat(2)})  # only its two images are a pair
    rows = [list(range(start, min(start + size, 8))) for start in range(0, 8, size)]
    parts = [([images[members[n]] for n in part], lesson[part]) for part in rows]
    assert_near(batch_gradients(backbone, parts, OBJECTIVES[name]), case["total_loss"])
    norms = torch.stack([weight.grad.norm() for weight in backbone.model.parameters() if weight.grad is not None])
    assert norms.norm().item() == pytest.approx(case["grad_norm_total"], rel=1e-4)
