"""Our own layout says what the published one said, in safetensors, and an adapter holds only what its base does not."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from model.backbones.mplug_owl2 import converting
from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.converting import convert
from model.backbones.mplug_owl2.layouts import find_layout
from model.backbones.mplug_owl2.loading import load_model
from model.backbones.mplug_owl2.network import MplugOwl2Model
from model.backbones.mplug_owl2.processor import MplugOwl2Processor
from model.common.errors import ModelLoadError
from model.convert import main
from tests.model.owl_fixtures import BASE, QALIGN, QSCORER, backbone_of, images, load_bin

WHOLE = [BASE, QALIGN / "checkpoint_bin", QSCORER / "checkpoint_bin", QSCORER / "merged"]


def answers(folder: Path, base: Path | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    scorer = backbone_of(folder, base)
    return scorer.ask([scorer.prepare(image) for image in images(QSCORER)])


def same(found, expected) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("folder", WHOLE, ids=lambda folder: folder.name)
def test_a_converted_model_answers_as_the_published_one(folder, tmp_path):
    said = convert(folder, tmp_path / "out")
    assert "MB" in said
    assert same(answers(tmp_path / "out"), answers(folder))
    assert (
        len({path.stat().st_mode for path in (tmp_path / "out").iterdir()}) == 1
    )  # weights are for all that may read the rest
    assert not list((tmp_path / "out").glob("*.bin")) and [path.name for path in tmp_path.iterdir()] == ["out"]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "auto_map" not in config and config["dtype"] == "float16"


@pytest.mark.parametrize("folder", WHOLE, ids=lambda folder: folder.name)
def test_a_converted_model_loads_in_the_transformers_manner_with_nothing_missing(folder, tmp_path):
    convert(folder, tmp_path / "out")
    found, report = MplugOwl2Model.from_pretrained(tmp_path / "out", dtype="float32", output_loading_info=True)
    assert not any(report.values())
    scorer = MplugOwl2Backbone(found, MplugOwl2Processor.from_pretrained(tmp_path / "out"))
    assert same(scorer.ask([scorer.prepare(image) for image in images(QSCORER)]), answers(folder))


def test_a_large_model_is_written_in_shards(tmp_path, monkeypatch):
    size = sum(path.stat().st_size for path in BASE.glob("*.bin"))
    monkeypatch.setattr(converting, "SHARD", size // 6)
    convert(BASE, tmp_path / "out")
    shards = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(shards) > 3 and shards[0] == f"model-00001-of-{len(shards):05}.safetensors"
    assert same(answers(tmp_path / "out"), answers(BASE))
    assert not any(MplugOwl2Model.from_pretrained(tmp_path / "out", output_loading_info=True)[1].values())


@pytest.mark.parametrize("name", ["adapter", "adapter_fulldump"])
@pytest.mark.parametrize("converted_base", [False, True])
def test_a_converted_adapter_answers_as_the_published_one(name, converted_base, tmp_path):
    said = convert(QSCORER / name, tmp_path / "out", BASE)
    base = BASE
    if converted_base:
        convert(BASE, tmp_path / "base")
        base = tmp_path / "base"
    assert same(answers(tmp_path / "out", base), answers(QSCORER / name, BASE))
    assert all(part in said for part in ("LoRA", "vision encoder", "abstractor", "regressor", "lm_head"))


def test_of_a_full_dump_only_what_differs_from_the_base_is_kept(tmp_path):
    convert(QSCORER / "adapter_fulldump", tmp_path / "out", BASE)
    kept = load_file(tmp_path / "out" / "non_lora_trainables.safetensors")
    assert not any(".layers." in key and ".vision_model." not in key and ".visual_abs" not in key for key in kept)
    layout = find_layout(QSCORER / "adapter_fulldump", BASE)
    for key, tensor in kept.items():
        assert key not in layout.under or not torch.equal(tensor, layout.under[key][0].read())


def test_of_tables_that_only_grew_the_new_rows_are_kept(tmp_path):
    folder = Path(shutil.copytree(QSCORER / "adapter", tmp_path / "in"))
    layout = find_layout(folder, BASE)
    content = load_bin(folder / "non_lora_trainables.bin")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        old = layout.under[name][0].read()
        content[f"base_model.model.{name}"][: len(old)] = old
    torch.save(content, folder / "non_lora_trainables.bin")
    said = convert(folder, tmp_path / "out", BASE)
    kept = load_file(tmp_path / "out" / "non_lora_trainables.safetensors")
    rows, width = len(old), old.shape[1]
    count = layout.config["vocab_size"] - rows
    assert kept[f"lm_head.weight[{rows}:]"].shape == kept[f"model.embed_tokens.weight[{rows}:]"].shape == (count, width)
    assert "lm_head.weight" not in kept and "lm_head (new rows)" in said
    assert same(answers(tmp_path / "out", BASE), answers(folder, BASE))


def test_plain_peft_loads_the_converted_lora(tmp_path):
    convert(QSCORER / "adapter", tmp_path / "out", BASE)
    bare, processor = load_model(find_layout(tmp_path / "out", BASE), merge=False)
    PeftModel.from_pretrained(bare, tmp_path / "out")
    scorer = MplugOwl2Backbone(bare, processor)
    hidden, _ = scorer.ask([scorer.prepare(image) for image in images(QSCORER)])
    torch.testing.assert_close(hidden, answers(QSCORER / "adapter", BASE)[0], atol=1e-5, rtol=0)


def test_a_converted_adapter_is_refused_on_another_base(tmp_path):
    convert(QSCORER / "adapter", tmp_path / "out", BASE)
    other = Path(shutil.copytree(BASE, tmp_path / "other"))
    for shard in other.glob("*.bin"):
        content = load_bin(shard)
        if "model.norm.weight" in content:
            content["model.norm.weight"][0] += 1
            torch.save(content, shard)
    with pytest.raises(ModelLoadError, match="another base than .*other.* --base"):
        find_layout(tmp_path / "out", other)


def test_a_failed_conversion_is_reported_and_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ModelLoadError, match="--base BASE"):
        convert(QSCORER / "adapter", out)
    with pytest.raises(ModelLoadError, match="omit --base"):
        convert(QSCORER / "merged", out, BASE)
    (tmp_path / "there").mkdir()
    with pytest.raises(ModelLoadError, match="there exists already"):
        convert(QSCORER / "merged", tmp_path / "there")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelLoadError, match="could not be written"):
        convert(QSCORER / "merged", tmp_path / "file" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]


def test_the_command_converts_and_reports_errors(tmp_path, capsys):
    given = [str(QSCORER / "adapter"), str(tmp_path / "out")]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "needs its base" in said
    assert main([*given, "--base", str(BASE)]) == 0
    assert "kept" in capsys.readouterr().out and (tmp_path / "out" / "converted.json").is_file()


def test_a_merged_adapter_has_the_published_layout_and_scores_as_the_adapter_on_its_base(tmp_path):
    convert(QSCORER / "adapter", tmp_path / "out", BASE, merge=True)
    for merged, attached in zip(answers(tmp_path / "out"), answers(QSCORER / "adapter", BASE), strict=True):
        torch.testing.assert_close(merged, attached, atol=5e-3, rtol=0)  # rounded to float16
    published, mine = (find_layout(folder).pieces.keys() for folder in (QSCORER / "merged", tmp_path / "out"))
    assert mine == published
    known, config = (
        json.loads((folder / "config.json").read_text()) for folder in (QSCORER / "merged", tmp_path / "out")
    )
    for name in (
        "architectures",
        "vocab_size",
        "score_tokens",
        "score_token_id",
        "deepmlp_hidden_dims",
        "visual_config",
    ):
        assert config[name] == known[name], name
    assert not (tmp_path / "out" / "adapter_config.json").exists()
