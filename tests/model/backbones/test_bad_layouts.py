"""Folders of published layouts that do not fit: what was done to a copy of a good one, and what the sentence must say."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.backbones.mplug_owl2.layouts import find_layout
from model.backbones.mplug_owl2.loading import load_model
from model.common.errors import ModelLoadError
from tests.model.owl_fixtures import BASE, QSCORER, copied, facts, load_bin

SHARDS = sorted(set(facts(BASE / "pytorch_model.bin.index.json")["weight_map"].values()))
SHARD = SHARDS[-1]


def change_bin(name: str, change):
    def spoil(folder: Path) -> None:
        content = load_bin(folder / name)
        change(content)
        torch.save(content, folder / name)

    return spoil


def change_config(name: str = "config.json", **settings):
    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return spoil


def cut(name: str, keep: float = 0.5):
    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(keep * len(content))])

    return spoil


def remove(name: str):
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def change_safetensors(change):
    def spoil(folder: Path) -> None:
        content = load_file(folder / "model.safetensors")
        change(content)
        save_file(content, folder / "model.safetensors")

    return spoil


def hostile(folder: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (folder / "went off",))

    torch.save({"lm_head.weight": Bomb()}, folder / "non_lora_trainables.bin")


def halve(key: str):
    return lambda content: content.__setitem__(key, content[key][: len(content[key]) // 2].clone())


NON_LORA, P = "non_lora_trainables.bin", "base_model.model."
Q_PROJ = "model.layers.0.self_attn.q_proj"
BAD = {
    "missing shard": (BASE, remove(SHARD), [SHARD, f"one of {len(SHARDS)} files", "download it too"]),
    "half a shard": (BASE, cut(SHARD), [SHARD, "truncated", "download this file again"]),
    "empty shard": (BASE, write(SHARD, b""), [SHARD, "empty"]),
    "lfs pointer": (BASE, write(SHARD, b"version https://git-lfs.github.com/spec/v1\noid"), [SHARD, "git lfs pull"]),
    "half an index": (BASE, cut("pytorch_model.bin.index.json"), ["pytorch_model.bin.index.json", "not readable JSON"]),
    "no weights": (QSCORER / "merged", remove("model.safetensors"), ["no weights"]),
    "index without map": (BASE, write("pytorch_model.bin.index.json", b"{}"), ["weight_map"]),
    "shard lacks a tensor": (BASE, change_bin(SHARD, lambda c: c.popitem()), [SHARD, "lacks the tensor", "lists"]),
    "no config": (BASE, remove("config.json"), ["lacks config.json"]),
    "half a config": (BASE, cut("config.json"), ["config.json", "not readable JSON"]),
    "another kind of model": (BASE, change_config(model_type="llava"), ["config.json", "'llava'"]),
    "other sizes": (BASE, change_config(hidden_size=4096), ["of shape", "the model needs"]),
    "odd rope": (BASE, change_config(rope_scaling={"type": "linear", "factor": 2.0}), ["rope_scaling"]),
    "other image size": (BASE, change_config(visual_config={}), ["448 pixels", "different models"]),
    "shards without their index": (BASE, remove("pytorch_model.bin.index.json"), [".bin.index.json", "download it"]),
    "width in words": (BASE, change_config(hidden_size="wide"), ["config.json", "hidden_size", "'wide'"]),
    "no heads": (BASE, change_config(num_attention_heads=0, num_key_value_heads=0), ["num_attention_heads", "is 0"]),
    "visual_config a number": (BASE, change_config(visual_config=7), ["config.json", "visual_config"]),
    "whole numbers": (
        BASE,
        change_bin(SHARD, lambda c: c.update({key: value.int() for key, value in c.items()})),
        [SHARD, "integers"],
    ),
    "names of tokens in one word": (QSCORER / "merged", change_config(score_tokens="abc"), ["score_tokens"]),
    "fewer names than tokens": (
        QSCORER / "merged",
        change_config(score_tokens=["<score1>", "<score2>"]),
        ["score_tokens"],
    ),
    "ids in words": (QSCORER / "merged", write("added_tokens.json", b'{"<score1>": "x"}'), ["<score1>", "'x'"]),
    "id beyond the vocabulary": (QSCORER / "merged", write("added_tokens.json", b'{"<score1>": 99999}'), ["99999"]),
    "half safetensors": (QSCORER / "merged", cut("model.safetensors"), ["model.safetensors", "truncated"]),
    "wrong shape": (
        QSCORER / "merged",
        change_safetensors(halve("model.norm.weight")),
        ["model.safetensors", "model.norm.weight", "of shape"],
    ),
    "left over": (
        QSCORER / "merged",
        change_safetensors(lambda c: c.__setitem__("model.extra.weight", torch.ones(2))),
        ["model.extra.weight", "unexpected"],
    ),
    "lacking": (
        QSCORER / "merged",
        change_safetensors(lambda c: c.pop("model.norm.weight")),
        ["lacks the tensor model.norm.weight"],
    ),
    "regressor lacking": (
        QSCORER / "merged",
        change_safetensors(lambda c: [c.pop(key) for key in list(c) if key.startswith("deepmlp")]),
        ["lacks the tensor deepmlp.model.0.linear.bias"],
    ),
    "no adapter weights": (QSCORER / "adapter", remove("adapter_model.bin"), ["lacks adapter_model"]),
    "no other weights": (QSCORER / "adapter", remove(NON_LORA), ["lacks non_lora_trainables"]),
    "half of them": (QSCORER / "adapter", cut(NON_LORA), [NON_LORA, "truncated"]),
    "hostile": (QSCORER / "adapter", hostile, [NON_LORA, "refused"]),
    "wrapped": (
        QSCORER / "adapter",
        lambda f: torch.save({"state_dict": {}}, f / NON_LORA),
        [NON_LORA, "named tensors"],
    ),
    "unknown key": (
        QSCORER / "adapter",
        change_bin(NON_LORA, lambda c: c.__setitem__("module.lm_head.weight", torch.ones(1))),
        ["module.lm_head.weight", "not a tensor of mPLUG-Owl2"],
    ),
    "no rows": (
        QSCORER / "adapter",
        change_bin(NON_LORA, lambda c: c.pop(P + "lm_head.weight")),
        ["lm_head.weight of shape", "another base"],
    ),
    "no regressor": (
        QSCORER / "adapter_fulldump",
        change_bin(NON_LORA, lambda c: [c.pop(key) for key in list(c) if "deepmlp" in key]),
        ["lacks deepmlp"],
    ),
    "half an update": (
        QSCORER / "adapter",
        change_bin("adapter_model.bin", lambda c: c.pop(f"{P}{Q_PROJ}.lora_B.weight")),
        [Q_PROJ, "counterpart"],
    ),
    "rank": (QSCORER / "adapter", change_config("adapter_config.json", r=999), ["lora_", "r = 999"]),
    "no rank": (QSCORER / "adapter", change_config("adapter_config.json", r=None), ["adapter_config.json lacks r"]),
    "dora": (QSCORER / "adapter", change_config("adapter_config.json", use_dora=True), ["use_dora"]),
    "not lora": (QSCORER / "adapter", change_config("adapter_config.json", peft_type="IA3"), ["IA3"]),
    "alien update": (
        QSCORER / "adapter",
        change_bin("adapter_model.bin", lambda c: c.__setitem__("something", torch.ones(1))),
        ["adapter_model.bin", "something"],
    ),
    "update of another base": (
        QSCORER / "adapter",
        change_bin("adapter_model.bin", halve(f"{P}{Q_PROJ}.lora_B.weight")),
        [f"{Q_PROJ}.weight as [", "own base"],
    ),
}


@pytest.mark.parametrize("folder, spoil, words", BAD.values(), ids=BAD)
def test_an_invalid_layout_is_refused_and_the_fault_is_named(folder, spoil, words, tmp_path):
    copy = copied(folder, tmp_path)
    spoil(copy)
    with pytest.raises(ModelLoadError) as caught:
        load_model(find_layout(copy, BASE if (copy / "adapter_config.json").exists() else None))
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence and sentence.endswith(".")
    assert not (copy / "went off").exists()


def test_an_adapter_alone_asks_for_its_base():
    with pytest.raises(ModelLoadError, match=r"needs its base.* as in BASE\+.*adapter\.$"):
        find_layout(QSCORER / "adapter")


def test_an_adapter_as_the_base_is_refused():
    with pytest.raises(ModelLoadError, match="adapter.* needs its base"):
        find_layout(QSCORER / "adapter", QSCORER / "adapter")


def test_a_q_scorer_as_the_base_is_refused():
    with pytest.raises(ModelLoadError, match="merged has deepmlp.*is for another base"):
        find_layout(QSCORER / "adapter", QSCORER / "merged")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ModelLoadError, match="there is no folder .*nowhere"):
        find_layout(tmp_path / "nowhere")
