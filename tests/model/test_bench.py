"""The bench: what it counts is right, both ways give one score, and the command reports all it promises. Nothing is timed."""

import json
import sys
from importlib.util import find_spec

import pytest
import torch
from PIL import Image
from torch import nn

from model.backbones.mplug_owl2.network import MplugOwl2Config
from model.bench import __main__ as bench
from model.bench import measures as bench_measures
from model.bench import random_models as bench_models
from model.bench import report as bench_report
from model.bench.measures import StageClock, count_flops
from model.bench.plain import forwards, read_as_upstream, whole_forward
from model.bench.random_models import PublishedIds, random_nano, random_owl, random_vlm
from model.common.errors import ModelLoadError
from model.scoring.scorer import Scorer
from tests.model.owl_fixtures import FIXTURES, facts
from tests.programs import ROOT, python_m

CPU = torch.device("cpu")
TINY_OWL = bench_models.OWL_7B | {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "deepmlp_hidden_dims": (16, 8),
    "visual_config": {
        "visual_model": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
        | {"image_size": 56},
        "visual_abstractor": {"hidden_size": 32, "encoder_hidden_size": 32, "intermediate_size": 48, "grid_size": 4}
        | {"num_hidden_layers": 1, "num_attention_heads": 2, "num_learnable_queries": 4},
    },
}
TINY_TEXT = bench_models.QWEN_TEXT | {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "vocab_size": 600,
    "rope_parameters": bench_models.QWEN_TEXT["rope_parameters"]
    | {"mrope_section": [2, 1, 1], "partial_rotary_factor": 0.5},
}
TINY_VISION = {"depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}


def tiny(kind):
    if kind == "nano":
        return random_nano(CPU, None)
    if kind == "owl":
        return random_owl(MplugOwl2Config(**TINY_OWL), CPU, None)
    pixels = {"shortest_edge": 64 * 64, "longest_edge": 96 * 96}
    return random_vlm(TINY_TEXT, TINY_VISION | {"num_position_embeddings": 16}, pixels, CPU, None)


def images():
    ramp = Image.linear_gradient("L")
    return [Image.merge("RGB", [ramp.rotate(turn), ramp, ramp.rotate(90)]) for turn in (0, 90, 180)]


@pytest.mark.parametrize("kind, steps", [("nano", 2), ("owl", 2), ("vlm", 1)])
def test_single_forward_and_upstream_baseline_give_equal_scores(kind, steps):
    scorer = Scorer(kind, "random", tiny(kind))
    prepared = [scorer.backbone.prepare(image) for image in images()]
    here = [assessment.score for assessment in scorer.assess_prepared(prepared, [""] * 3, 3)]
    low, high = scorer.scale
    assert all(low < score < high for score in here)
    assert len({round(score, 3) for score in here}) == 3  # the images reach the scores, so equality says something
    assert read_as_upstream(scorer.backbone, prepared).score.tolist() == pytest.approx(here, abs=1e-5)
    assert forwards(scorer.backbone) == steps


@pytest.mark.parametrize("kind", ["nano", "owl", "vlm"])
def test_the_upstream_baseline_runs_lm_head_at_every_position_of_every_step(kind):
    backbone = tiny(kind)
    prepared = [backbone.prepare(image) for image in images()[:2]]
    rows = []
    hook = backbone.model.get_output_embeddings().register_forward_hook(lambda *call: rows.append(call[2].shape[1]))
    whole_forward(backbone, prepared, 0)
    whole_forward(backbone, prepared, 1)
    hook.remove()
    assert rows[0] > 10 and rows[1] == rows[0] - 1


def test_products_convolutions_and_attention_are_counted():
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    assert count_flops(lambda: a @ b) == 2 * 3 * 5 * 7
    image = torch.randn(1, 3, 8, 8)
    assert count_flops(lambda: nn.functional.conv2d(image, torch.randn(4, 3, 2, 2), stride=2)) == 2 * 16 * 4 * 12
    query, keys = torch.randn(1, 2, 16, 8), torch.randn(1, 2, 24, 8)
    attend = nn.functional.scaled_dot_product_attention
    with torch.inference_mode():
        assert count_flops(lambda: attend(query, keys, keys)) == 2 * 2 * (2 * 16 * 24 * 8)


def test_stages_are_measured_around_the_language_model():
    vision, language, head = (nn.Linear(4, 4) for _ in range(3))
    rows, calls = torch.zeros(1, 4), []

    def model():
        calls.append(1)
        return head(language(vision(rows)))

    stages = StageClock(language, CPU).stages(model)
    assert list(stages) == ["vision_ms", "llm_ms", "head_ms"] and all(value >= 0 for value in stages.values())
    assert len(calls) == 1 + bench_measures.MOST and not language._forward_hooks


def test_prompt_ids_are_those_of_the_published_tokenizer():
    known = facts(FIXTURES / "real_tokenizer_facts.json")
    stand_in = PublishedIds(448)
    prompt = known["prompts"]["infer_newline"]
    assert stand_in.ids(prompt["text"]) == prompt["input_ids"]
    assert {name: stand_in.token_id(name) for name in known["score_token_ids"]} == known["score_token_ids"]
    assert stand_in.bare_prefix_id() == 29871
    with pytest.raises(ValueError, match="only the quality prompt"):
        stand_in.ids("another prompt")


def test_full_shape_has_as_many_numbers_as_the_published_model():
    with torch.device("meta"):
        model = bench_models.MplugOwl2Model(MplugOwl2Config(**bench_models.OWL_7B))
    assert sum(p.numel() for p in model.parameters()) == 8_208_390_145


@pytest.mark.slow
def test_the_operations_in_the_docs_are_those_that_are_counted():
    counted = python_m("tests/load/operations.py")
    assert counted.returncode == 0, counted.stderr
    assert counted.stdout in (ROOT / "docs/performance.md").read_text(encoding="utf-8")


def test_too_little_memory_is_reported_before_weights_are_drawn(monkeypatch):
    monkeypatch.setattr("model.common.memory.free_memory", lambda device: 1e5)
    with pytest.raises(ModelLoadError, match="this shape needs .* GB of memory in float32, and cpu has"):
        tiny("owl")


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    status = bench.main()
    return status, capsys.readouterr()


@pytest.mark.slow
def test_command_prints_one_json_object(monkeypatch, capsys):
    monkeypatch.setattr(bench_measures, "SECONDS", 0.0)
    monkeypatch.setattr(bench_report, "FILE_SECONDS", 0.0)
    monkeypatch.setitem(bench_report.SIZES, "12 megapixels", (640, 480))
    monkeypatch.setitem(bench_measures.MATRIX, "cpu", 64)
    status, printed = run(monkeypatch, capsys, "--random-init", "nano", "--device", "cpu", "--batch-sizes", "1,2")
    report = json.loads(printed.out)
    assert status == 0 and report["model"] == "random nano" and report["parameters"] == 5_895_153
    assert {"device", "dtype", "processor", "cores", "threads", "torch", "load_ms"} <= report.keys()
    stages = {"decode_ms", "preprocess_ms", "vision_ms", "llm_ms", "head_ms", "file_to_score_ms"}
    assert {size: set(times) for size, times in report["one_image"].items()} == {
        "512x512": stages,
        "12 megapixels": stages,
    }
    assert report["plain_gflop_per_image"] == pytest.approx(2 * report["gflop_per_image"], rel=0.01)
    assert [row["batch_size"] for row in report["batches"]] == [1, 2]
    for row in report["batches"]:
        assert row["plain_forwards"] == 2 and row["largest_score_difference"] < 1e-5
        assert {"images_per_second", "plain_images_per_second", "speedup", "speedup_range"} <= row.keys()
        assert {"vision_ms", "llm_ms", "head_ms", "peak_memory_mb", "matmul_gflops", "matmul_share"} <= row.keys()
    assert report["files"]["files"] == report["files"]["batch_size"] and report["files"]["images_per_second"] > 0
    if find_spec("openvino"):
        engine = report["engine"]
        assert engine["name"] == "openvino" and [row["batch_size"] for row in engine["batches"]] == [1, 2]
        for row in (engine["files"], *engine["batches"]):
            assert {"images_per_second", "torch_images_per_second", "speedup", "speedup_range"} <= row.keys()
        assert all(row["largest_score_difference"] < 1e-4 for row in engine["batches"])
        assert engine["file_to_score_ms"] > 0 < engine["torch_file_to_score_ms"]


def test_model_and_random_shape_exclude_each_other(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, "--model", "nano", "--random-init", "nano")
    assert "not allowed with" in capsys.readouterr().err
