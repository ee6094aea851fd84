"""One door to every backbone: what a SPEC names is found out from its files, and scores as the backbone's own tests say."""

import json
from pathlib import Path

import pytest
import torch

from model.backbones.spec import Spec
from model.common.errors import ModelError, ModelLoadError, TooLittleMemory
from model.images.video import video_frames
from model.loading import known as registry
from model.loading.known import KNOWN, resolve
from model.scoring.scorer import load_scorer
from tests.model.images.test_video import clip
from tests.model.owl_fixtures import BASE, QALIGN, QSCORER, facts, image_files, images
from tests.model.tiny_vlms import write_vlm


def scores(spec: str, images: list, **options) -> list[float]:
    return [a.score for a in load_scorer(spec, **options).assess(images)]


def test_a_published_q_scorer_gives_the_original_programs_scores():
    expected = facts(QSCORER / "outputs.json")["per_prompt"]["scorer_newline"]["mlp_out_clamped_0_5"]
    scorer = load_scorer(str(QSCORER / "checkpoint_bin"))
    assert (scorer.readout, scorer.scale, scorer.tokens[0]) == ("score_token", (0, 5), "<score1>")
    found = scorer.assess(images(QSCORER))
    assert [a.score for a in found] == pytest.approx(expected, abs=1e-5)
    masses = facts(QSCORER / "outputs.json")["per_prompt"]["scorer_newline"]["step1_score_prob_mass_open"]
    assert [a.token_mass for a in found] == pytest.approx(masses, abs=1e-5)


def test_a_published_lora_is_given_with_its_base():
    raw = facts(QSCORER / "adapter_outputs.json")["unmerged_fp32_peft_forward"]["mlp_out_raw"]
    spec = f"{BASE}+{QSCORER / 'adapter'}"
    assert scores(spec, images(QSCORER)) == pytest.approx([min(max(s, 0), 5) for s in raw], abs=1e-3)
    with pytest.raises(ModelLoadError, match="needs its base"):
        load_scorer(str(QSCORER / "adapter"))


def test_a_published_level_model_gives_the_original_programs_scores():
    prompts = facts(QALIGN / "outputs.json")["per_prompt"]
    folder = str(QALIGN / "checkpoint_safetensors")
    assert scores(folder, images(QALIGN)) == pytest.approx(prompts["scorer_newline"]["score_1to5"], abs=1e-5)
    aesthetics = scores(folder, images(QALIGN), task="aesthetics")
    assert aesthetics == pytest.approx(prompts["aesthetics_image"]["score_1to5"], abs=1e-5)
    with pytest.raises(ModelError, match="does not support the task 'beauty'"):
        load_scorer(folder, task="beauty")


def test_any_vlm_is_read_by_level_words_and_q_realign_on_its_own_scale(tmp_path, monkeypatch):
    folder = write_vlm(tmp_path / "vlm", "qwen3_5")
    zero_shot = load_scorer(str(folder)).assess(images(QALIGN))
    assert all(a.scale == (1, 5) and sum(a.probabilities) == pytest.approx(1) for a in zero_shot)

    # The hub is not at hand: the name's entry leads to the tiny model of the same family.
    monkeypatch.setitem(
        KNOWN, "q-realign-mini", registry.Known(folder, "Q-ReAlign", 1, (0, 1), "", "", readout="q-realign")
    )
    realign = load_scorer("q-realign-mini").assess(images(QALIGN))
    assert all(a.scale == (0, 1) and 0 <= a.score <= 1 for a in realign)
    with pytest.raises(ModelError, match="does not support the task 'aesthetics'"):
        load_scorer(str(folder), task="aesthetics")


def test_a_video_is_scored_by_its_frames(tmp_path):
    path = clip(tmp_path / "clip.mp4", frames=20)
    scorer = load_scorer(str(QALIGN / "checkpoint_safetensors"), task="video")
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    good, broken = scorer.assess_files([path, tmp_path / "broken.mp4"])
    assert 1 <= good.score <= 5 and "cannot be opened" in broken.error
    frames = list(video_frames(path))
    alone = scorer.assess_prepared([scorer.backbone.prepare_frames(frames)], ["clip"], 1)[0]
    assert len(frames) == 2 and good.score == pytest.approx(alone.score, abs=1e-6)


def test_the_two_steps_of_the_original_are_checked_on_demand():
    paths = image_files(QSCORER)
    scorer = load_scorer(str(QSCORER / "checkpoint_bin"))
    assert list(scorer.check_steps(paths)) == []  # outputs.json: the first step says the bare piece for each
    with torch.no_grad():
        scorer.backbone.model.lm_head.weight.zero_()  # then its first token is <unk>
        said = list(scorer.check_steps(paths))
    assert [path for path, _ in said] == [str(path) for path in paths]
    with pytest.raises(ModelError, match="omit --check-steps"):
        list(load_scorer("nano").check_steps(paths))


def test_a_model_too_large_for_memory_is_refused_before_its_download(monkeypatch):
    monkeypatch.setattr("model.common.memory.free_memory", lambda device: 10e9)
    with pytest.raises(
        TooLittleMemory, match=r"one-align needs 36.1 GB of memory in float32, and cpu has 10.0 GB free"
    ):
        load_scorer("one-align", device="cpu")
    with pytest.raises(TooLittleMemory, match="choose --dtype bfloat16, which needs 8.8 GB"):
        load_scorer("q-realign-lite", device="cpu")


@pytest.mark.parametrize("spec", ["nano", "nano-qalign"])
def test_bits_are_refused_for_small_models(spec):
    with pytest.raises(ModelError, match="use --dtype bfloat16"):
        load_scorer(spec, dtype="4bit")


def test_loading_reports_progress_and_can_be_cancelled():
    told = []

    def stop(stage, done, total):
        told.append((done, total))
        if done > total / 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        load_scorer(str(QSCORER / "merged"), progress=stop)
    assert 0 < told[0][0] < told[-1][0] <= told[-1][1]


def test_loading_a_vlm_reports_tensors_and_can_be_cancelled(tmp_path):
    told, folder = [], str(write_vlm(tmp_path / "vlm", "qwen2_5_vl"))
    load_scorer(folder, progress=lambda *step: told.append(step))
    total = told[-1][2]
    assert told == [("Loading", n, total) for n in range(1, total + 1)] and total > 20
    told.clear()

    def stop(*step):
        told.append(step)
        raise ModelError("stopped")

    with pytest.raises(ModelError, match="stopped"):
        load_scorer(folder, progress=stop)
    assert told == [("Loading", 1, total)]
    assert load_scorer(folder).tasks == ("quality",)  # and without anybody to tell, it loads as ever


def test_one_loaded_model_is_asked_for_each_task_that_it_knows():
    scorer = load_scorer(str(QALIGN / "checkpoint_safetensors"))
    assert scorer.tasks == ("quality", "aesthetics", "video") and scorer.asking("quality") is scorer
    aesthetics = scorer.asking("aesthetics")
    assert aesthetics.backbone.model is scorer.backbone.model
    expected = facts(QALIGN / "outputs.json")["per_prompt"]["aesthetics_image"]["score_1to5"]
    assert [a.score for a in aesthetics.assess(images(QALIGN))] == pytest.approx(expected, abs=1e-5)
    for spec in (str(QSCORER / "merged"), "nano"):
        assert load_scorer(spec).tasks == ("quality",)
        with pytest.raises(ModelError, match="does not support the task 'video': choose one of quality"):
            load_scorer(spec).asking("video")
        with pytest.raises(ModelError, match="does not support the task 'video': choose one of quality"):
            load_scorer(spec, task="video")


def test_revisions_identify_weights_not_names(tmp_path):
    names = ["checkpoint_bin", "checkpoint_safetensors", "merged"]
    found = {name: load_scorer(str(QSCORER / name)).revision for name in names}
    assert len(set(found.values())) == 3
    (tmp_path / "other-name").symlink_to(QSCORER / "merged")
    assert load_scorer(str(tmp_path / "other-name")).revision == found["merged"]


def test_a_name_that_is_an_adapter_takes_no_other():
    with pytest.raises(ModelLoadError, match="cannot take another"):
        resolve("qscorer+mine")


def test_every_named_model_has_a_description():
    for name, known in KNOWN.items():
        low, high = known.scale
        assert f"scores {low:g} to {high:g}" in known.words and known.licence in known.words, name
        assert known.trained_on in known.words, name


def test_the_memory_that_is_listed_is_what_the_error_asks_for(monkeypatch):
    assert "24 MB of weights" in KNOWN["nano"].words and "memory" not in KNOWN["nano"].words
    monkeypatch.setattr("model.common.memory.free_memory", lambda device: 1e9)
    with pytest.raises(TooLittleMemory, match="needs 36.1 GB of memory"):
        load_scorer("one-align", device="cpu")
    assert "needs 36 GB of memory (18 GB with --dtype bfloat16)" in KNOWN["one-align"].words


def test_the_listed_scales_of_shipped_models_are_right():
    for name in registry.SHIPPED:
        config = json.loads((Path(KNOWN[name].where) / "config.json").read_text())
        assert tuple(config["readout"]["scale"]) == KNOWN[name].scale
        assert resolve(name) == Spec(name, KNOWN[name].where, None)
