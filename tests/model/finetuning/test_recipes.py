"""Recipes through the procedure itself: every system and addition on every kind of backbone, what is trained, resuming, anchors."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model import finetune as command
from model.backbones.adapter_card import WEIGHTS
from model.backbones.contract import Options
from model.backbones.mplug_owl2.layouts import find_layout
from model.backbones.mplug_owl2.loading import load_model
from model.common.errors import DataError
from model.datasets.rated import RatedImage
from model.finetuning import training
from model.finetuning.procedure import fine_tune
from model.finetuning.training import batches_of, steps_of
from model.readouts.systems import recipe
from model.scoring.scorer import load_scorer
from tests.model.owl_fixtures import BASE, QSCORER
from tests.model.tiny import gallery, tiny_base
from tests.model.tiny_vlms import write_vlm
from tests.programs import ROOT

BRIEF = Options(rank=2, learning_rate=3e-3, epochs=1, min_steps=1)
ALL = ("kl", "norm", "ranking", "fidelity", "token-mass")


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    return [replace(record, std=0.6, n=5) for record in gallery(tmp_path_factory.mktemp("gallery"), 9)]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {
        "nano": tiny_base(folder / "nano"),
        "mplug_owl2": BASE,
        "vlm": write_vlm(folder / "vlm", "smolvlm"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nano", "mplug_owl2", "vlm"])
@pytest.mark.parametrize(
    ("name", "added"), [("qscorer", ALL), ("qscorer-1", ("hyper64",)), ("qalign", ALL[1:]), ("deqa", ("norm",))]
)
def test_every_recipe_trains_on_every_backbone_and_scores_from_disk_as_the_card_says(
    bases, rated, tmp_path, kind, name, added
):
    system = recipe(name, added)
    card = fine_tune(rated, str(bases[kind]), tmp_path / "new", BRIEF, device="cpu", system=system, also=())
    assert card.recipe == "+".join([name, *added]) and card.readout == ("score_token" if "qscorer" in name else "level")
    scorer = load_scorer(f"{bases[kind]}+new", device="cpu", adapters=tmp_path)
    (assessed,) = scorer.assess_files([rated[0].image])
    assert assessed.tokens == system.tokens
    assert card.after["rmse"] is not None and not card.note


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nano", "mplug_owl2", "vlm"])
def test_parts_are_trained_in_full_written_and_resumed(bases, rated, tmp_path, kind):
    also = ("vision", "connector", "head") if kind != "vlm" else ("vision", "connector")
    how = {"device": "cpu", "system": recipe("qscorer"), "also": also}
    first = fine_tune(rated, str(bases[kind]), tmp_path / "first", BRIEF, **how)
    assert first.trained_parts == sorted(also)
    second = fine_tune(rated, f"{bases[kind]}+first", tmp_path / "second", BRIEF, device="cpu")
    assert second.trained_parts == first.trained_parts and second.before == pytest.approx(first.after, abs=1e-4)


def test_of_mplug_owl2_vision_abstractor_and_lm_head_change_as_in_the_released_script(rated, tmp_path):
    system, also = recipe("qscorer"), ("vision", "connector", "head")
    fine_tune(rated, str(QSCORER / "merged"), tmp_path / "new", BRIEF, device="cpu", system=system, also=also)
    before = load_model(find_layout(QSCORER / "merged"))[0].state_dict()
    after = load_model(find_layout(tmp_path / "new", QSCORER / "merged"))[0].state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    for part in ("model.vision_model.", "model.visual_abstractor.", "lm_head.", "deepmlp.", "model.layers."):
        assert any(name.startswith(part) for name in moved), part
    assert "model.embed_tokens.weight" not in moved and "model.norm.weight" not in moved


def test_in_bfloat16_parts_in_full_are_float32_and_train(rated, tmp_path):
    how = {"device": "cpu", "dtype": "bfloat16", "system": recipe("qscorer"), "also": ("vision", "connector", "head")}
    fine_tune(rated, str(QSCORER / "merged"), tmp_path / "new", BRIEF, **how)
    kept = load_file(tmp_path / "new" / "non_lora_trainables.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}
    assert any("vision_model" in name for name in kept)


@pytest.mark.parametrize(
    ("name", "added", "words"),
    [
        ("qalign", ["hyper64"], "the recipe 'qalign' does not take --add hyper64"),
        ("deqa", ["kl"], "the recipe 'deqa' does not take --add kl"),
        ("qscorer", ["mse"], "--add mse is not known: choose some of kl, "),
    ],
)
def test_an_addition_without_a_place_is_one_sentence(name, added, words):
    with pytest.raises(DataError, match=words):
        recipe(name, added)


def test_what_a_model_cannot_be_taught_is_one_sentence(rated, tmp_path):
    for how, words in (
        (
            {"system": recipe("qscorer-1")},
            "'qscorer-1' reads <score1>, and this model was trained to read <score1>, <score2>",
        ),
        (
            {"also": ["eyes"]},
            "has no part 'eyes' that can be trained in full .it has: vision, connector, head.: leave it out",
        ),
    ):
        with pytest.raises(DataError, match=words):
            fine_tune(rated, str(QSCORER / "merged"), tmp_path / "new", BRIEF, device="cpu", **how)


def test_steps_accumulate_batches_and_end_at_the_most():
    options = Options(epochs=2, batch_size=2, min_steps=1, accumulate=3)
    assert steps_of(8, options) == (2, 4, 4)
    steps = list(batches_of(8, options, seed=0))
    assert [len(step) for step in steps] == [3, 1, 3, 1]
    assert sorted(n for step in steps[:2] for batch in step for n in batch) == list(range(8))
    assert steps_of(8, replace(options, max_steps=3))[2] == 3


KILLED = """
import sys
from pathlib import Path
from model.finetuning import training
from model.finetuning.procedure import fine_tune
from model.backbones.contract import Options
from model.datasets.rated import RatedImage
training.SAVE_EVERY = 0
base, out, *images = sys.argv[1:]
rated = [RatedImage(Path(path), 1.5 + n / 3, None, 1) for n, path in enumerate(images)]
fine_tune(rated, base, Path(out), Options(rank=2, epochs=100, min_steps=1, batch_size=2), device="cpu")
"""


@pytest.mark.slow
def test_a_training_that_was_killed_resumes_with_the_result_of_an_uninterrupted_one(
    bases, rated, tmp_path, monkeypatch
):
    images = [str(record.image) for record in rated]
    asked = [RatedImage(Path(path), 1.5 + n / 3, None, 1) for n, path in enumerate(images)]
    out = tmp_path / "adapters" / "new"
    running = subprocess.Popen([sys.executable, "-c", KILLED, str(bases["nano"]), str(out), *images], cwd=ROOT)
    while not (found := list(out.parent.glob(".new-*.checkpoint"))) and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert found and not out.exists()
    shutil.copy(found[0], tmp_path / "kept")
    options = Options(rank=2, epochs=100, min_steps=1, batch_size=2)
    done = []
    monkeypatch.setattr(
        training, "resume", lambda *given, known=training.resume: done.append(known(*given)) or done[-1]
    )
    fine_tune(asked, str(bases["nano"]), out, options, device="cpu")
    fine_tune(asked, str(bases["nano"]), out.with_name("whole"), options, device="cpu")
    assert done[0] > 0 and done[1] == 0 and not list(out.parent.glob(".*checkpoint"))
    one, other = (load_file(out.with_name(name) / WEIGHTS) for name in ("new", "whole"))
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_what_forgets_the_anchors_is_refused(bases, rated, tmp_path):
    contrary = [replace(record, mos=6 - record.mos) for record in rated]
    scorer = load_scorer(str(bases["nano"]), device="cpu")
    anchors = gallery(tmp_path / "anchors", 20)
    own = [
        replace(record, mos=a.score)
        for record, a in zip(anchors, scorer.assess_files([r.image for r in anchors]), strict=True)
    ]
    how = {"options": Options(4, 1e-2, 20), "device": "cpu"}
    for given in (own, [replace(record, scale=None) for record in anchors]):
        card = fine_tune(
            contrary,
            str(bases["nano"]),
            tmp_path / str(len(list(tmp_path.iterdir()))),
            anchors=given,
            most_forgotten=-1,
            **how,
        )
        assert not card.better and "on the anchors: on" in card.verdict and card.anchors["before"] == pytest.approx(1)


@pytest.mark.slow
def test_the_command_takes_a_recipe_its_additions_and_options(bases, tmp_path, capsys):
    images = gallery(tmp_path / "images", 12)
    rows = [f"{record.image.name},{record.mos}" for record in images]
    (tmp_path / "labels.csv").write_text("\n".join(["image,mos", *rows]) + "\n")
    given = [
        "--labels",
        tmp_path / "labels.csv",
        "--images",
        tmp_path / "images",
        "--scale",
        1,
        5,
        "--model",
        bases["nano"],
    ]
    given += [
        "--out",
        tmp_path.name,
        "--recipe",
        "qscorer",
        "--add",
        "norm,hyper64",
        "--train",
        "connector",
        "--rank",
        2,
    ]
    given += ["--epochs", 2, "--batch-size", 4, "--accumulate", 2, "--max-steps", 3, "--learning-rate", 0.001]
    given += ["--data-dir", tmp_path / "data", "--anchors", tmp_path / "images"]
    assert command.main([str(word) for word in given]) == 0
    card = json.loads((tmp_path / "data" / "adapters" / tmp_path.name / "card.json").read_text())
    assert card["recipe"] == "qscorer+norm+hyper64" and card["trained_parts"] == ["connector"]
    assert card["options"] | {"max_steps": 3, "accumulate": 2, "epochs": 2} == card["options"]
    assert "anchors, SRCC" in capsys.readouterr().out
    assert command.main([*map(str, given), "--rung", "head"]) == 2
    assert "exists already" in capsys.readouterr().err
