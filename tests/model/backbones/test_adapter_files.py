"""Adapters on disk: plain PEFT and our own loading agree, and what does not fit is named."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from model.backbones.adapter_card import (
    CARD,
    CONFIG,
    WEIGHTS,
    AdapterCard,
    BrokenAdapter,
    check_name,
    list_adapters,
    read_card,
)
from model.backbones.nano.network import NanoModel, NanoProcessor
from model.common.errors import DataError, ModelLoadError
from model.finetuning.procedure import Options, fine_tune
from model.images.decoding import open_image
from model.scoring.scorer import load_scorer
from tests.model.tiny import gallery, tiny_base


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two bases, the images, and an adapter of each base in adapters/."""
    folder = tmp_path_factory.mktemp("made")
    rated = gallery(folder / "images")
    for kind in ("score_token", "level"):
        base = tiny_base(folder / kind, kind)
        fine_tune(rated, str(base), folder / "adapters" / f"of-{kind}", Options(rank=4, learning_rate=3e-3, epochs=5))
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """An adapter that a test may break."""
    return Path(shutil.copytree(made / "adapters" / "of-score_token", tmp_path / "copy"))


def load(made, adapter):
    return load_scorer(f"{made / 'score_token'}+{adapter}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["score_token", "level"])
def test_plain_peft_loads_the_adapter_and_gives_the_same_scores(made, kind):
    paths = sorted((made / "images").iterdir())
    assessed = list(load_scorer(f"{made / kind}+of-{kind}", adapters=made / "adapters").assess_files(paths))
    base = NanoModel.from_pretrained(made / kind)
    plain = PeftModel.from_pretrained(base, made / "adapters" / f"of-{kind}").eval()
    processor = NanoProcessor.from_pretrained(made / kind)
    pixels = torch.stack([processor.pixels(open_image(path)) for path in paths])
    with torch.no_grad():
        output = plain(pixels, processor.prompt_ids().expand(len(paths), -1))
        ids = processor.tokenizer.convert_tokens_to_ids(list(assessed[0].tokens))
        probabilities = output.logits[:, -1, ids].softmax(1)
        if kind == "score_token":
            scores = plain.base_model.model.regressor(output.hidden[:, -1]).clamp(1, 5)
        else:
            scores = probabilities @ torch.arange(1.0, 6.0)
    assert [a.score for a in assessed] == pytest.approx(scores.tolist(), abs=1e-4)
    assert [a.probabilities[0] for a in assessed] == pytest.approx(probabilities[:, 0].tolist(), abs=1e-4)
    assert len({round(a.score, 4) for a in assessed}) > 6  # the scores differ, or agreement would mean little


def test_an_applied_adapter_leaves_a_plain_model(made):
    model = load(made, made / "adapters" / "of-score_token").backbone.model
    assert type(model) is NanoModel
    assert model.state_dict().keys() == NanoModel(model.config).state_dict().keys()


def test_no_file_of_an_adapter_contains_a_path(made):
    for path in (made / "adapters" / "of-score_token").iterdir():
        assert str(made).encode() not in path.read_bytes()
    config = json.loads((made / "adapters" / "of-score_token" / CONFIG).read_text())
    revision = load_scorer(str(made / "score_token")).revision
    assert (config["base_model_name_or_path"], config["revision"]) == ("score_token", revision)


def test_a_card_is_read_as_it_was_written(made):
    folder = made / "adapters" / "of-score_token"
    card = read_card(folder)
    assert card.to_json() == (folder / CARD).read_text()
    text = (folder / "README.md").read_text()
    assert (
        text.startswith("---\nbase_model: score_token\nlibrary_name: peft\n")
        and f"| {card.after['rmse']:.3f} |" in text
    )


def test_an_adapter_made_for_another_base_is_refused_and_both_revisions_are_named(made):
    adapter = made / "adapters" / "of-level"
    with pytest.raises(
        ModelLoadError,
        match=f"'of-level' was trained on level, revision {read_card(adapter).base_revision}, but .* has revision",
    ):
        load(made, adapter)


def without(tensors, key):
    return {name: tensor for name, tensor in tensors.items() if name != key}


ROWS = "base_model.model.lm_head.token_adapter.trainable_tokens_delta"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda tensors: without(tensors, ROWS), f"lacks the tensor {ROWS}"),
        (lambda tensors: tensors | {"base_model.extra": torch.zeros(1)}, "unexpected tensor: base_model.extra"),
        (lambda tensors: tensors | {ROWS: torch.zeros(5, 31)}, f"wrong shape: {ROWS}"),
    ],
)
def test_tensors_that_do_not_fit_are_named(made, copy, spoil, sentence):
    save_file(spoil(load_file(copy / WEIGHTS)), copy / WEIGHTS)
    with pytest.raises(ModelLoadError, match=sentence):
        load(made, copy)


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_a_missing_file_is_named(made, copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelLoadError, match=f"lacks {name}"):
        load(made, copy)


@pytest.mark.parametrize("name", [WEIGHTS, CARD, CONFIG])
def test_a_truncated_file_is_named_in_one_sentence(made, copy, name):
    (copy / name).write_bytes((copy / name).read_bytes()[:50])
    with pytest.raises(ModelLoadError, match="copy.*([Cc]opy the adapter's whole folder|download this file) again"):
        load(made, copy)


def test_an_adapter_of_another_kind_than_lora_is_refused(made, copy):
    (copy / CONFIG).write_text('{"peft_type": "IA3", "target_modules": ["q_proj"], "feedforward_modules": []}')
    with pytest.raises(ModelLoadError, match="IA3.*only LoRA is supported"):
        load(made, copy)


def test_the_list_has_every_adapter_and_the_faults_of_broken_ones(made, tmp_path):
    adapters = Path(shutil.copytree(made / "adapters", tmp_path / "adapters"))
    (adapters / "empty").mkdir()
    (adapters / ".unfinished-1").mkdir()
    (adapters / "of-level" / CARD).write_text("{}")
    (adapters / "notes.txt").touch()
    empty, broken, good = list_adapters(adapters)
    assert empty == BrokenAdapter(
        "empty", f"{adapters / 'empty'} lacks {CONFIG}: copy the adapter's whole folder again."
    )
    assert isinstance(broken, BrokenAdapter) and "card.json is not an adapter's card" in broken.error
    assert isinstance(good, AdapterCard) and good.name == "of-score_token"
    assert list_adapters(tmp_path / "absent") == []


def test_a_copied_adapter_goes_by_its_new_name(copy):
    assert read_card(copy).name == "copy"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a b", "ü", "-a", "a" * 65])
def test_an_invalid_adapter_name_is_refused(name):
    with pytest.raises(DataError, match="is not a valid adapter name"):
        check_name(name)
    assert check_name("my-taste_1.2") == "my-taste_1.2"


def test_listing_adapters_needs_no_torch():
    lines = "import sys, pathlib, model.backbones.adapter_card as a; a.list_adapters(pathlib.Path('absent'))"
    lines += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", lines], cwd=Path(__file__).parents[3]).returncode == 0
