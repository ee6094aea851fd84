"""The published layouts: what a folder holds, what its model answers, and what is said when something is wrong with it."""

import json
from pathlib import Path

import pytest
import torch

from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.layouts import find_layout
from model.backbones.mplug_owl2.loading import attach_lora, load_model
from model.backbones.weight_files import WeightFile
from model.common.errors import ModelLoadError
from tests.model.owl_fixtures import BASE, QALIGN, QSCORER, assert_near, backbone_of, copied, facts, images, load_bin

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


def raw_scores(found: MplugOwl2Backbone) -> torch.Tensor:
    hidden, _ = found.ask([found.prepare(image) for image in images(QSCORER)])
    return found.readout.regressor(hidden.float()).detach()


def deqa_lora(tmp_path: Path) -> Path:
    """A DeQA-Score LoRA: as Q-Scorer's, without regressor, score tokens and the rest that stays frozen there."""
    folder = copied(QSCORER / "adapter", tmp_path)
    kept = load_bin(folder / "non_lora_trainables.bin")
    kept = {key: value for key, value in kept.items() if ".visual_abstractor." in key or ".vision_model." in key}
    torch.save(kept, folder / "non_lora_trainables.bin")
    (folder / "config.json").write_text((BASE / "config.json").read_text())
    return folder


@pytest.mark.parametrize("folder, base, name", LAYOUTS, ids=lambda value: getattr(value, "name", ""))
def test_the_layout_is_detected_from_the_files(folder, base, name, tmp_path):
    assert find_layout(copied(folder, tmp_path), base).name == name


def test_deqa_and_q_scorer_loras_are_distinguished(tmp_path):
    folder = deqa_lora(tmp_path)
    layout = find_layout(folder, BASE)
    assert layout.name == "DeQA-Score LoRA, trained parameters only"
    model, processor = load_model(layout)
    found = MplugOwl2Backbone(model, processor)
    assert (found.readout.kind, found.readout.scale) == ("level", (1.0, 5.0))
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
    batch = [found.prepare(image) for image in images(QALIGN)]
    assert_near(found.ask(batch)[1], MplugOwl2Backbone(expected, processor).ask(batch)[1])


@pytest.mark.parametrize("folder", ["checkpoint_bin", "checkpoint_safetensors"])
def test_a_whole_q_scorer_scores_as_the_original(folder):
    expected = facts(QSCORER / "outputs.json")["per_prompt"]["scorer_newline"]["mlp_out_raw"]
    assert_near(raw_scores(backbone_of(QSCORER / folder)), expected)


@pytest.mark.parametrize("folder", ["checkpoint_bin", "checkpoint_safetensors"])
def test_a_level_model_answers_as_the_original(folder):
    found = backbone_of(QALIGN / folder)
    logits = found.ask([found.prepare(image) for image in images(QALIGN)])[1]
    expected = facts(QALIGN / "outputs.json")["per_prompt"]["scorer_newline"]["level_logits"]
    assert_near(logits[:, found.readout.token_ids].flip(1), expected)


def test_a_merged_q_scorer_scores_as_the_original():
    outputs = facts(QSCORER / "adapter_outputs.json")["merged_by_original_script_from_adapter"]
    assert_near(raw_scores(backbone_of(QSCORER / "merged")), outputs["fp32_eval_of_fp16_merged"]["mlp_out_raw"])


@pytest.mark.parametrize("folder", ["adapter", "adapter_fulldump"])
def test_an_adapter_scores_as_the_original_and_as_merged(folder):
    outputs = facts(QSCORER / "adapter_outputs.json")
    found = backbone_of(QSCORER / folder, BASE)
    assert found.readout.tokens == NAMES and found.readout.token_ids.tolist() == IDS
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
    merged = raw_scores(backbone_of(QSCORER / "adapter", BASE))
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
    assert_near(raw_scores(backbone_of(folder, BASE)), raw_scores(backbone_of(QSCORER / "adapter", BASE)), 0)


def test_names_of_later_peft_versions_are_read(tmp_path):
    folder = copied(QSCORER / "adapter_fulldump", tmp_path)
    path, changed = folder / "non_lora_trainables.bin", {}
    for key, value in load_bin(path).items():
        lora = key.endswith((".q_proj.weight", ".v_proj.multiway.1.weight"))
        changed[key.replace(".weight", ".base_layer.weight") if lora else key] = value
    torch.save(changed, path)
    assert_near(raw_scores(backbone_of(folder, BASE)), raw_scores(backbone_of(QSCORER / "adapter_fulldump", BASE)), 0)


def test_an_adapter_without_a_config_takes_the_bases(tmp_path):
    folder = deqa_lora(tmp_path)
    expected = backbone_of(folder, BASE)
    (folder / "config.json").unlink()
    image = images(QALIGN)[0]
    assert_near(*(s.ask([s.prepare(image)])[1] for s in (backbone_of(folder, BASE), expected)), 0)


def test_a_q_scorer_adapter_without_a_config_brings_its_tokens(tmp_path):
    folder = copied(QSCORER / "adapter", tmp_path)
    (folder / "config.json").unlink()
    found = backbone_of(folder, BASE)
    assert found.readout.tokens == NAMES and found.readout.token_ids.tolist() == IDS
    assert_near(raw_scores(found), raw_scores(backbone_of(QSCORER / "adapter", BASE)), 0)


def test_code_named_in_the_config_is_never_run(tmp_path, monkeypatch):
    folder = copied(QSCORER / "merged", tmp_path)
    assert "auto_map" in json.loads((folder / "config.json").read_text())
    ran = folder / "ran"
    for name in ("configuration_mplug_owl2.py", "modeling_mplug_owl2.py"):
        (folder / name).write_text(f"open({str(ran)!r}, 'w')")
    monkeypatch.setattr("builtins.input", lambda *prompt: pytest.fail("asked on stdin"))
    backbone_of(folder)
    assert not ran.exists()


def test_a_model_has_the_requested_dtype():
    found = backbone_of(QSCORER / "adapter", BASE, dtype=torch.bfloat16)
    dtypes = {name: tensor.dtype for name, tensor in found.model.state_dict().items()}
    assert {dtypes[name] for name in dtypes if not name.startswith("deepmlp.")} == {torch.bfloat16}
    assert {dtypes[name] for name in dtypes if name.startswith("deepmlp.")} == {
        torch.float32
    }  # or scores lie on a grid
    assert_near(raw_scores(found).float(), raw_scores(backbone_of(QSCORER / "adapter", BASE)), 0.1)


def test_progress_is_called_and_can_cancel_the_loading():
    layout, told = find_layout(QSCORER / "adapter", BASE), []
    load_model(layout, progress=lambda done, total: told.append((done, total)))
    dones, totals = zip(*told, strict=True)
    assert list(dones) == sorted(dones) and len(set(totals)) == 1 and 0.9 * totals[0] < dones[-1] <= totals[0]

    def cancel(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        load_model(layout, progress=cancel)


def test_too_little_memory_is_reported_before_loading(monkeypatch):
    monkeypatch.setattr("model.common.memory.WORKING", 1e9)  # as if each weight took a billion times its size
    told = []
    with pytest.raises(ModelLoadError, match="needs .* GB of memory in float32, and cpu has .* GB free"):
        load_model(find_layout(QSCORER / "merged"), progress=lambda done, total: told.append(done))
    assert not told


def test_score_tokens_have_the_ids_that_the_files_give_them(tmp_path):
    copy = copied(QSCORER / "merged", tmp_path)
    changed = IDS[1:] + IDS[:1]
    (copy / "added_tokens.json").write_text("{}")
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(settings | {"score_token_id": changed[::-1]}))
    assert backbone_of(copy).readout.token_ids.tolist() == changed
    (copy / "added_tokens.json").write_text(json.dumps({"<other>": IDS[0]} | dict(zip(NAMES, IDS, strict=True))))
    (copy / "config.json").write_text(json.dumps(settings | {"score_tokens": None, "score_token_id": None}))
    found = backbone_of(copy)
    assert found.readout.tokens == NAMES and found.readout.token_ids.tolist() == IDS


def test_files_of_old_pytorch_are_not_kept_in_memory(tmp_path):
    torch.save({"a": torch.ones(3)}, tmp_path / "x.bin", _use_new_zipfile_serialization=False)
    file = WeightFile(tmp_path / "x.bin")
    assert file._content is None and file.shapes == {"a": (3,)}
    assert torch.equal(file.read("a"), torch.ones(3))
