"""Fine-tuning nano: what is trained, what is frozen, and that nothing half-done is left behind."""

import resource
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from model.backbones.adapter_card import WEIGHTS
from model.backbones.contract import Encoded, Options
from model.backbones.nano.backbone import NanoBackbone
from model.backbones.nano.loading import load_nano
from model.backbones.peft_files import load_onto
from model.common.errors import DataError, ModelLoadError
from model.common.scale import Scale
from model.evaluation.metrics import plcc, rmse, srcc
from model.finetuning import procedure as lora
from model.finetuning.procedure import fine_tune, predict
from model.scoring.scorer import load_scorer
from tests.model.tiny import gallery, tiny_base

QUICK = Options(rank=4, learning_rate=3e-3, epochs=15)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {kind: tiny_base(folder / kind, kind) for kind in ("score_token", "level")}


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    return gallery(tmp_path_factory.mktemp("gallery"))


def merged(base, adapter):
    return load_onto(load_nano(base)[0], adapter).merge_and_unload()


@pytest.mark.parametrize("kind", ["score_token", "level"])
def test_an_untrained_adapter_scores_as_the_base(bases, kind):
    backbone, images = NanoBackbone(*load_nano(bases[kind])), [Encoded(torch.randn(20, 32)) for _ in range(3)]
    scores = predict(backbone, images, "")
    backbone.adapt(rank=4)
    assert predict(backbone, images, "").tolist() == pytest.approx(scores.tolist(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["score_token", "level"])
def test_attention_score_token_rows_and_regressor_move_and_nothing_else(bases, rated, tmp_path, kind):
    fine_tune(rated, str(bases[kind]), tmp_path / "new", QUICK)
    model, processor = load_nano(bases[kind])
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    after = merged(bases[kind], tmp_path / "new").state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert {key for key in moved if "decoder.layers" in key} == {
        f"decoder.layers.{n}.self_attn.{name}.weight" for n in (0, 1) for name in ("q_proj", "v_proj")
    }
    others = {key for key in moved if "decoder.layers" not in key and not key.startswith("regressor.")}
    assert others == {"decoder.embed_tokens.weight", "lm_head.weight"}
    assert any(key.startswith("regressor.") for key in moved) == (kind == "score_token")
    rows = set(processor.tokenizer.convert_tokens_to_ids(model.config.readout["tokens"]))
    for key in others:
        changed = (before[key] != after[key]).any(1).nonzero().flatten().tolist()
        assert changed and set(changed) <= rows


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["score_token", "level"])
def test_scores_move_toward_the_ratings(bases, rated, tmp_path, kind):
    low = [replace(record, mos=1.0 + record.mos / 5) for record in rated]
    card = fine_tune(low, str(bases[kind]), tmp_path / "new", Options(rank=4, learning_rate=1e-2, epochs=30))
    assert card.after_trained["rmse"] < 0.5 * card.before_trained["rmse"]
    assert card.after["rmse"] < 0.7 * card.before["rmse"]


@pytest.mark.slow
def test_the_cards_figures_are_those_of_the_scorer_on_the_held_out_images(bases, rated, tmp_path):
    card = fine_tune(rated, str(bases["score_token"]), tmp_path / "new", QUICK)
    held_out = [r for r in rated if lora.hashlib.sha256(r.image.read_bytes()).hexdigest() not in card.trained_on]
    assert (len(held_out), card.held_out, card.trained, card.images, card.ratings) == (3, 3, 9, 12, 12)
    mos = [record.mos for record in held_out]
    for spec, figures in ((str(bases["score_token"]), card.before), (f"{bases['score_token']}+new", card.after)):
        scores = [a.score for a in load_scorer(spec, adapters=tmp_path).assess_files([r.image for r in held_out])]
        assert figures == pytest.approx(
            {"plcc": plcc(scores, mos), "srcc": srcc(scores, mos), "rmse": rmse(scores, mos)}, abs=1e-3
        )


@pytest.mark.slow
def test_the_same_ratings_and_seed_give_the_same_tensors_and_another_seed_others(bases, rated, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fine_tune(rated, str(bases["score_token"]), tmp_path / name, replace(QUICK, epochs=2, min_steps=1), seed=seed)
    a, b, c = (load_file(tmp_path / name / WEIGHTS) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a) and any(not torch.equal(a[key], c[key]) for key in a)


@pytest.mark.slow
def test_continuing_an_adapter_starts_where_it_ended_and_fits_on_the_bare_base(bases, rated, tmp_path):
    base = str(bases["score_token"])
    first = fine_tune(rated, base, tmp_path / "first", QUICK)
    second = fine_tune(rated, f"{base}+first", tmp_path / "second", replace(QUICK, rank=2, epochs=3, min_steps=1))
    assert second.before == pytest.approx(first.after, abs=1e-4)
    assert second.parent == {"name": "first", "revision": load_scorer(f"{base}+first", adapters=tmp_path).revision}
    assert (second.base_revision, second.options["rank"]) == (first.base_revision, 4)
    assert load_scorer(f"{base}+second", adapters=tmp_path).revision != second.parent["revision"]


@pytest.mark.slow
def test_images_that_a_parent_was_trained_on_are_not_held_out_and_too_few_others_give_no_figures(
    bases, rated, tmp_path
):
    base = str(bases["score_token"])
    first = fine_tune(rated, base, tmp_path / "first", replace(QUICK, epochs=1, min_steps=1))
    only = [r for r in rated if lora.hashlib.sha256(r.image.read_bytes()).hexdigest() in first.trained_on]
    second = fine_tune(only, f"{base}+first", tmp_path / "second", replace(QUICK, epochs=1, min_steps=1))
    assert (second.held_out, set(second.after.values())) == (0, {None}) and "too few for figures" in second.note
    assert "—" in (tmp_path / "second" / "README.md").read_text()


@pytest.mark.slow
def test_ratings_are_put_onto_the_scale_of_the_model(rated, tmp_path):
    base = tiny_base(tmp_path / "base", scale=Scale(0.0, 1.0))
    card = fine_tune(rated, str(base), tmp_path / "new", QUICK)
    assert card.scale == (0.0, 1.0) and card.after_trained["rmse"] < 0.5


@pytest.mark.slow
def test_images_that_cannot_be_read_are_left_out_by_name_and_the_rest_is_trained_on(bases, rated, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    records = [*rated, replace(rated[0], image=broken), replace(rated[0], image=tmp_path / "gone.jpg")]
    card = fine_tune(records, str(bases["score_token"]), tmp_path / "new", replace(QUICK, epochs=1, min_steps=1))
    assert [entry["image"] for entry in card.left_out] == ["broken.jpg", "gone.jpg"] and card.images == 12
    with pytest.raises(DataError, match="too few .*such as broken.jpg: not an image"):
        fine_tune([*rated[:7], records[-2]], str(bases["score_token"]), tmp_path / "other", QUICK)


def test_an_adapter_is_never_written_over(bases, rated, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(DataError, match="taken exists already"):
        fine_tune(rated, str(bases["score_token"]), tmp_path / "taken", QUICK)


@pytest.mark.slow
def test_a_parent_made_for_another_base_is_refused(bases, rated, tmp_path):
    fine_tune(rated, str(bases["score_token"]), tmp_path / "first", replace(QUICK, epochs=1, min_steps=1))
    with pytest.raises(ModelLoadError, match="'first' was trained on score_token, revision"):
        fine_tune(rated, f"{bases['level']}+first", tmp_path / "second", QUICK)


def test_interrupted_training_leaves_nothing_behind(bases, rated, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(lora, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(rated, str(bases["score_token"]), tmp_path / "adapters" / "new", QUICK)
    assert list((tmp_path / "adapters").iterdir()) == []


@pytest.mark.parametrize("limit", [100, 6000])
def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(bases, rated, tmp_path, monkeypatch, limit):
    whole = NanoBackbone.save_adapter

    def on_full_disk(*arguments):
        # No file of this process may grow past `limit` bytes, as on a disk that is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        whole(*arguments)

    monkeypatch.setattr(NanoBackbone, "save_adapter", on_full_disk)
    try:
        with pytest.raises(DataError, match="new could not be written"):
            fine_tune(
                rated, str(bases["score_token"]), tmp_path / "adapters" / "new", replace(QUICK, epochs=1, min_steps=1)
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert list((tmp_path / "adapters").iterdir()) == []


def test_training_that_diverges_is_told(bases, rated, tmp_path):
    with pytest.raises(DataError, match="diverged"):
        fine_tune(rated, str(bases["score_token"]), tmp_path / "new", replace(QUICK, learning_rate=1e30))
    assert not (tmp_path / "new").exists()
