"""Loading a VLM's folder, and the one sentence that each kind of broken folder is answered with."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from model.backbones.vlm.adapting import add_score_tokens
from model.backbones.vlm.loading import is_vlm, load_vlm, read_config
from model.backbones.vlm.processor import load_processor
from model.backbones.vlm.settings import MAX_PIXELS, Q_REALIGN, READOUT, ZERO_SHOT, VlmReadout, read_readout
from model.common.errors import ModelLoadError
from model.common.scale import Scale
from tests.model.tiny_vlms import FAMILIES, write_vlm

WEIGHTS = "model.safetensors"
UNCAPPED = dataclasses.replace(ZERO_SHOT, max_pixels=None)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory) -> Path:
    return write_vlm(tmp_path_factory.mktemp("vlm") / "qwen", "qwen3_5")


@pytest.fixture
def copy(qwen, tmp_path) -> Path:
    return Path(shutil.copytree(qwen, tmp_path / "copy"))


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (80, 100, 3), dtype=np.uint8))


def edit(path: Path, **changes) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_saved_answers_the_same_when_loaded(tmp_path, image, family):
    first = load_vlm(write_vlm(tmp_path / "first", family))
    shutil.copytree(tmp_path / "first", tmp_path / "second", ignore=shutil.ignore_patterns("*.safetensors"))
    first.model.save_pretrained(tmp_path / "second", max_shard_size="60kB")
    assert len(list((tmp_path / "second").glob("model-*.safetensors"))) > 1
    second = load_vlm(tmp_path / "second")
    expected, found = (backbone.ask([backbone.prepare(image)]) for backbone in (first, second))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_folder_is_asked_zero_shot_unless_a_readout_is_given_or_lies_in_it(copy):
    assert load_vlm(copy).settings == ZERO_SHOT
    assert load_vlm(copy, Q_REALIGN).settings == Q_REALIGN
    settings = {"kind": "level", "tokens": ["bad", "good"], "scale": [0, 10], "regressor_widths": []}
    (copy / READOUT).write_text(json.dumps(settings))
    backbone = load_vlm(copy)
    assert (backbone.readout.tokens, backbone.readout.scale) == (("bad", "good"), (0, 10))


def test_an_adapter_comes_with_its_own_readout(qwen, tmp_path, image):
    tokens = ("<score1>", "<score2>", "<score3>")
    readout = VlmReadout("score_token", tokens, Scale(0.0, 100.0), thinking=False, regressor_widths=(8,))
    base = load_vlm(qwen)
    add_score_tokens(base.model, base.tokenizer, readout)
    backbone = type(base)(base.model, base.processor, readout)
    backbone.adapt(rank=2)
    backbone.save_adapter(tmp_path / "adapter", "tiny", "0")
    loaded = load_vlm(qwen, adapter=tmp_path / "adapter")
    assert (loaded.settings, loaded.readout.tokens) == (readout, tokens)
    hidden, _ = loaded.ask([loaded.prepare(image)])
    assert loaded.readout.regressor(hidden.float()).shape == (1,)
    assert read_readout(tmp_path / "adapter") == readout


@pytest.mark.parametrize("family", ["qwen3_5", "qwen2_5_vl"])
def test_a_large_photograph_takes_a_bounded_number_of_positions_and_a_small_image_stays_as_it_is(
    tmp_path, image, family
):
    folder = write_vlm(tmp_path, family)
    edit(folder / "preprocessor_config.json", size={"shortest_edge": 56 * 56, "longest_edge": 16 * 2**20})
    capped, whole = load_vlm(folder), load_vlm(folder, Q_REALIGN)  # Q-ReAlign looks as its authors let it
    side = {"qwen3_5": 32, "qwen2_5_vl": 28}[family]  # of a token
    photograph = Image.new("RGB", (2000, 1500))
    positions = [backbone.prepare(photograph).length for backbone in (capped, whole)]
    without = capped.prepare(image).length - tokens(capped, image)
    assert 0.9 * MAX_PIXELS < (positions[0] - without) * side**2 <= MAX_PIXELS
    assert (positions[1] - without) * side**2 > 2.8e6
    found, expected = (b.ask([b.prepare(image)])[1] for b in (capped, load_vlm(folder, UNCAPPED)))
    assert torch.equal(found, expected)


def tokens(backbone, image) -> int:
    """How many positions the image itself takes."""
    ids = backbone.prepare(image).text["input_ids"][0]
    return int((ids == backbone.model.config.image_token_id).sum())


@pytest.mark.parametrize("family", ["smolvlm", "llava_onevision", "internvl", "gemma3"])
def test_a_processor_of_fixed_resolution_is_not_changed(tmp_path, family):
    folder = write_vlm(tmp_path, family)
    config = read_config(folder)
    found, expected = (load_processor(folder, config, most).image_processor.to_dict() for most in (64, None))
    assert found == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_is_half_precision_throughout(tmp_path, image, family):
    folder = write_vlm(tmp_path, family)
    exact, half = load_vlm(folder), load_vlm(folder, dtype=torch.bfloat16)
    hidden, logits = half.ask([half.prepare(image)])
    assert half.dtype == hidden.dtype == torch.bfloat16
    assert (logits - exact.ask([exact.prepare(image)])[1]).abs().max() < 0.3


def test_unexpected_tensors_are_named_in_a_warning(copy, caplog):
    save_file(load_file(copy / WEIGHTS) | {"extra.weight": torch.zeros(1)}, copy / WEIGHTS, {"format": "pt"})
    load_vlm(copy)
    assert "1 unexpected tensors are not used, such as extra.weight" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", None, "lacks config.json: copy"),
        ("config.json", b"{", "config.json is not"),
        ("config.json", b"[]", "config.json is not"),
        (
            "config.json",
            b'{"model_type": "llama"}',
            "type 'llama', which transformers does not support for images and",
        ),
        ("config.json", b'{"model_type": "florence2"}', "encoder-decoder model .type 'florence2'"),
        ("config.json", b'{"model_type": "qwen3_5", "text_config": 3}', "config.json is not a readable model conf"),
        ("tokenizer.json", None, "lacks tokenizer.json"),
        ("tokenizer.json", b"{}", "cannot be read as a model"),
        ("tokenizer.json", b'{"version": "1.0", "model"', "cannot be read as a model"),
        ("tokenizer_config.json", b"{", "cannot be read as a model"),
        ("processor_config.json", b"{", "cannot be read as a model"),
        (WEIGHTS, None, "lacks model.safetensors"),
        (WEIGHTS, b"\x00" * 100, "model.safetensors is not a safetensors file, or truncated"),
        ("model.safetensors.index.json", b"{}", "index.json has no valid weight_map"),
        ("chat_template.jinja", None, "has no chat template .*choose its instruct or chat version"),
        ("chat_template.jinja", b"{% for %}", "cannot be read as a model"),
        ("preprocessor_config.json", b"{", "cannot be read as a model"),
    ],
)
def test_a_missing_or_broken_file_is_named(copy, name, content, sentence):
    (copy / name).unlink(missing_ok=True)
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(ModelLoadError, match=sentence) as caught:
        load_vlm(copy)
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)


def test_a_missing_image_processor_is_named(copy):
    for name in ("preprocessor_config.json", "processor_config.json"):
        (copy / name).unlink()
    with pytest.raises(ModelLoadError, match="lacks preprocessor_config.json"):
        load_vlm(copy)


def test_missing_and_truncated_shards_are_named(qwen, copy):
    (copy / WEIGHTS).unlink()
    AutoModelForImageTextToText.from_pretrained(qwen).save_pretrained(copy, max_shard_size="60kB")
    shard = sorted(copy.glob("model-*.safetensors"))[1]
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelLoadError, match=f"{shard.name} is not a safetensors file, or truncated"):
        load_vlm(copy)
    shard.unlink()
    with pytest.raises(ModelLoadError, match=f"lacks {shard.name}"):
        load_vlm(copy)


@pytest.mark.parametrize("family", ["mistral3", "lfm2_vl"])  # by their processor, by their image processor
def test_a_family_that_needs_torchvision_is_refused(copy, family):
    (copy / "config.json").write_text(json.dumps({"model_type": family}))
    (copy / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ModelLoadError, match=f"'{family}', whose image processor needs torchvision"):
        load_vlm(copy)


def test_pickled_weights_are_not_read(copy):
    (copy / WEIGHTS).rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="pytorch_model.bin only"):
        load_vlm(copy)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda tensor: None, "lacks the tensor model.visual.merger.norm.weight"),
        (lambda tensor: tensor[:-1].clone(), "wrong shape: model.visual.merger.norm.weight"),
    ],
)
def test_a_tensor_that_is_missing_or_of_the_wrong_shape_is_named(copy, spoil, sentence):
    tensors = load_file(copy / WEIGHTS)
    tensors["model.visual.merger.norm.weight"] = spoil(tensors["model.visual.merger.norm.weight"])
    save_file(
        {name: tensor for name, tensor in tensors.items() if tensor is not None}, copy / WEIGHTS, {"format": "pt"}
    )
    with pytest.raises(ModelLoadError, match=sentence):
        load_vlm(copy)


MAP = {
    name: f"evil.{name}"
    for name in ("AutoConfig", "AutoModelForImageTextToText", "AutoProcessor", "AutoImageProcessor")
}


@pytest.mark.parametrize("known", [True, False])
def test_code_in_a_folder_is_never_run(copy, monkeypatch, known):
    for name in ("config.json", "preprocessor_config.json", "processor_config.json", "tokenizer_config.json"):
        edit(copy / name, auto_map=MAP | {"AutoTokenizer": ["evil.AutoTokenizer", None]})
    trace, asked = copy / "it_ran", []
    (copy / "evil.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    monkeypatch.setattr("builtins.input", lambda *prompt: asked.append(prompt) or "y")
    if known:
        load_vlm(copy)
    else:
        edit(copy / "config.json", model_type="evil_vlm")
        with pytest.raises(
            ModelLoadError, match=r"type 'evil_vlm', which transformers does not support .*auto_map.* is never run"
        ):
            load_vlm(copy)
    assert not trace.exists() and not asked


def test_a_vlm_is_detected_by_its_model_type(copy):
    assert is_vlm(copy)
    edit(copy / "config.json", model_type="qscorer_nano")
    assert not is_vlm(copy)
