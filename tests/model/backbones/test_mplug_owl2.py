"""mPLUG-Owl2 against the original programs: every intermediate result, to 1e-5 in float32."""

import re

import pytest
import torch
from accelerate import infer_auto_device_map
from transformers import AutoConfig

from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.layouts import find_layout
from model.backbones.mplug_owl2.loading import load_model
from model.backbones.mplug_owl2.network import IMAGE_ID, MplugOwl2Config, MplugOwl2Model
from model.backbones.mplug_owl2.processor import BARE_PREFIX, MplugOwl2Processor
from model.common.errors import ModelError
from model.common.scale import Scale
from model.readouts.reading import read_levels, read_score_token
from tests.model.owl_fixtures import BASE, PROMPT_NAMES, QALIGN, QSCORER, assert_near, common, facts, images, tensors

KINDS = [QSCORER, QALIGN]
CHECKPOINT = "checkpoint_safetensors"


def load(kind, attention="sdpa") -> MplugOwl2Model:
    return MplugOwl2Model.from_pretrained(
        kind / CHECKPOINT, dtype="float32", attn_implementation=attention, local_files_only=True
    ).eval()


def backbone(kind, **asked) -> MplugOwl2Backbone:
    return MplugOwl2Backbone(load(kind), MplugOwl2Processor.from_pretrained(kind / CHECKPOINT), **asked)


def prompts_of(kind) -> dict[str, dict]:
    return facts(kind / "inputs" / "prompts.json")


def pick(values: list, rows: list[int]) -> list:
    return [values[n] for n in rows]


def record(model: MplugOwl2Model) -> dict[str, torch.Tensor]:
    """Let the model keep its intermediate results, under the fixtures' names, in the dictionary returned."""
    owl, taps = model.model, {}
    places = {
        "vision.embeddings": owl.vision_model.embeddings,
        "vision.last_hidden_state": owl.vision_model,
        "abstractor.last_hidden_state": owl.visual_abstractor,
        "llm.final_norm": owl.norm,
    }
    for name, layers in {
        "vision": owl.vision_model.encoder.layers,
        "abstractor": owl.visual_abstractor.encoder.layers,
        "llm": owl.layers,
    }.items():
        places |= {f"{name}.layer{n}": layer for n, layer in enumerate(layers)}
    for name, module in places.items():
        module.register_forward_hook(lambda module, given, made, name=name: taps.__setitem__(name, made))
    owl.register_forward_pre_hook(lambda module, given: taps.__setitem__("llm.inputs_embeds", given[0]))
    return taps


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_intermediate_result_is_the_originals(kind, attention):
    model = load(kind, attention)
    taps = record(model)
    reference = tensors(kind / "activations.safetensors")
    ids = prompts_of(kind)["scorer_newline"]["input_ids"]
    prefix = MplugOwl2Processor.from_pretrained(kind / CHECKPOINT).bare_prefix_id()
    for step in [step for step in (0, 1) if f"step{step}.llm.final_norm" in reference]:
        pixels = reference["pixel_values"]
        with torch.inference_mode():
            output = model(pixels, torch.tensor(ids + [prefix] * step).expand(len(pixels), -1))
        expected = {
            name.removeprefix(f"step{step}."): tensor
            for name, tensor in reference.items()
            if name.startswith((f"step{step}.vision", f"step{step}.abstractor", f"step{step}.llm"))
        }
        indicators = expected.pop("llm.modality_indicators")
        assert len(expected) > 4 and expected.keys() <= taps.keys()
        for name, tensor in expected.items():
            # The fused kernels add up in another order: a rounding of float32 more where values are large.
            largest = tensor.abs().max().item()
            assert_near(
                taps[name], tensor, max(1e-5, 1e-6 * largest) if attention == "eager" else 1e-5 + 1e-6 * largest
            )
        assert ids.index(IMAGE_ID) == indicators[0].tolist().index(1)
        assert indicators.sum(1).tolist() == [model.config.rows_per_image] * len(pixels)
        assert_near(output.logits[:, -1], reference[f"step{step}.logits.last"], 1e-5, 1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_pixels_are_the_originals_bit_by_bit(kind):
    processor = MplugOwl2Processor.from_pretrained(kind / CHECKPOINT)
    pixels = torch.stack([processor.pixels(image) for image in images(kind)])
    assert torch.equal(pixels, tensors(kind / "activations.safetensors")["pixel_values"])


@pytest.mark.parametrize("name", prompts_of(QSCORER))
def test_q_scorers_answer_is_the_originals(name):
    task, variant = PROMPT_NAMES[name]
    scorer = backbone(QSCORER, task=task, variant=variant)
    reference = facts(QSCORER / "outputs.json")["per_prompt"][name]
    plain = [n for n, word in enumerate(reference["step0_argmax_token"]) if word == BARE_PREFIX]
    assert plain  # for these the original says the prefix first; test_upstreams_two_greedy_steps has the others
    reference = {key: pick(values, plain) for key, values in reference.items()}
    shown = pick(images(QSCORER), plain)
    hidden, logits = scorer.ask([scorer.prepare(image) for image in shown])
    with torch.inference_mode():
        reading = read_score_token(
            hidden, logits, scorer.readout.token_ids, scorer.readout.scale, scorer.readout.regressor
        )
        assert_near(scorer.readout.regressor(hidden.float()), reference["mlp_out_raw"])
    assert_near(reading.score, reference["mlp_out_clamped_0_5"])
    assert_near(reading.probabilities, reference["step1_score_probs_closed_1to5"])
    assert_near(reading.token_mass, reference["step1_score_prob_mass_open"])
    assert_near(logits[:, scorer.readout.token_ids], reference["step1_score_logits_1to5"])
    if name == "scorer_newline":
        kept = tensors(QSCORER / "activations.safetensors")
        assert_near(hidden, kept["mlp.input"][plain])
        assert_near(scorer.readout.regressor(kept["mlp.input"]).detach(), kept["mlp.output_raw"])
        assert_near(reading.score, pick(facts(QSCORER / "outputs.json")["original_score_method_fp32"], plain))


@pytest.mark.parametrize("name", prompts_of(QSCORER))
def test_upstreams_two_greedy_steps_are_reported(name):
    task, variant = PROMPT_NAMES[name]
    scorer = backbone(QSCORER, task=task, variant=variant)
    reference = facts(QSCORER / "outputs.json")["per_prompt"][name]
    steps = scorer.check_steps([scorer.prepare(image) for image in images(QSCORER)])
    assert [step.first for step in steps] == reference["step0_argmax_token"]
    assert [step.second for step in steps] == reference["step1_argmax_token"]
    assert [step.agrees for step in steps] == [word == BARE_PREFIX for word in reference["step0_argmax_token"]]
    assert_near([step.score for step in steps], reference["mlp_out_clamped_0_5"])


def test_a_model_whose_first_step_differs_is_reported():
    scorer = backbone(QSCORER)
    batch = [scorer.prepare(image) for image in images(QSCORER)]
    other = int(scorer.readout.token_ids[0])
    with torch.no_grad():  # its lm_head now prefers another token to the bare prefix, by a little for all images
        scorer.model.lm_head.weight[other] = 1.5 * scorer.model.lm_head.weight[scorer.prompt_ids[-1]]
        ids = [*scorer.prompt_ids[:-1].tolist(), other]
        said = scorer.model(
            torch.cat([prepared.pixels for prepared in batch]), torch.tensor(ids).expand(len(batch), -1)
        )
        expected = scorer.readout.regressor(said.hidden[:, -1]).clamp(0, 5)
    steps = scorer.check_steps(batch)
    assert [step.first for step in steps] == [scorer.readout.tokens[0]] * len(batch)
    assert not any(step.agrees for step in steps)
    assert_near([step.score for step in steps], expected)


def test_level_models_take_no_two_steps():
    aligner = backbone(QALIGN)
    with pytest.raises(ModelError, match="takes one step"):
        aligner.check_steps([aligner.prepare(images(QALIGN)[0])])


@pytest.mark.parametrize("name", facts(QALIGN / "outputs.json")["per_prompt"])
def test_q_aligns_answer_is_the_originals(name):
    task, variant = PROMPT_NAMES[name]
    aligner = backbone(QALIGN, task=task, variant=variant)
    reference = facts(QALIGN / "outputs.json")["per_prompt"][name]
    hidden, logits = aligner.ask([aligner.prepare(image) for image in images(QALIGN)])
    reading = read_levels(logits, aligner.readout.token_ids, aligner.readout.scale)
    assert_near(logits[:, aligner.readout.token_ids].flip(1), reference["level_logits"])
    assert_near(reading.probabilities.flip(1), reference["level_probs"])
    assert_near(reading.token_mass, reference["openset_level_prob_mass"])
    assert_near(reading.score, reference["score_1to5"])
    reading = read_levels(logits, aligner.readout.token_ids, Scale(0.0, 1.0))
    assert_near(reading.score, reference["score_0to1"])


@pytest.mark.parametrize("name", facts(QALIGN / "outputs.json")["video"])
def test_a_clip_scores_as_the_original_scores_it_alone(name):
    task, variant = PROMPT_NAMES[name]
    aligner = backbone(QALIGN, task=task, variant=variant)
    outputs, shown = facts(QALIGN / "outputs.json"), images(QALIGN)
    for group, reference in zip(outputs["video_groups"], outputs["video"][name], strict=True):
        clip = aligner.prepare_frames([shown[n] for n in group])
        hidden, logits = aligner.ask([clip])
        assert_near(logits[:, aligner.readout.token_ids].flip(1), [reference["level_logits"]])
        assert_near(
            read_levels(logits, aligner.readout.token_ids, aligner.readout.scale).score, [reference["score_1to5"]]
        )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_batch_answers_each_image_as_alone(kind):
    scorer = backbone(kind)
    batch = [scorer.prepare(image) for image in images(kind)]
    together = scorer.ask(batch)
    for row, prepared in enumerate(batch):
        for found, alone in zip(together, scorer.ask([prepared]), strict=True):
            assert_near(found[row], alone[0])


def test_clips_of_one_length_answer_each_as_alone():
    aligner = backbone(QALIGN, task="video")
    shown = images(QALIGN)
    clips = [aligner.prepare_frames([shown[a], shown[b]]) for a, b in ((0, 1), (-1, 0), (1, -1))]
    together = aligner.ask(clips)[1]
    for row, clip in enumerate(clips):
        assert_near(together[row], aligner.ask([clip])[1][0])
    assert clips[0].shape_key[0] == 2 and clips[0].shape_key != aligner.prepare(shown[0]).shape_key


def test_clips_of_different_length_are_scored_separately():
    aligner = backbone(QALIGN, task="video", variant="github")
    outputs, shown = facts(QALIGN / "outputs.json"), images(QALIGN)
    clips = [aligner.prepare_frames([shown[n] for n in group]) for group in outputs["video_groups"]]
    assert len({clip.shape_key for clip in clips}) == len({len(group) for group in outputs["video_groups"]})
    scores = [
        read_levels(aligner.ask([clip])[1], aligner.readout.token_ids, aligner.readout.scale).score.item()
        for clip in clips
    ]
    assert_near(scores, outputs["original_score_method_fp32"]["quality"]["video_each"])


def test_as_many_frames_fit_as_the_positions_allow():
    aligner = backbone(QALIGN, task="video")
    config = aligner.model.config
    used = len(aligner.prompt_ids) - 1 + aligner.most_frames * config.rows_per_image
    assert used < config.max_position_embeddings <= used + config.rows_per_image + 1


@pytest.mark.parametrize("asked", [{"task": "sharpness"}, {"variant": "tab"}])
def test_an_unknown_task_or_prompt_is_refused(asked):
    with pytest.raises(ModelError, match="choose a task of quality"):
        backbone(QALIGN, **asked)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_was_saved_answers_the_same_when_loaded(kind, tmp_path):
    scorer = backbone(kind)
    scorer.model.save_pretrained(tmp_path)
    scorer.processor.save_pretrained(tmp_path)
    model, report = MplugOwl2Model.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    again = MplugOwl2Backbone(model, MplugOwl2Processor.from_pretrained(tmp_path))
    assert again.readout.tokens == scorer.readout.tokens and torch.equal(again.prompt_ids, scorer.prompt_ids)
    for found, expected in zip(*(s.ask([s.prepare(images(kind)[0])]) for s in (again, scorer)), strict=True):
        assert_near(found, expected, 1e-6)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), MplugOwl2Config)


def test_a_device_map_may_leave_parts_on_disk(tmp_path):
    expected = backbone(QALIGN)
    names = ["lm_head", "model.embed_tokens", "model.norm", "model.vision_model", "model.visual_abstractor"]
    names += [f"model.layers.{n}" for n in range(expected.model.config.num_hidden_layers)]
    on_disk = {"model.visual_abstractor", names[-1]}
    model = MplugOwl2Model.from_pretrained(
        QALIGN / CHECKPOINT,
        dtype="float32",
        device_map={name: "disk" if name in on_disk else "cpu" for name in names},
        offload_folder=tmp_path,
    ).eval()
    assert any(weight.is_meta for weight in model.model.visual_abstractor.parameters())
    split = MplugOwl2Backbone(model, expected.processor)
    image = images(QALIGN)[0]
    assert_near(*(s.ask([s.prepare(image)])[1] for s in (split, expected)))


def test_no_layer_is_split_over_devices():
    with torch.device("meta"):
        model = MplugOwl2Model(MplugOwl2Config(num_hidden_layers=4))
    whole = sum(weight.numel() for weight in model.parameters()) * 4
    places = infer_auto_device_map(
        model, {0: whole // 3, 1: whole // 3, "cpu": whole}, no_split_module_classes=model._no_split_modules
    )
    assert len(set(places.values())) > 1
    assert not [name for name in places if re.search(r"layers\.\d+\.", name)]


def test_the_full_size_has_the_published_names_and_shapes():
    patterns = common("full_size_state_dict_patterns.json")
    config = MplugOwl2Config(
        vocab_size=patterns["patterns"]["model.embed_tokens.weight"]["shape"][0], deepmlp_hidden_dims=[2048, 1024]
    )
    with torch.device("meta"):
        model = MplugOwl2Model(config)
    expected = {}
    for pattern, entry in patterns["patterns"].items():
        names = [pattern.format(i=n) for n in range(entry["count"])] if "{i}" in pattern else [pattern]
        expected |= {name: tuple(entry["shape"]) for name in names}
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == expected
    assert sum(p.numel() for p in model.parameters()) == sum(patterns["parameter_counts"].values())
    buffers = {pattern for pattern, entry in patterns["patterns"].items() if entry["buffer"]}
    assert {name.split(".")[-1] for name, _ in model.named_buffers()} == {name.split(".")[-1] for name in buffers}


def test_position_tables_missing_from_a_file_are_computed():
    model = MplugOwl2Model.from_pretrained(BASE, dtype="float32", local_files_only=True)
    reference = tensors(QSCORER / "merged" / "model.safetensors")
    found = dict(model.named_buffers())
    assert len(found) == 2 * len(model.model.visual_abstractor.encoder.layers)
    for name, table in found.items():
        assert_near(table, reference[name], 2.5e-4)  # the file's are rounded to float16
        assert not torch.equal(table, table.half().float())


@pytest.mark.parametrize("name, value", {"rope_scaling": {"type": "linear", "factor": 2}, "hidden_act": "gelu"}.items())
def test_a_config_that_asks_for_another_kind_of_model_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        MplugOwl2Config(**{name: value})


def odd_model() -> MplugOwl2Model:
    """Of shapes that no fixture has: few queries, an odd grid, a regressor with blocks of equal widths."""
    torch.manual_seed(0)
    base = facts(BASE / "config.json")
    vision = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 3}
    abstractor = vision | {"num_learnable_queries": 7, "grid_size": 5, "encoder_hidden_size": 24}
    config = MplugOwl2Config(
        vocab_size=base["vocab_size"] + 5,
        hidden_size=36,
        intermediate_size=50,
        num_hidden_layers=3,
        num_attention_heads=3,
        visual_config={"visual_model": vision | {"image_size": 70}, "visual_abstractor": abstractor},
        deepmlp_hidden_dims=[36, 36, 10],
        score_tokens=[f"<score{n}>" for n in range(1, 6)],
    )
    model = MplugOwl2Model(config).eval()
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    return model


def test_shapes_come_from_the_files(tmp_path):
    expected = odd_model()
    processor = MplugOwl2Processor.from_pretrained(BASE)
    processor.side = expected.config.vision.image_size
    expected.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    found = MplugOwl2Backbone(*load_model(find_layout(tmp_path)))
    assert found.model.config.rows_per_image == 8
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, found.model.state_dict()[name]), name
    batch = [found.prepare(image) for image in images(QSCORER)]
    hidden, _ = found.ask(batch)
    with torch.no_grad():
        direct = expected(torch.cat([p.pixels for p in batch]), found.prompt_ids.expand(len(batch), -1))
    assert_near(hidden, direct.hidden[:, -1])
    assert direct.hidden.shape[1] == len(found.prompt_ids) - 1 + 8


def test_a_regressors_block_of_equal_widths_adds_its_input():
    regressor = odd_model().deepmlp
    rows = torch.randn(4, 36)
    state = regressor.state_dict()
    with torch.no_grad():
        expected = rows
        for n in (0, 1):
            expected = (
                expected + (expected @ state[f"model.{n}.linear.weight"].T + state[f"model.{n}.linear.bias"]).relu()
            )
        expected = (expected @ state["model.2.linear.weight"].T + state["model.2.linear.bias"]).relu()
        expected = (expected @ state["output_layer.weight"].T + state["output_layer.bias"])[:, 0]
        assert_near(regressor(rows), expected)
