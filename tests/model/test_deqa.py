"""DeQA-Score's soft labels and pair losses, in each of its configurations, against the original program."""

import pytest
import torch
import torch.nn.functional as F

from model.backbones.mplug_owl2_loading import load_model
from tests.model.owl_training import TrainingBatch, answers, cross_entropy
from tests.model.deqa_losses import NEXT_TOKEN_WEIGHT, binary_fidelity, off_level_mass, soft_cross_entropy, spread
from model.labels import soft_label
from model.layouts import find_layout
from model.losses import EPS, fidelity, preference
from model.objective import Taught, weighted_sum
from model.systems import SYSTEMS
from tests.model.owl_fixtures import QALIGN, assert_near, facts, tensors

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


def test_the_system_deqa_is_the_originals_script():
    model = load_model(find_layout(QALIGN / "checkpoint_safetensors"))[0]
    batch = tensors(QALIGN / "training" / "batch.safetensors")
    first, second = torch.tensor(PAIRS["pairs_A_B"]).T
    members, level_ids = torch.cat([first, second]), torch.tensor(PAIRS["level_ids"][::-1])
    inputs = TrainingBatch(*(batch[name][members] for name in ("images", "input_ids", "labels")))
    with torch.no_grad():
        found = answers(model, inputs)
        logits, ids = (values.unflatten(0, (len(members), -1)) for values in (found.logits, found.ids))
        token_at = int(torch.isin(ids[0], level_ids).nonzero())
        taught = Taught(
            mos=torch.tensor(PAIRS["gt_scores"])[members],
            stds=torch.tensor(PAIRS["stds"])[members],
            answer_logits=logits,
            answer_ids=ids,
            token_at=token_at,
            token_ids=level_ids,
            soft_labels=torch.tensor(PAIRS["level_probs"]).flip(1)[members],
            scores=spread(logits[:, token_at], level_ids)[0],
            groups=torch.arange(len(first)).repeat(2),  # only its two pictures are a pair
        )
        total, _ = weighted_sum(SYSTEMS["deqa"].losses, taught)
    assert SYSTEMS["deqa"].variance == ""
    assert_near(total, PAIRS["cases"]["script_default"]["total_loss"])


@pytest.mark.parametrize("name", PAIRS["cases"])
def test_pair_losses_and_their_gradient_are_the_originals(name):
    case = PAIRS["cases"][name]
    chosen = case["config_overrides"]
    closed = chosen.get("closeset_rating_loss", True)
    model = load_model(find_layout(QALIGN / "checkpoint_safetensors"))[0]
    batch = tensors(QALIGN / "training" / "batch.safetensors")
    level_ids = torch.tensor(PAIRS["level_ids"][::-1])
    labels = torch.tensor(PAIRS["level_probs"]).flip(1)
    mos, std = torch.tensor(PAIRS["gt_scores"]), torch.tensor(PAIRS["stds"])
    sides = []
    for side, members in zip("AB", torch.tensor(PAIRS["pairs_A_B"]).T, strict=True):
        found = answers(
            model, TrainingBatch(batch["images"][members], batch["input_ids"][members], batch["labels"][members])
        )
        at_level = found.logits[torch.isin(found.ids, level_ids)]
        score, deviation = spread(at_level, level_ids, closed)
        assert_near(score.detach(), case[f"pred_scores_{side}"])
        assert_near(deviation.detach(), case[f"pred_stds_{side}"])
        soft = chosen.get("softkl_loss", True)
        loss = soft_cross_entropy(found.logits, found.ids, level_ids, labels[members]) if soft else cross_entropy(found)
        assert_near(loss.detach(), case[f"next_token_plus_kl_loss_{side}"])
        outside = off_level_mass(at_level, level_ids)
        assert_near(outside.detach(), case[f"in_level_loss_{side}"])
        sides.append((members, score, deviation, loss, outside))
    (a, score_a, std_a, next_a, outside_a), (b, score_b, std_b, next_b, outside_b) = sides
    variance = 2.0
    if not chosen.get("use_fix_std", True):
        variance = std_a.square() + std_b.square() + EPS
        variance = variance.detach() if chosen["detach_pred_std"] else variance
    predicted = preference(score_a, score_b, variance)
    if chosen.get("continuous_rating_loss", True):
        rank = fidelity(predicted, preference(mos[a], mos[b], std[a].square() + std[b].square()))
    elif chosen.get("binary_rating_loss") == "bce":
        rank = F.binary_cross_entropy(predicted, (mos[a] > mos[b]).float())
    else:
        rank = binary_fidelity(predicted, mos[a] > mos[b])
    total = rank + NEXT_TOKEN_WEIGHT * (next_a + next_b) + chosen.get("weight_in_level", 0.0) * (outside_a + outside_b)
    assert_near(total.detach(), case["total_loss"])
    total.backward()
    norms = torch.stack([weight.grad.norm() for weight in model.parameters() if weight.grad is not None])
    assert norms.norm().item() == pytest.approx(case["grad_norm_total"], rel=1e-4)
