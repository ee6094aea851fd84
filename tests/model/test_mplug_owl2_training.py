"""The losses of Q-Align and Q-Scorer, and the gradient of every parameter, against the original programs."""

import pytest
import torch
from PIL import Image

from model.backbones.mplug_owl2 import MplugOwl2Model
from model.backbones.mplug_owl2_loading import attach_lora, load_model
from model.backbones.mplug_owl2_processor import MplugOwl2Processor
from tests.model.owl_training import (
    ANSWER_WEIGHT,
    TrainingBatch,
    answers,
    collate,
    cross_entropy,
    q_scorer_loss,
    squared_error,
)
from model.layouts import find_layout
from tests.model.owl_fixtures import BASE, QALIGN, QSCORER, assert_near, facts, tensors

KINDS = [QSCORER, QALIGN]


def load(kind) -> MplugOwl2Model:
    return load_model(find_layout(kind / "checkpoint_safetensors"))[0]


def batch_of(kind) -> tuple[TrainingBatch, torch.Tensor | None]:
    kept = tensors(kind / "training" / "batch.safetensors")
    return TrainingBatch(kept["images"], kept["input_ids"], kept["labels"]), kept.get("gt_scores")


def score_ids() -> torch.Tensor:
    return torch.tensor(facts(QSCORER / "outputs.json")["score_token_ids"])


def loss_of(model: MplugOwl2Model, kind) -> torch.Tensor:
    """The unweighted loss, which the reference's gradients are of."""
    batch, mos = batch_of(kind)
    found = answers(model, batch)
    loss = cross_entropy(found)
    return loss if kind is QALIGN else loss + squared_error(model, found, score_ids(), mos)


def assert_gradients(model: torch.nn.Module, norms: dict[str, float]) -> None:
    found = {
        name.replace(".default.", ".").replace(".base_layer.", "."): weight.grad.norm().item()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }
    expected = {name.replace(".default.", "."): norm for name, norm in norms.items()}
    assert found.keys() == expected.keys()
    for name, norm in expected.items():
        assert found[name] == pytest.approx(norm, rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_loss_and_every_gradient_are_the_originals(kind):
    model, reference = load(kind), facts(kind / "training" / "reference.json")
    loss = loss_of(model, kind)
    assert_near(loss.item(), reference["loss_as_returned"])
    loss.backward()
    assert_gradients(model, reference["grad_norms_all_params_trainable"])


def test_q_scorers_parts_are_the_originals():
    model, reference = load(QSCORER), facts(QSCORER / "training" / "reference.json")
    batch, mos = batch_of(QSCORER)
    with torch.no_grad():
        found = answers(model, batch)
        assert_near(cross_entropy(found), reference["cross_entropy"])
        assert_near(squared_error(model, found, score_ids(), mos), reference["mse_sum_over_batch"])
        regressed = torch.isin(found.ids, score_ids())
        assert_near(model.deepmlp(found.hidden[regressed]), reference["mlp_raw_at_label_positions"])
        assert found.rows.bincount().tolist() == reference["supervised_token_counts"]
        assert reference["weight_next_token_in_script"] == ANSWER_WEIGHT
        total = q_scorer_loss(model, batch, score_ids(), mos)
        assert_near(total, reference["weighted_total_as_in_forward_input_type_single"])


def test_outside_of_the_scale_the_regression_has_no_gradient():
    model, reference = load(QSCORER), facts(QSCORER / "training" / "reference.json")
    case = reference["clamp_case(output_bias += 2.5)"]
    with torch.no_grad():
        model.deepmlp.output_layer.bias += 2.5
    loss = loss_of(model, QSCORER)
    assert_near(loss.item(), case["loss"])
    loss.backward()
    for name, norm in case["deepmlp_grad_norms"].items():
        assert model.get_parameter(name).grad.norm().item() == pytest.approx(norm, rel=1e-5), name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_six_steps_of_adamw_go_as_the_originals(kind):
    model, reference = load(kind), facts(kind / "training" / "reference.json")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    losses = []
    for _ in range(6):
        loss = loss_of(model, kind)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert_near(losses, next(value for key, value in reference.items() if "trajectory" in key), 1e-4, 1e-4)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_checkpointing_changes_no_gradient(kind):
    model = load(kind).train()
    model.activation_checkpointing_enable()
    loss_of(model, kind).backward()
    assert_gradients(model, facts(kind / "training" / "reference.json")["grad_norms_all_params_trainable"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_batch_made_of_pictures_and_texts_is_the_originals(kind):
    processor = MplugOwl2Processor.from_pretrained(kind / "checkpoint_safetensors")
    pixels, examples = [], []
    for sample in facts(kind / "training" / "meta.json"):
        question, answer = (turn["value"] for turn in sample["conversations"])
        examples.append(processor.training_example(question.removesuffix("\n<|image|>"), answer))
        pixels.append(processor.pixels(Image.open(kind / "training" / sample["image"]).convert("RGB")))
    batch, (expected, _) = collate(pixels, examples), batch_of(kind)
    assert torch.equal(batch.input_ids, expected.input_ids) and torch.equal(batch.labels, expected.labels)
    assert torch.equal(batch.pixel_values, expected.pixel_values[:, 0])


def test_rows_are_put_together_as_in_the_original():
    for kind in KINDS:
        model, (batch, _) = load(kind), batch_of(kind)
        expected, seen = tensors(kind / "training" / "expanded.safetensors"), []
        model.model.register_forward_pre_hook(lambda module, given: seen.append(given))
        with torch.no_grad():
            answers(model, batch)
        rows, image = seen[0][:2]
        real = expected["attention_mask"].bool()
        assert_near(rows[real], expected["inputs_embeds"][real])
        assert (expected["modality_indicators"][:, image] == 1).all()
        assert expected["modality_indicators"].sum() == len(real) * (image.stop - image.start)


def test_loss_and_gradients_with_an_adapter_attached_are_the_originals():
    reference = facts(QSCORER / "training" / "lora_reference.json")
    lora = find_layout(QSCORER / "adapter", BASE).lora
    assert {name.removesuffix(".weight") for name in lora.pairs} == set(reference["targets"])
    assert lora.scaling == reference["scaling"]
    model = load(QSCORER)
    adapted = attach_lora(model, lora, trainable=True).eval()
    for name, weight in adapted.named_parameters():
        weight.requires_grad_(name in reference["trainable"])
    loss = loss_of(model, QSCORER)
    assert_near(loss.item(), reference["loss_eval_mode"])
    loss.backward()
    assert_gradients(adapted, reference["grad_norms"])
