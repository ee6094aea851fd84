"""Fine-tuning's own step against the original programs: losses, the gradient of every parameter, six steps of AdamW."""

import pytest
import torch
from PIL import Image

from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.layouts import find_layout
from model.backbones.mplug_owl2.loading import attach_lora, load_model
from model.backbones.mplug_owl2.processor import MplugOwl2Processor
from model.finetuning.step import Lesson, batch_gradients, taught
from model.readouts.objective import weighted_sum
from model.readouts.systems import RELEASED_Q_SCORER, RELEASED_WEIGHT
from tests.model.owl_fixtures import BASE, QALIGN, QSCORER, assert_near, facts, tensors

KINDS = [QSCORER, QALIGN]
# The reference's gradients are of the loss before Q-Scorer's script multiplies it by .05.
WEIGHTS = {QSCORER: {"cross_entropy": 1.0, "clamped_squared_error": 1.0}, QALIGN: {"cross_entropy": 1.0}}


def load(kind) -> MplugOwl2Backbone:
    backbone = MplugOwl2Backbone(*load_model(find_layout(kind / "checkpoint_safetensors")))
    backbone.model.requires_grad_(True)
    return backbone


def batch_of(backbone: MplugOwl2Backbone, kind):
    """The four training images, and what their conversations teach."""
    samples = facts(kind / "training" / "meta.json")
    batch = [backbone.prepare(Image.open(kind / "training" / s["image"]).convert("RGB")) for s in samples]
    questions, answers = zip(*([turn["value"] for turn in s["conversations"]] for s in samples), strict=True)
    return batch, Lesson(
        mos=torch.tensor([sample["gt_score"] for sample in samples]),
        tokens=[answer.removeprefix("The quality of the image is ").removesuffix(".") for answer in answers],
        questions=[question.removesuffix("\n<|image|>") for question in questions],
    )


def loss_of(backbone: MplugOwl2Backbone, kind, weights=None) -> tuple[torch.Tensor, dict]:
    return weighted_sum(weights or WEIGHTS[kind], taught(backbone, *batch_of(backbone, kind)))


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


@pytest.mark.parametrize("size", [4, 3, 1], ids=lambda size: f"parts of {size}")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_loss_and_every_gradient_are_the_originals_however_the_batch_is_divided(kind, size):
    backbone, reference = load(kind), facts(kind / "training" / "reference.json")
    batch, lesson = batch_of(backbone, kind)
    rows = [list(range(start, min(start + size, len(batch)))) for start in range(0, len(batch), size)]
    loss = batch_gradients(backbone, [([batch[n] for n in part], lesson[part]) for part in rows], WEIGHTS[kind])
    assert_near(loss, reference["loss_as_returned"])
    assert_gradients(backbone.model, reference["grad_norms_all_params_trainable"])


def test_q_scorers_parts_and_the_weights_of_its_script_are_the_originals():
    backbone, reference = load(QSCORER), facts(QSCORER / "training" / "reference.json")
    with torch.no_grad():
        batch, lesson = batch_of(backbone, QSCORER)
        shown = taught(backbone, batch, lesson)
        assert_near(shown.scores, reference["mlp_raw_at_label_positions"])
        assert [shown.answer_ids.shape[1]] * len(batch) == reference["supervised_token_counts"]
        total, parts = weighted_sum(RELEASED_Q_SCORER, shown)
    assert_near(parts["cross_entropy"], reference["cross_entropy"])
    assert_near(parts["clamped_squared_error"], reference["mse_sum_over_batch"])
    assert reference["weight_next_token_in_script"] == RELEASED_WEIGHT
    assert_near(total, reference["weighted_total_as_in_forward_input_type_single"])
    assert backbone.losses == RELEASED_Q_SCORER


def test_outside_of_the_scale_the_regression_has_no_gradient():
    backbone, reference = load(QSCORER), facts(QSCORER / "training" / "reference.json")
    case = reference["clamp_case(output_bias += 2.5)"]
    with torch.no_grad():
        backbone.model.deepmlp.output_layer.bias += 2.5
    loss, _ = loss_of(backbone, QSCORER)
    assert_near(loss.item(), case["loss"])
    loss.backward()
    for name, norm in case["deepmlp_grad_norms"].items():
        assert backbone.model.get_parameter(name).grad.norm().item() == pytest.approx(norm, rel=1e-5), name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_six_steps_of_adamw_go_as_the_originals(kind):
    backbone, reference = load(kind), facts(kind / "training" / "reference.json")
    optimizer = torch.optim.AdamW(backbone.model.parameters(), lr=1e-3, weight_decay=0)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        losses.append(batch_gradients(backbone, [batch_of(backbone, kind)], WEIGHTS[kind]))
        optimizer.step()
    assert_near(losses, next(value for key, value in reference.items() if "trajectory" in key), 1e-4, 1e-4)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_checkpointing_changes_no_gradient(kind):
    backbone = load(kind)
    backbone.model.train()
    backbone.model.activation_checkpointing_enable()
    loss_of(backbone, kind)[0].backward()
    assert_gradients(backbone.model, facts(kind / "training" / "reference.json")["grad_norms_all_params_trainable"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_images_and_texts_become_the_originals_tensors(kind):
    processor = MplugOwl2Processor.from_pretrained(kind / "checkpoint_safetensors")
    expected = tensors(kind / "training" / "batch.safetensors")
    for row, sample in enumerate(facts(kind / "training" / "meta.json")):
        question, answer = (turn["value"] for turn in sample["conversations"])
        ids, labels = processor.training_example(question.removesuffix("\n<|image|>"), answer)
        assert (
            ids == expected["input_ids"][row, : len(ids)].tolist() and not expected["input_ids"][row, len(ids) :].any()
        )
        assert labels == expected["labels"][row, : len(labels)].tolist()
        pixels = processor.pixels(Image.open(kind / "training" / sample["image"]).convert("RGB"))
        assert torch.equal(pixels, expected["images"][row, 0])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_rows_are_put_together_as_in_the_original(kind):
    backbone, expected, seen = load(kind), tensors(kind / "training" / "expanded.safetensors"), []
    backbone.model.model.register_forward_pre_hook(lambda module, given: seen.append(given))
    with torch.no_grad():
        taught(backbone, *batch_of(backbone, kind))
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
    backbone = load(QSCORER)
    adapted = attach_lora(backbone.model, lora, trainable=True).eval()
    for name, weight in adapted.named_parameters():
        weight.requires_grad_(name in reference["trainable"])
    loss, _ = loss_of(backbone, QSCORER)
    assert_near(loss.item(), reference["loss_eval_mode"])
    loss.backward()
    assert_gradients(adapted, reference["grad_norms"])
