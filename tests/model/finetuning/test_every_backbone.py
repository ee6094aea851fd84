"""Fine-tuning of published kinds of models, on tiny ones: the command, what is trained, what is on disk, and resuming from it."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from model import finetune as command
from model.backbones import adapting
from model.backbones.adapter_card import read_card
from model.backbones.contract import Encoded, Options
from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.layouts import find_layout
from model.backbones.mplug_owl2.loading import load_model
from model.backbones.spec import Spec
from model.backbones.vlm.backbone import VlmBackbone
from model.backbones.vlm.settings import Q_REALIGN, READOUT
from model.common.errors import DataError, ModelLoadError, TooLittleMemory
from model.finetuning import procedure as lora
from model.finetuning.examples import OnDisk, together
from model.finetuning.procedure import fine_tune
from model.finetuning.step import Lesson, batch_gradients, taught
from model.loading.opening import open_to_train
from model.readouts.objective import weighted_sum
from model.scoring.scorer import load_scorer
from tests.model.owl_fixtures import BASE, QALIGN, QSCORER
from tests.model.tiny import gallery, rate
from tests.model.tiny_vlms import write_vlm

pytestmark = pytest.mark.slow

QUICK = Options(rank=4, learning_rate=3e-3, epochs=6, min_steps=1)
BRIEF = Options(rank=4, learning_rate=3e-3, epochs=1, min_steps=1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    return gallery(tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="module")
def smolvlm(tmp_path_factory) -> Path:
    return write_vlm(tmp_path_factory.mktemp("bases") / "smolvlm", "smolvlm")


@pytest.fixture(scope="module")
def made(tmp_path_factory, rated, smolvlm):
    """The folder of adapters with one of each kind, and their cards: name -> (spec of the base, card)."""
    adapters = tmp_path_factory.mktemp("adapters")
    specs = {
        "of-vlm": (str(smolvlm), ""),
        "of-lora": (str(BASE), f"+{QSCORER / 'adapter'}"),
        "of-merged": (str(QSCORER / "merged"), ""),
        "of-base": (str(BASE), ""),
        "of-level": (str(QALIGN / "checkpoint_safetensors"), ""),
    }
    cards = {
        name: fine_tune(rated, base + start, adapters / name, QUICK, device="cpu")
        for name, (base, start) in specs.items()
    }
    return adapters, {name: (base, cards[name]) for name, (base, _) in specs.items()}


KINDS = ["of-vlm", "of-lora", "of-merged", "of-base", "of-level"]


def assessed(made, name, rated):
    adapters, cards = made
    scorer = load_scorer(f"{cards[name][0]}+{name}", device="cpu", adapters=adapters)
    return list(scorer.assess_files([record.image for record in rated]))


@pytest.mark.parametrize("name", KINDS)
def test_the_cards_figures_are_those_of_the_scorer_that_loads_the_adapter(made, rated, name):
    card = made[1][name][1]
    held_out = [r for r in rated if lora.hashlib.sha256(r.image.read_bytes()).hexdigest() not in card.trained_on]
    assert (len(held_out), card.held_out, card.trained) == (3, 3, 9)
    scores = torch.tensor([a.score for a in assessed(made, name, held_out)])
    mos = torch.tensor([record.mos_on(card.scale) for record in held_out])
    assert card.after["rmse"] == pytest.approx((scores - mos).square().mean().sqrt().item(), abs=1e-4)
    assert card == read_card(made[0] / name)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "of-level"])
def test_score_tokens_come_nearer_to_the_ratings(made, name):
    card = made[1][name][1]
    assert card.readout == "score_token"
    assert card.after_trained["rmse"] < 0.95 * card.before_trained["rmse"]
    assert card.after["rmse"] < card.before["rmse"]


def test_readouts_and_scales_are_those_of_the_kind_of_model(made, rated):
    kinds = {name: (card.readout, card.scale) for name, (_, card) in made[1].items()}
    assert kinds.pop("of-vlm") == ("score_token", (1.0, 5.0))
    assert kinds.pop("of-level") == ("level", (1.0, 5.0))
    assert set(kinds.values()) == {("score_token", (0.0, 5.0))}
    for name in ("of-vlm", "of-base"):
        assert assessed(made, name, rated[:1])[0].tokens == tuple(f"<score{n}>" for n in range(1, 6))


@pytest.mark.parametrize("name", ["of-vlm", "of-base", "of-level"])
def test_an_adapter_of_ours_is_gone_on_with_from_where_it_ended(made, rated, tmp_path, name):
    adapters, cards = made
    base, first = cards[name]
    shutil.copytree(adapters / name, tmp_path / name)
    second = fine_tune(rated, f"{base}+{name}", tmp_path / "second", Options(2, 1e-3, 1, 16, 1), device="cpu")
    assert second.before == pytest.approx(first.after, abs=1e-4)
    assert second.parent["name"] == name and second.base_revision == first.base_revision
    assert second.options["rank"] == 4  # the first one's
    assert load_scorer(f"{base}+second", device="cpu", adapters=tmp_path).revision != second.parent["revision"]


@pytest.mark.parametrize("start", ["adapter", "adapter_fulldump"])
def test_a_published_lora_goes_on_and_what_it_had_changed_stays(made, rated, tmp_path, start):
    fine_tune(rated, f"{BASE}+{QSCORER / start}", tmp_path / "new", BRIEF, device="cpu")
    before = load_model(find_layout(QSCORER / start, BASE))[0].state_dict()
    after = load_model(find_layout(tmp_path / "new", BASE))[0].state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert {name for name in moved if not name.startswith("deepmlp.")} == {
        "lm_head.weight",
        *(f"model.layers.{n}.self_attn.{part}.weight" for n in (0, 1) for part in ("q_proj", "v_proj.multiway.1")),
    }
    rows = (before["lm_head.weight"] != after["lm_head.weight"]).any(1).nonzero().flatten()
    assert rows.tolist() == [420, 421, 422, 423, 424]
    assert len([name for name in moved if name.startswith("deepmlp.")]) == 6


def test_of_a_merged_model_the_adapter_holds_lora_five_rows_and_the_regressor(made):
    kept = load_file(made[0] / "of-merged" / "non_lora_trainables.safetensors")
    assert kept.pop("lm_head.weight[420:]").shape == (5, 64)
    assert kept and all(name.startswith("deepmlp.") for name in kept)
    with safe_open(made[0] / "of-level" / "non_lora_trainables.safetensors", "pt") as file:
        assert not list(file.keys())


def test_no_file_of_an_adapter_names_a_path_of_this_machine(made, smolvlm):
    for name in KINDS:
        for path in (made[0] / name).iterdir():
            content = path.read_bytes()
            assert str(QSCORER.parent).encode() not in content and str(smolvlm.parent).encode() not in content, path


def test_the_readme_says_how_plain_peft_loads_it(made):
    assert "add_score_tokens(model, " in (made[0] / "of-vlm" / "README.md").read_text()
    assert "load_model(find_layout(FOLDER, BASE)" in (made[0] / "of-lora" / "README.md").read_text()


def test_a_vlm_that_was_taught_keeps_its_words_and_scale(rated, tmp_path):
    base = write_vlm(tmp_path / "base", "llava_onevision")
    (base / READOUT).write_text(json.dumps(asdict(Q_REALIGN)))
    card = fine_tune(rated, str(base), tmp_path / "new", BRIEF, device="cpu")
    assert (card.readout, card.scale) == ("level", (0.0, 1.0))
    preset = Spec("q-realign-mini", write_vlm(tmp_path / "other", "llava_onevision"), None, "q-realign")
    assert open_to_train(preset, CPU, "auto").readout.kind == "level"


@pytest.mark.parametrize("kind", ["vlm", "merged", "base", "level"])
def test_the_loss_goes_down_and_is_the_same_from_disk(rated, smolvlm, tmp_path, kind):
    bases = {"vlm": smolvlm, "merged": QSCORER / "merged", "base": BASE, "level": QALIGN / "checkpoint_safetensors"}
    found = Spec("tiny", bases[kind], None)
    torch.manual_seed(0)
    backbone = open_to_train(found, CPU, "float32")
    examples = [backbone.encode(Image.open(record.image).convert("RGB")) for record in rated[::4]]
    lesson = Lesson(torch.tensor([1.5, 3.0, 4.5]))

    def loss(of) -> float:
        of.model.eval()
        with torch.no_grad():
            return weighted_sum(of.losses, taught(of, examples, lesson))[0].item()

    backbone.adapt(4)
    before = loss(backbone)
    lora.train(backbone, examples, lesson, Options(4, 3e-3, 4, 16, 1), seed=0)
    after = loss(backbone)
    assert after < 0.97 * before
    backbone.save_adapter(tmp_path / "new", "tiny", "0")
    again = open_to_train(Spec("tiny", bases[kind], tmp_path / "new"), CPU, "float32")
    again.adapt(4)
    assert loss(again) == pytest.approx(after, abs=1e-4)


@pytest.mark.parametrize("kind", ["vlm", "mplug_owl2"])
def test_the_command_from_ratings_to_scores(rated, tmp_path, capsys, monkeypatch, smolvlm, kind):
    data, start = tmp_path / "data", str(smolvlm) if kind == "vlm" else f"{BASE}+{QSCORER / 'adapter'}"
    base = start.partition("+")[0]
    rate(data, rated[:10])
    monkeypatch.setattr(adapting, "LARGE", 0)  # as a large model: activations are computed twice
    monkeypatch.setattr(VlmBackbone, "options", BRIEF)
    monkeypatch.setattr(MplugOwl2Backbone, "options", BRIEF)
    status = command.main(
        ["--data-dir", str(data), "--model", start, "--out", "mine", "--rung", "lora", "--device", "cpu"]
    )
    out = capsys.readouterr().out
    assert status == 0 and out.startswith("10 ratings of 10 images: LoRA, 7 to train on, 3 held out\n")
    assert "PLCC" in out and f"--model {base}+{data / 'adapters' / 'mine'} PATH" in out
    scorer = load_scorer(f"{base}+mine", device="cpu", adapters=data / "adapters")
    assert len(list(scorer.assess_files([rated[0].image]))) == 1 and scorer.readout == "score_token"


@pytest.mark.parametrize("kind", ["vlm", "level", "merged"])
def test_small_parts_of_a_batch_give_the_gradients_of_the_whole(rated, smolvlm, monkeypatch, kind):
    """With every loss over the batch, norm-in-norm and pairs too; with activations computed twice, and kept."""
    base = {"vlm": smolvlm, "level": QALIGN / "checkpoint_safetensors", "merged": QSCORER / "merged"}[kind]
    weights = {"cross_entropy": 1.0, "squared_error": 1.0, "norm_in_norm": 1.0, "ranking": 1.0, "fidelity": 1.0}
    gradients, losses = [], []
    for size, large in ((3, 1e9), (1, 0)):
        monkeypatch.setattr(adapting, "LARGE", large)
        torch.manual_seed(0)
        backbone = open_to_train(Spec("level", base, None), CPU, "float32")
        examples = [backbone.encode(Image.open(record.image).convert("RGB")) for record in rated[:3]]
        backbone.adapt(4)
        backbone.model.train()
        lesson = Lesson(torch.tensor([1.5, 3.0, 4.5]))
        rows = [list(range(start, min(start + size, 3))) for start in range(0, 3, size)]
        parts = [([examples[n] for n in part], lesson[part]) for part in rows]
        losses.append(batch_gradients(backbone, parts, weights))
        gradients.append({n: w.grad.clone() for n, w in backbone.model.named_parameters() if w.grad is not None})
    whole, parts = gradients
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert whole.keys() == parts.keys() and any(gradient.abs().max() > 0 for gradient in whole.values())
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], atol=2e-5, rtol=1e-3)


def test_images_of_unlike_shapes_go_through_the_model_apart():
    examples = [Encoded(torch.zeros(length, 4)) for length in (5, 7, 5, 5, 7)]
    assert list(together(range(5), examples)) == [[0, 2, 3], [1, 4]]
    assert list(together([4, 3, 2], examples)) == [[4], [3, 2]]


def test_images_that_memory_does_not_hold_are_read_anew_and_give_the_same(rated, smolvlm, tmp_path, monkeypatch):
    for name, kept in (("all", 1e9), ("few", 3e5)):
        monkeypatch.setattr(lora, "KEPT", kept)
        fine_tune(rated, str(smolvlm), tmp_path / name, BRIEF, device="cpu")
        material = lora.read_material(rated, open_to_train(Spec("smolvlm", smolvlm, None), CPU, "auto"))
        on_disk = [isinstance(example, OnDisk) for example in material.examples]
        assert on_disk == sorted(on_disk) and (any(on_disk) and not all(on_disk)) == (name == "few")
    one, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("all", "few"))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("kind", ["vlm", "mplug_owl2"])
def test_in_bfloat16_what_moves_is_float32_and_the_rest_is_not_touched(rated, tmp_path, smolvlm, kind):
    base = smolvlm if kind == "vlm" else QSCORER / "merged"
    backbone = open_to_train(Spec("x", base, None), CPU, "bfloat16")
    backbone.adapt(4)
    weights = {name: weight for name, weight in backbone.model.named_parameters() if "regressor" not in name}
    assert {weight.dtype for weight in weights.values() if weight.requires_grad} == {torch.float32}
    assert {weight.dtype for weight in weights.values() if not weight.requires_grad} == {torch.bfloat16}
    if backbone.readout.regressor is not None:
        assert {weight.dtype for weight in backbone.readout.regressor.parameters()} == {torch.float32}
    card = fine_tune(rated, str(base), tmp_path / "new", BRIEF, device="cpu", dtype="bfloat16")
    assert card.after["rmse"] is not None


def test_the_card_names_models_as_others_would(smolvlm):
    def named(name, adapter=None):
        origin = lora.origin_of(Spec(name, smolvlm, adapter))
        return origin["base"], origin["parent"] and origin["parent"]["name"]

    assert named("nano") == ("nano", None)
    assert named("owner/model@main") == ("owner/model@main", None)
    assert named(f"{smolvlm}+mine", smolvlm) == ("smolvlm", "mine")
    assert named(f"{smolvlm}+{smolvlm}", smolvlm) == ("smolvlm", "smolvlm")
    assert named("qscorer", smolvlm) == ("MAGAer13/mplug-owl2-llama2-7b", "qscorer")
    assert (
        command.base_of("qscorer") == "MAGAer13/mplug-owl2-llama2-7b" and command.base_of("one-align+a") == "one-align"
    )


def test_too_little_memory_is_said_before_anything_is_loaded(smolvlm, monkeypatch, rated, tmp_path):
    monkeypatch.setattr("model.common.memory.free_memory", lambda device: 1e5)
    for base in (smolvlm, QSCORER / "merged"):
        with pytest.raises(TooLittleMemory, match="fine-tuning .* needs .* GB of memory in float32, and cpu has"):
            fine_tune(rated, str(base), tmp_path / "new", device="cpu")


def test_memory_that_runs_out_is_one_sentence_and_leaves_nothing_behind(smolvlm, monkeypatch, rated, tmp_path):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(lora, "train", full)
    with pytest.raises(DataError, match="ran out of memory on the device 'cpu': .*--dtype bfloat16"):
        fine_tune(rated, str(smolvlm), tmp_path / "adapters" / "new", device="cpu")
    assert list((tmp_path / "adapters").iterdir()) == []


def test_what_cannot_be_fine_tuned_is_one_sentence(made, rated, smolvlm, tmp_path):
    def refused(spec, words, kind=DataError, **how):
        with pytest.raises(kind, match=words):
            fine_tune(rated, spec, tmp_path / "adapters" / "new", BRIEF, **{"device": "cpu"} | how)

    refused(str(smolvlm), "fine-tuning in 4bit is not supported: choose --dtype bfloat16", dtype="4bit")
    refused("nano", "nano is fine-tuned in float32", dtype="bfloat16")
    refused(str(QSCORER / "adapter"), "adapter is an adapter without its base: use BASE.adapter,")
    quantized = Path(shutil.copytree(smolvlm, tmp_path / "quantized"))
    settings = json.loads((quantized / "config.json").read_text())
    (quantized / "config.json").write_text(json.dumps(settings | {"quantization_config": {"load_in_4bit": True}}))
    refused(str(quantized), "has quantized weights .* choose the original model")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "config.json").write_text('{"model_type": "bert"}')
    refused(str(tmp_path / "text"), "type 'bert', which cannot be fine-tuned: choose nano")
    other = write_vlm(tmp_path / "other", "smolvlm")
    refused(f"{other}+{made[0] / 'of-lora'}", "'of-lora' was trained on base_mplug_owl2, revision", ModelLoadError)
    refused(f"{BASE}+{made[0] / 'of-vlm'}", "'of-vlm' was trained on smolvlm, revision", ModelLoadError)
    refused(f"{QSCORER / 'merged'}+{made[0] / 'of-base'}", "'of-base' was trained on base_mplug_owl2", ModelLoadError)
    assert not (tmp_path / "adapters").exists()


def test_an_adapter_of_another_base_is_not_scored_with_either(made, tmp_path):
    other = write_vlm(tmp_path / "other", "qwen2_5_vl")
    with pytest.raises(ModelLoadError, match="'of-vlm' was trained on smolvlm, revision .* use the adapter's base"):
        load_scorer(f"{other}+of-vlm", device="cpu", adapters=made[0])


def test_a_language_model_without_the_projections_is_refused_before_the_images_are_read(smolvlm, monkeypatch):
    monkeypatch.setattr("model.backbones.vlm.adapting.PROJECTIONS", ("no_such_layer",))
    with pytest.raises(
        ModelLoadError, match="'smolvlm' cannot be fine-tuned here: .* none of the layers no_such_layer"
    ):
        open_to_train(Spec("smolvlm", smolvlm, None), CPU, "auto")
