"""Score tokens on any VLM: what training changes, and that an adapter is the same again for us and for plain PEFT."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from PIL import Image
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForImageTextToText

from model.backbones.adapter_card import CONFIG, WEIGHTS
from model.backbones.vlm.adapting import add_score_tokens, load_adapter
from model.backbones.vlm.backbone import VlmBackbone
from model.backbones.vlm.processor import load_processor
from model.backbones.vlm.settings import Q_REALIGN, READOUT, ZERO_SHOT, VlmReadout, read_readout
from model.common.errors import ModelLoadError
from model.common.scale import Scale
from model.finetuning.step import Lesson, batch_gradients, taught
from model.readouts.levels import score_tokens
from model.readouts.objective import weighted_sum
from tests.model.tiny_vlms import FAMILIES, PADDED, write_vlm

SCORES = VlmReadout("score_token", score_tokens(5), Scale(1.0, 5.0), thinking=False, regressor_widths=(16, 8))
MOS = torch.tensor([1.4, 2.2, 3.0, 3.8, 4.6])  # one of each interval
ADAPTED = ("q_proj.weight", "v_proj.weight", "in_proj_qkv.weight")


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    random = np.random.default_rng(2)
    grain = [random.integers(0, 100, (70, 90, 3)) + 40 * n for n in range(len(MOS))]
    return [Image.fromarray(pixels.astype(np.uint8)) for pixels in grain]


def parts(folder: Path):
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32").eval()
    return model, load_processor(folder, AutoConfig.from_pretrained(folder))


def with_score_tokens(folder: Path) -> VlmBackbone:
    torch.manual_seed(0)
    model, processor = parts(folder)
    add_score_tokens(model, processor.tokenizer, SCORES)
    return VlmBackbone(model, processor, SCORES)


def score(backbone: VlmBackbone, batch) -> torch.Tensor:
    return backbone.readout.read(*backbone.ask(batch)).score.detach()


def loss_of(backbone: VlmBackbone, batch, mos: torch.Tensor) -> torch.Tensor:
    return weighted_sum(backbone.losses, taught(backbone, batch, Lesson(mos)))[0]


class Trained:
    """A tiny VLM of a family after three steps, with the losses on the way, and its adapter in `folder`."""

    def __init__(self, family: str, place: Path, images):
        self.family, self.base, self.folder = family, write_vlm(place / "base", family), place / "adapter"
        self.backbone = with_score_tokens(self.base)
        self.before = {name: tensor.clone() for name, tensor in self.backbone.model.state_dict().items()}
        self.batch = [self.backbone.prepare(image) for image in images]
        untouched = self.backbone.ask(self.batch)
        self.backbone.adapt(rank=4)
        self.unchanged_by_attaching = [
            torch.allclose(a, b, atol=1e-6) for a, b in zip(untouched, self.backbone.ask(self.batch), strict=True)
        ]
        weights = [weight for weight in self.backbone.model.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(weights, lr=3e-3)
        self.losses = []
        for _ in range(3):
            optimizer.zero_grad()
            self.losses.append(batch_gradients(self.backbone, [(self.batch, Lesson(MOS))], self.backbone.losses))
            optimizer.step()
        self.scores = score(self.backbone, self.batch)
        self.backbone.save_adapter(self.folder, base="tiny", base_revision="0123456789ab")


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request, tmp_path_factory, images) -> Trained:
    return Trained(request.param, tmp_path_factory.mktemp(request.param), images)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory, images) -> Trained:
    return Trained("qwen3_5", tmp_path_factory.mktemp("qwen"), images)


def test_a_new_adapter_changes_nothing_and_each_training_step_lowers_the_loss(trained):
    assert trained.unchanged_by_attaching == [True, True]
    assert trained.losses[0] > trained.losses[1] > trained.losses[2]


def test_a_saved_adapter_scores_the_same_when_loaded(trained):
    loaded = load_adapter(*parts(trained.base), trained.folder)
    assert not isinstance(loaded.model, PeftModel)
    torch.testing.assert_close(score(loaded, trained.batch), trained.scores, atol=1e-5, rtol=0)
    fresh = score(with_score_tokens(trained.base), trained.batch)
    assert (fresh - trained.scores).abs().max() > 1e-3  # or agreement would mean little


def test_plain_peft_loads_the_adapter_and_gives_the_same_scores(trained, images):
    model, processor = parts(trained.base)
    add_score_tokens(model, processor.tokenizer, SCORES)
    plain = PeftModel.from_pretrained(model, trained.folder).eval()
    text, bos = trained.backbone.prompt, processor.tokenizer.bos_token
    for image, expected in zip(images, trained.scores, strict=True):
        inputs = processor(
            images=[image], text=[text], add_special_tokens=not (bos and text.startswith(bos)), return_tensors="pt"
        )
        with torch.no_grad():
            hidden = plain(**inputs, output_hidden_states=True).hidden_states[-1][:, -1]
            found = plain.base_model.model.regressor(hidden).clamp(1, 5)
        assert found.item() == pytest.approx(expected.item(), abs=1e-4)


def test_only_new_rows_projections_and_regressor_are_trainable(trained):
    after = load_adapter(*parts(trained.base), trained.folder).model.state_dict()
    assert after.keys() == trained.before.keys()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, trained.before[name])}
    rows = {name for name in moved if name.endswith(("embed_tokens.weight", "lm_head.weight"))}
    others = {name for name in moved - rows if not name.startswith("regressor.")}
    assert len(rows) == 2 and others and all(name.endswith(ADAPTED) for name in others)
    assert not [name for name in others if "visual" in name or "vision" in name]
    ids = trained.backbone.readout.token_ids
    for name in rows:
        changed = (after[name] != trained.before[name]).any(1).nonzero().flatten()
        assert changed.tolist() == ids.tolist(), name


def test_the_file_holds_low_rank_updates_five_rows_and_the_regressor_and_no_path(trained):
    with safe_open(trained.folder / WEIGHTS, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
    rows = {name: shape for name, shape in shapes.items() if "trainable_tokens_delta" in name}
    assert {tuple(shape) for shape in rows.values()} == {(5, 32)}
    assert all(
        part in name for name in shapes.keys() - rows.keys() for part in ["regressor" if "regr" in name else "lora"]
    )
    for path in trained.folder.iterdir():
        assert str(trained.base.parent).encode() not in path.read_bytes()


def test_tied_embeddings_stay_tied_and_a_padded_vocabulary_does_not_grow(trained):
    base, _ = parts(trained.base)
    loaded = load_adapter(*parts(trained.base), trained.folder)
    inputs, outputs = loaded.model.get_input_embeddings().weight, loaded.model.get_output_embeddings().weight
    tied = base.get_input_embeddings().weight is base.get_output_embeddings().weight
    assert torch.equal(inputs, outputs) == tied
    grown = len(inputs) - len(base.get_input_embeddings().weight)
    assert grown == (0 if trained.family in PADDED else 5)
    assert len(inputs) == len(outputs) >= len(loaded.tokenizer)
    assert loaded.model.config.get_text_config().vocab_size == len(inputs)


@pytest.mark.parametrize("family", ["qwen3_5", "internvl"])
def test_new_rows_are_initialised_with_the_mean_of_the_tokenizers(tmp_path, family):
    model, processor = parts(write_vlm(tmp_path, family))
    known = len(processor.tokenizer)
    old = [layer.weight.detach().clone() for layer in (model.get_input_embeddings(), model.get_output_embeddings())]
    add_score_tokens(model, processor.tokenizer, SCORES)
    for before, layer in zip(old, (model.get_input_embeddings(), model.get_output_embeddings()), strict=True):
        torch.testing.assert_close(layer.weight[known : known + 5], before[:known].mean(0).expand(5, -1))
        torch.testing.assert_close(layer.weight[:known], before[:known], atol=0, rtol=0)


def test_the_regressor_learns_from_the_position_that_predicts_the_score_token(qwen):
    backbone, seen = with_score_tokens(qwen.base), []
    backbone.model.regressor.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    loss_of(backbone, qwen.batch, MOS)
    torch.testing.assert_close(seen[0], backbone.ask(qwen.batch)[0], atol=1e-5, rtol=0)


def test_the_loss_is_what_the_plain_model_says_of_the_whole_answer(qwen):
    backbone, mos = with_score_tokens(qwen.base), 3.8
    loss = loss_of(backbone, qwen.batch[:1], torch.tensor([mos]))
    inputs = {**qwen.batch[0].text, **qwen.batch[0].vision}
    answer = backbone.tokenizer("<score4>.<|im_end|>", return_tensors="pt").input_ids
    for name, more in (("input_ids", answer), ("attention_mask", answer * 0 + 1), ("mm_token_type_ids", answer * 0)):
        inputs[name] = torch.cat([inputs[name], more], 1)
    output = backbone.model(**inputs, output_hidden_states=True)
    count = len(backbone.stem_ids) + 3
    cross_entropy = torch.nn.functional.cross_entropy(
        output.logits[0, -count - 1 : -1], inputs["input_ids"][0, -count:], reduction="sum"
    )
    score = backbone.model.regressor(output.hidden_states[-1][0, -4])
    assert loss.item() == pytest.approx((cross_entropy + (score - mos) ** 2).item(), abs=1e-3)


@pytest.mark.parametrize("readout", [Q_REALIGN, ZERO_SHOT])
def test_the_loss_of_a_batch_of_unlike_lengths_is_the_mean_of_each_alone(tmp_path, images, readout):
    model, processor = parts(write_vlm(tmp_path, "llava_onevision"))
    backbone = VlmBackbone(model, processor, readout)
    batch = [backbone.prepare(image.resize(size)) for image, size in zip(images, [(90, 70), (64, 64)], strict=False)]
    assert batch[0].length != batch[1].length and batch[0].shape_key == batch[1].shape_key
    mos = torch.tensor([0.3, 0.9])
    alone = torch.stack([loss_of(backbone, [image], mos[n : n + 1]) for n, image in enumerate(batch)])
    torch.testing.assert_close(loss_of(backbone, batch, mos), alone.mean(), atol=1e-4, rtol=0)


def test_the_answer_that_is_taught_is_stem_token_full_stop_and_end(qwen):
    backbone = with_score_tokens(qwen.base)
    answered = backbone.answer(qwen.batch[:1], ["<score4>"])
    assert backbone.tokenizer.decode(answered.ids[0]) == "The quality of the image is<score4>.<|im_end|>"
    assert answered.ids[0, answered.read_at] == backbone.readout.token_ids[3]


def test_a_level_readout_is_fine_tuned_without_a_regressor(tmp_path, images):
    base = write_vlm(tmp_path / "base", "qwen2_5_vl")
    backbone = VlmBackbone(*parts(base), Q_REALIGN)
    batch, mos = [backbone.prepare(image) for image in images], (MOS - 1) / 4
    backbone.adapt(rank=4)
    optimizer = torch.optim.Adam([weight for weight in backbone.model.parameters() if weight.requires_grad], lr=3e-3)
    before = batch_gradients(backbone, [(batch, Lesson(mos))], backbone.losses)
    optimizer.step()
    assert loss_of(backbone, batch, mos) < before
    backbone.save_adapter(tmp_path / "adapter", "tiny", "0")
    loaded = load_adapter(*parts(base), tmp_path / "adapter")
    assert loaded.settings == Q_REALIGN and loaded.readout.regressor is None
    torch.testing.assert_close(loaded.ask(batch)[1], backbone.ask(batch)[1], atol=1e-5, rtol=0)


def test_training_resumes_from_a_loaded_adapter(qwen):
    backbone = load_adapter(*parts(qwen.base), qwen.folder, trainable=True)
    loss = loss_of(backbone, qwen.batch, MOS)
    assert loss < qwen.losses[-1]
    loss.backward()
    moving = [name for name, weight in backbone.model.named_parameters() if weight.requires_grad]
    assert moving and all(part in name for name in moving for part in ["default"])


@pytest.fixture
def copy(qwen, tmp_path) -> Path:
    return Path(shutil.copytree(qwen.folder, tmp_path / "copy"))


def test_a_readout_is_read_as_it_was_written(qwen):
    assert read_readout(qwen.folder) == SCORES


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "copy lacks readout.json"), ("{", "is not readable JSON"), ('{"kind": "level"}', "is not a readout")],
)
def test_a_missing_or_broken_readout_is_named(qwen, copy, content, sentence):
    (copy / READOUT).unlink() if content is None else (copy / READOUT).write_text(content)
    with pytest.raises(ModelLoadError, match=sentence):
        load_adapter(*parts(qwen.base), copy)


def test_an_adapter_for_another_tokenizer_is_refused(qwen, copy):
    config = json.loads((copy / CONFIG).read_text())
    config["trainable_token_indices"] = {layer: [1, 2, 3, 4, 5] for layer in config["trainable_token_indices"]}
    (copy / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ModelLoadError, match="trains other rows than those of <score1>.*another tokenizer"):
        load_adapter(*parts(qwen.base), copy)


def test_an_adapter_of_another_family_is_refused(qwen, tmp_path):
    with pytest.raises(ModelLoadError):
        load_adapter(*parts(write_vlm(tmp_path, "smolvlm")), qwen.folder)
