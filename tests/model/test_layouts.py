"""The published layouts: what a folder holds, what its model answers, and what is said when something is wrong with it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.backbones.mplug_owl2_loading import attach_lora, load_model
from model.backbones.mplug_owl2_scoring import MplugOwl2Backbone
from model.errors import ModelLoadError
from model.layouts import find_layout
from model.weight_files import WeightFile
from tests.model.owl_fixtures import QALIGN, QSCORER, assert_near, facts, pictures

BASE = QSCORER / "base_mplug_owl2"
SHARDS = sorted(set(facts(BASE / "pytorch_model.bin.index.json")["weight_map"].values()))
SHARD = SHARDS[-1]
NAMES = tuple(facts(QSCORER / "adapter" / "config.json")["score_tokens"])
IDS = facts(QSCORER / "outputs.json")["score_token_ids"]
LAYOUTS = [
    (BASE, None, "mPLUG-Owl2 base"),
    (QALIGN / "checkpoint_bin", None, "level model"),
    (QALIGN / "checkpoint_safetensors", None, "level model"),
    (QSCORER / "checkpoint_bin", None, "Q-Scorer, merged"),
    (QSCORER / "merged", None, "Q-Scorer, merged"),
    (QSCORER / "adapter", BASE, "Q-Scorer LoRA, trained parameters only"),
    (QSCORER / "adapter_fulldump", BASE, "Q-Scorer LoRA, every parameter"),
]


def scorer(folder: Path, base: Path | None = None, **how) -> MplugOwl2Backbone:
    return MplugOwl2Backbone(*load_model(find_layout(folder, base), **how))


def raw_scores(found: MplugOwl2Backbone) -> torch.Tensor:
    hidden, _ = found.last_position([found.prepare(picture) for picture in pictures(QSCORER)])
    return found.regressor(hidden).detach()


def load_bin(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)


def copied(folder: Path, to: Path) -> Path:
    """A copy that may be changed; under a name that says nothing."""
    return Path(shutil.copytree(folder, to / "folder"))


def deqa_lora(tmp_path: Path) -> Path:
    """A DeQA-Score LoRA: as Q-Scorer's, without regressor, score tokens and the rest that stays frozen there."""
    folder = copied(QSCORER / "adapter", tmp_path)
    kept = load_bin(folder / "non_lora_trainables.bin")
    kept = {key: value for key, value in kept.items() if ".visual_abstractor." in key or ".vision_model." in key}
    torch.save(kept, folder / "non_lora_trainables.bin")
    (folder / "config.json").write_text((BASE / "config.json").read_text())
    return folder


@pytest.mark.parametrize("folder, base, name", LAYOUTS, ids=lambda value: getattr(value, "name", ""))
def test_the_layout_is_found_out_from_the_files(folder, base, name, tmp_path):
    assert find_layout(copied(folder, tmp_path), base).name == name


def test_a_deqa_lora_is_known_from_a_q_scorer_one(tmp_path):
    folder = deqa_lora(tmp_path)
    layout = find_layout(folder, BASE)
    assert layout.name == "DeQA-Score LoRA, trained parameters only"
    model, processor = load_model(layout)
    found = MplugOwl2Backbone(model, processor)
    assert (found.readout, found.scale) == ("level", (1.0, 5.0))
    # By hand: the base, its vision parts replaced, the update added.
    expected = load_model(find_layout(BASE))[0]
    state = {
        key.removeprefix("base_model.model."): value
        for key, value in load_bin(folder / "non_lora_trainables.bin").items()
    }
    expected.load_state_dict(state, strict=False)
    update = load_bin(folder / "adapter_model.bin")
    scaling = layout.lora.config["lora_alpha"] / layout.lora.config["r"]
    for key in [key for key in update if "lora_A" in key]:
        weight = expected.get_submodule(key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")).weight
        weight.data += scaling * update[key.replace("lora_A", "lora_B")].float() @ update[key].float()
    batch = [found.prepare(picture) for picture in pictures(QALIGN)]
    assert_near(found.last_position(batch)[1], MplugOwl2Backbone(expected, processor).last_position(batch)[1])


@pytest.mark.parametrize("folder", ["checkpoint_bin", "checkpoint_safetensors"])
def test_a_whole_q_scorer_scores_as_the_original(folder):
    expected = facts(QSCORER / "outputs.json")["per_prompt"]["scorer_newline"]["mlp_out_raw"]
    assert_near(raw_scores(scorer(QSCORER / folder)), expected)


@pytest.mark.parametrize("folder", ["checkpoint_bin", "checkpoint_safetensors"])
def test_a_level_model_answers_as_the_original(folder):
    found = scorer(QALIGN / folder)
    logits = found.last_position([found.prepare(picture) for picture in pictures(QALIGN)])[1]
    expected = facts(QALIGN / "outputs.json")["per_prompt"]["scorer_newline"]["level_logits"]
    assert_near(logits[:, found.token_ids].flip(1), expected)


def test_a_merged_q_scorer_scores_as_the_original():
    outputs = facts(QSCORER / "adapter_outputs.json")["merged_by_original_script_from_adapter"]
    assert_near(raw_scores(scorer(QSCORER / "merged")), outputs["fp32_eval_of_fp16_merged"]["mlp_out_raw"])


@pytest.mark.parametrize("folder", ["adapter", "adapter_fulldump"])
def test_an_adapter_scores_as_the_original_and_as_merged(folder):
    outputs = facts(QSCORER / "adapter_outputs.json")
    found = scorer(QSCORER / folder, BASE)
    assert found.tokens == NAMES and found.token_ids.tolist() == IDS
    scores = raw_scores(found)
    assert_near(scores, outputs["unmerged_fp32_peft_forward"]["mlp_out_raw"], 1e-3)
    merged = outputs[f"merged_by_original_script_from_{folder}"]["fp32_eval_of_fp16_merged"]["mlp_out_raw"]
    assert_near(scores, merged, 1e-3)


def test_attached_and_merged_adapters_score_alike():
    layout = find_layout(QSCORER / "adapter", BASE)
    model, processor = load_model(layout, merge=False)
    bare = raw_scores(MplugOwl2Backbone(model, processor))
    adapted = attach_lora(model, layout.lora)
    attached = raw_scores(MplugOwl2Backbone(model, processor))
    merged = raw_scores(scorer(QSCORER / "adapter", BASE))
    assert_near(attached, merged)
    assert (attached - bare).abs().max() > 1e-2
    adapted.merge_and_unload()
    assert_near(raw_scores(MplugOwl2Backbone(model, processor)), merged)


def test_an_attached_adapter_can_be_trained_on():
    layout = find_layout(QSCORER / "adapter", BASE)
    adapted = attach_lora(load_model(layout, merge=False)[0], layout.lora, trainable=True)
    trainable = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert len(trainable) == 2 * len(layout.lora.pairs) and all("lora_" in name for name in trainable)


def test_shards_are_read_whatever_the_index_calls_them(tmp_path):
    folder = copied(BASE, tmp_path)
    (folder / SHARD).rename(folder / "part.one.bin")
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(index.read_text().replace(SHARD, "part.one.bin"))
    found, expected = (load_model(find_layout(place))[0].state_dict() for place in (folder, BASE))
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_bin_files_of_old_pytorch_are_read(tmp_path):
    folder = copied(QSCORER / "adapter", tmp_path)
    for name in ("adapter_model.bin", "non_lora_trainables.bin"):
        torch.save(load_bin(folder / name), folder / name, _use_new_zipfile_serialization=False)
    assert_near(raw_scores(scorer(folder, BASE)), raw_scores(scorer(QSCORER / "adapter", BASE)), 0)


def test_names_of_later_peft_versions_are_read(tmp_path):
    folder = copied(QSCORER / "adapter_fulldump", tmp_path)
    path, changed = folder / "non_lora_trainables.bin", {}
    for key, value in load_bin(path).items():
        lora = key.endswith((".q_proj.weight", ".v_proj.multiway.1.weight"))
        changed[key.replace(".weight", ".base_layer.weight") if lora else key] = value
    torch.save(changed, path)
    assert_near(raw_scores(scorer(folder, BASE)), raw_scores(scorer(QSCORER / "adapter_fulldump", BASE)), 0)


def test_an_adapter_without_a_config_takes_the_bases(tmp_path):
    folder = deqa_lora(tmp_path)
    expected = scorer(folder, BASE)
    (folder / "config.json").unlink()
    picture = pictures(QALIGN)[0]
    assert_near(*(s.last_position([s.prepare(picture)])[1] for s in (scorer(folder, BASE), expected)), 0)


def test_a_q_scorer_adapter_without_a_config_brings_its_tokens(tmp_path):
    folder = copied(QSCORER / "adapter", tmp_path)
    (folder / "config.json").unlink()
    found = scorer(folder, BASE)
    assert found.tokens == NAMES and found.token_ids.tolist() == IDS
    assert_near(raw_scores(found), raw_scores(scorer(QSCORER / "adapter", BASE)), 0)


def test_code_named_in_the_config_is_neither_asked_about_nor_run(tmp_path, monkeypatch):
    folder = copied(QSCORER / "merged", tmp_path)
    assert "auto_map" in json.loads((folder / "config.json").read_text())
    ran = folder / "ran"
    for name in ("configuration_mplug_owl2.py", "modeling_mplug_owl2.py"):
        (folder / name).write_text(f"open({str(ran)!r}, 'w')")
    monkeypatch.setattr("builtins.input", lambda *prompt: pytest.fail("asked on stdin"))
    scorer(folder)
    assert not ran.exists()


def test_a_model_comes_in_the_dtype_that_was_asked_for():
    found = scorer(QSCORER / "adapter", BASE, dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in found.model.state_dict().values()} == {torch.bfloat16}
    assert_near(raw_scores(found).float(), raw_scores(scorer(QSCORER / "adapter", BASE)), 0.1)


def test_progress_is_told_and_can_end_the_loading():
    layout, told = find_layout(QSCORER / "adapter", BASE), []
    load_model(layout, progress=lambda done, total: told.append((done, total)))
    dones, totals = zip(*told, strict=True)
    assert list(dones) == sorted(dones) and len(set(totals)) == 1 and 0.9 * totals[0] < dones[-1] <= totals[0]

    def cancel(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        load_model(layout, progress=cancel)


def test_too_little_memory_is_said_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr("model.memory.WORKING", 1e9)  # as if each weight took a billion times its size
    told = []
    with pytest.raises(ModelLoadError, match="needs .* GB of memory in float32, and cpu has .* GB free"):
        load_model(find_layout(QSCORER / "merged"), progress=lambda done, total: told.append(done))
    assert not told


# Bad folders: what was done to a copy of a good one, and what the sentence must say.


def change_bin(name: str, change):
    def spoil(folder: Path) -> None:
        content = load_bin(folder / name)
        change(content)
        torch.save(content, folder / name)

    return spoil


def change_config(**settings):
    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return spoil


def change_adapter_config(**settings):
    def spoil(folder: Path) -> None:
        path = folder / "adapter_config.json"
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
    "half a shard": (BASE, cut(SHARD), [SHARD, "only a part", "download this file again"]),
    "empty shard": (BASE, write(SHARD, b""), [SHARD, "empty"]),
    "lfs pointer": (BASE, write(SHARD, b"version https://git-lfs.github.com/spec/v1\noid"), [SHARD, "git lfs pull"]),
    "half an index": (BASE, cut("pytorch_model.bin.index.json"), ["pytorch_model.bin.index.json", "not readable JSON"]),
    "no weights": (QSCORER / "merged", remove("model.safetensors"), ["no weights"]),
    "index without map": (BASE, write("pytorch_model.bin.index.json", b"{}"), ["weight_map"]),
    "shard lacks a tensor": (BASE, change_bin(SHARD, lambda c: c.popitem()), [SHARD, "lacks the tensor", "promises"]),
    "no config": (BASE, remove("config.json"), ["lacks config.json"]),
    "half a config": (BASE, cut("config.json"), ["config.json", "not readable JSON"]),
    "another kind of model": (BASE, change_config(model_type="llava"), ["config.json", "'llava'"]),
    "other sizes": (BASE, change_config(hidden_size=4096), ["of shape", "the model needs"]),
    "odd rope": (BASE, change_config(rope_scaling={"type": "linear", "factor": 2.0}), ["rope_scaling"]),
    "other picture size": (BASE, change_config(visual_config={}), ["448 pixels", "different models"]),
    "shards without their index": (BASE, remove("pytorch_model.bin.index.json"), [".bin.index.json", "download it"]),
    "width in words": (BASE, change_config(hidden_size="wide"), ["config.json", "hidden_size", "'wide'"]),
    "no heads": (BASE, change_config(num_attention_heads=0, num_key_value_heads=0), ["num_attention_heads", "is 0"]),
    "visual_config a number": (BASE, change_config(visual_config=7), ["config.json", "visual_config"]),
    "whole numbers": (
        BASE,
        change_bin(SHARD, lambda c: c.update({key: value.int() for key, value in c.items()})),
        [SHARD, "whole numbers"],
    ),
    "names of tokens in one word": (QSCORER / "merged", change_config(score_tokens="abc"), ["score_tokens"]),
    "fewer names than tokens": (QSCORER / "merged", change_config(score_tokens=list(NAMES[:2])), ["score_tokens"]),
    "ids in words": (QSCORER / "merged", write("added_tokens.json", b'{"<score1>": "x"}'), ["<score1>", "'x'"]),
    "id beyond the vocabulary": (QSCORER / "merged", write("added_tokens.json", b'{"<score1>": 99999}'), ["99999"]),
    "half safetensors": (QSCORER / "merged", cut("model.safetensors"), ["model.safetensors", "only a part"]),
    "wrong shape": (
        QSCORER / "merged",
        change_safetensors(halve("model.norm.weight")),
        ["model.safetensors", "model.norm.weight", "of shape"],
    ),
    "left over": (
        QSCORER / "merged",
        change_safetensors(lambda c: c.__setitem__("model.extra.weight", torch.ones(2))),
        ["model.extra.weight", "no place"],
    ),
    "lacking": (
        QSCORER / "merged",
        change_safetensors(lambda c: c.pop("model.norm.weight")),
        ["lacks the tensor model.norm.weight"],
    ),
    "regressor lacking": (
        QSCORER / "merged",
        change_safetensors(lambda c: [c.pop(key) for key in list(c) if key.startswith("deepmlp")]),
        ["lacks the tensor deepmlp.model.0.linear.weight"],
    ),
    "no adapter weights": (QSCORER / "adapter", remove("adapter_model.bin"), ["lacks adapter_model"]),
    "no other weights": (QSCORER / "adapter", remove(NON_LORA), ["lacks non_lora_trainables"]),
    "half of them": (QSCORER / "adapter", cut(NON_LORA), [NON_LORA, "only a part"]),
    "hostile": (QSCORER / "adapter", hostile, [NON_LORA, "refused"]),
    "wrapped": (
        QSCORER / "adapter",
        lambda f: torch.save({"state_dict": {}}, f / NON_LORA),
        [NON_LORA, "named tensors"],
    ),
    "unknown key": (
        QSCORER / "adapter",
        change_bin(NON_LORA, lambda c: c.__setitem__("module.lm_head.weight", torch.ones(1))),
        ["module.lm_head.weight", "has a place"],
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
        [Q_PROJ, "other half"],
    ),
    "rank": (QSCORER / "adapter", change_adapter_config(r=999), ["lora_", "r = 999"]),
    "no rank": (QSCORER / "adapter", change_adapter_config(r=None), ["adapter_config.json lacks r"]),
    "dora": (QSCORER / "adapter", change_adapter_config(use_dora=True), ["use_dora"]),
    "not lora": (QSCORER / "adapter", change_adapter_config(peft_type="IA3"), ["IA3"]),
    "alien update": (
        QSCORER / "adapter",
        change_bin("adapter_model.bin", lambda c: c.__setitem__("something", torch.ones(1))),
        ["adapter_model.bin", "something"],
    ),
    "update of another base": (
        QSCORER / "adapter",
        change_bin("adapter_model.bin", halve(f"{P}{Q_PROJ}.lora_B.weight")),
        [f"{Q_PROJ}.weight as [", "another base"],
    ),
}


@pytest.mark.parametrize("folder, spoil, words", BAD.values(), ids=BAD)
def test_what_does_not_fit_stops_the_load_and_is_named(folder, spoil, words, tmp_path):
    copy = copied(folder, tmp_path)
    spoil(copy)
    with pytest.raises(ModelLoadError) as caught:
        load_model(find_layout(copy, BASE if (copy / "adapter_config.json").exists() else None))
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence and sentence.endswith(".")
    assert not (copy / "went off").exists()


def test_an_adapter_alone_asks_for_its_base():
    with pytest.raises(ModelLoadError, match="needs its base.*--base"):
        find_layout(QSCORER / "adapter")


def test_an_adapter_is_no_base():
    with pytest.raises(ModelLoadError, match="adapter.* needs its base"):
        find_layout(QSCORER / "adapter", QSCORER / "adapter")


def test_a_q_scorer_is_no_base():
    with pytest.raises(ModelLoadError, match="merged holds deepmlp.*is for another base"):
        find_layout(QSCORER / "adapter", QSCORER / "merged")


def test_score_tokens_have_the_ids_that_the_files_give_them(tmp_path):
    copy = copied(QSCORER / "merged", tmp_path)
    changed = IDS[1:] + IDS[:1]
    (copy / "added_tokens.json").write_text("{}")
    change_config(score_token_id=changed[::-1])(copy)
    assert scorer(copy).token_ids.tolist() == changed
    (copy / "added_tokens.json").write_text(json.dumps({"<other>": IDS[0]} | dict(zip(NAMES, IDS, strict=True))))
    change_config(score_tokens=None, score_token_id=None)(copy)
    found = scorer(copy)
    assert found.tokens == NAMES and found.token_ids.tolist() == IDS


def test_files_of_old_pytorch_are_not_kept_in_memory(tmp_path):
    torch.save({"a": torch.ones(3)}, tmp_path / "x.bin", _use_new_zipfile_serialization=False)
    file = WeightFile(tmp_path / "x.bin")
    assert file._content is None and file.shapes == {"a": (3,)}
    assert torch.equal(file.read("a"), torch.ones(3))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelLoadError, match="there is no folder .*nowhere"):
        find_layout(tmp_path / "nowhere")
