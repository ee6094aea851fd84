"""Sets of fixtures like the originals', of any shape: random weights in every published layout, and what tests/model/owl_reference.py
makes of them.

`python -m tests.model.owl_other_shapes FOLDER [SHAPE]` writes one, for MPLUG_OWL2_FIXTURES.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.backbones.mplug_owl2.prompts import prompt_text
from model.common.json_files import write_json
from model.readouts.levels import LEVEL_WORDS
from tests.model.owl_adapters import write_adapters, write_lora_reference
from tests.model.owl_files import write_checkpoints, write_images, write_inputs
from tests.model.owl_fixtures import PROMPT_NAMES
from tests.model.owl_reference import NO_LABEL, State, at_the_end, losses, regressed, whole
from tests.model.owl_shapes import QUESTIONS, SHAPES, Shape, Text, draw, pixels_of, settings_of, with_positions


def write_prompts(kind: Path, text: Text, names: list[str]) -> dict[str, list[int]]:
    texts = {name: prompt_text(*PROMPT_NAMES[name]) for name in names}
    prompts = {name: {"text": words, "input_ids": text.prompt(words)} for name, words in texts.items()}
    write_json(kind / "inputs" / "prompts.json", prompts)
    return {name: prompt["input_ids"] for name, prompt in prompts.items()}


def levels_of(logits: torch.Tensor, level_ids: list[int]) -> dict:
    """What the originals' outputs.json says of logits [B, V]; ids and lists from excellent to bad."""
    closed = logits[:, level_ids].softmax(-1)
    weights = torch.tensor([5.0, 4, 3, 2, 1])
    return {
        "level_logits": logits[:, level_ids].tolist(),
        "level_probs": closed.tolist(),
        "openset_level_prob_mass": logits.softmax(-1)[:, level_ids].sum(-1).tolist(),
        "score_1to5": (closed @ weights).tolist(),
        "score_0to1": (closed @ ((weights - 1) / 4)).tolist(),
    }


def write_training(kind: Path, shape: Shape, config: dict, state: State, text: Text, answers: list[str]) -> dict:
    """training/ of a kind; gives the batch."""
    folder, samples, examples, pixels = kind / "training", [], [], []
    images = write_images(folder / "images", shape, len(answers), "h{}.png")
    scores = [0.5 + 4 * n / len(answers) for n in range(len(answers))]
    for n, (image, answer) in enumerate(zip(images, answers, strict=True)):
        question = QUESTIONS[n % len(QUESTIONS)]
        turns = [
            {"from": "human", "value": f"{question}\n<|image|>"},
            {"from": "gpt", "value": f"The quality of the image is {answer}."},
        ]
        samples.append({"image": f"images/h{n}.png", "gt_score": scores[n], "conversations": turns})
        examples.append(text.example(question, answer))
        pixels.append(pixels_of(image, shape.side)[1])
    length = max(len(ids) for ids, _ in examples)
    batch = {
        "input_ids": torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in examples]),
        "labels": torch.tensor([labels + [NO_LABEL] * (length - len(labels)) for _, labels in examples]),
        "images": torch.stack(pixels)[:, None],
    }
    batch |= {"gt_scores": torch.tensor(scores)} if text.added else {}
    write_json(folder / "meta.json", samples)
    save_file(batch, folder / "batch.safetensors")
    return batch


def write_expanded(folder: Path, state: State, config: dict, batch: State) -> None:
    """What the batch is once the images' rows stand in it."""
    rows, real, kinds = [], [], []
    with torch.no_grad():
        for ids, image in zip(batch["input_ids"].tolist(), batch["images"], strict=True):
            taps = whole(state, config, image, ids)
            rows.append(taps["llm.inputs_embeds"][0])
            kinds.append(taps["llm.modality_indicators"][0])
            real.append(torch.arange(len(rows[-1])) < len(rows[-1]) - ids.count(0))
    expanded = {"inputs_embeds": rows, "attention_mask": real, "modality_indicators": kinds}
    expanded = {name: torch.stack(parts).contiguous() for name, parts in expanded.items()}
    save_file(expanded | {"attention_mask": expanded["attention_mask"].long()}, folder / "expanded.safetensors")


def gradients(state: State, config: dict, batch: State, ids: list[int]) -> tuple[float, float, dict[str, float]]:
    """Cross-entropy, squared error, and the norm of the gradient of their sum by name."""
    leaves = {name: value.clone().requires_grad_(not name.endswith("pos_embed")) for name, value in state.items()}
    parts = losses(leaves, config, batch, ids)
    sum(parts).backward()
    norms = {name: leaf.grad.norm().item() for name, leaf in leaves.items() if leaf.grad is not None}
    return *(part.item() for part in parts), norms


def trajectory(state: State, config: dict, batch: State, ids: list[int]) -> list[float]:
    """The loss before each of six steps of plain AdamW."""
    leaves = {name: value.clone().requires_grad_(not name.endswith("pos_embed")) for name, value in state.items()}
    optimizer = torch.optim.AdamW([leaf for leaf in leaves.values() if leaf.requires_grad], lr=1e-3, weight_decay=0)
    found = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = sum(losses(leaves, config, batch, ids))
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def write_qscorer(kind: Path, shape: Shape) -> None:
    random = torch.Generator().manual_seed(shape.seed)
    text = Text(shape, shape.names)
    ids = list(text.added.values())
    config = settings_of(shape) | {
        "vocab_size": shape.pieces + shape.tokens,
        "deepmlp_hidden_dims": list(shape.regressor),
        "score_tokens": shape.names,
        "score_token_id": ids[::-1],
    }
    pixels = write_inputs(kind, shape)
    prompts = write_prompts(kind, text, ["scorer_newline", "evalscript_space"])
    state = with_positions(draw(config, random), config)
    state["deepmlp.output_layer.bias"] = (state["deepmlp.output_layer.bias"] + 2.5).half().float()
    prefix = text.inner("▁")
    hidden = torch.cat([at_the_end(state, config, pixels, prompt)["hidden_last"] for prompt in prompts.values()])
    direction = hidden.mean(0)  # a trained model says the bare prefix first
    state["lm_head.weight"][prefix] = (40 * direction / direction.square().sum()).half().float()
    write_checkpoints(kind, shape, config, state, text)

    activations, answers = {"pixel_values": pixels}, {}
    for name, prompt in prompts.items():
        steps = [at_the_end(state, config, pixels, prompt + [prefix] * step) for step in (0, 1)]
        answers[name], raw = answered(state, text, steps)
        if name == "scorer_newline":
            first_answer = raw.clamp(0, 5).tolist()
            for n, taps in enumerate(steps):
                activations |= {f"step{n}.{tap}": value for tap, value in taps.items()}
            activations |= {"mlp.input": steps[1]["hidden_last"].clone(), "mlp.output_raw": raw.contiguous()}
    save_file(activations, kind / "activations.safetensors")
    outputs = {"score_token_ids": ids, "per_prompt": answers, "original_score_method_fp32": first_answer}
    write_json(kind / "outputs.json", outputs)

    batch = write_training(kind, shape, config, state, text, [shape.names[n] for n in (3, 0, 4)])
    write_expanded(kind / "training", state, config, batch)
    write_json(kind / "training" / "reference.json", taught(state, config, batch, ids))
    update = write_adapters(kind, shape, config, state, text, random)
    write_lora_reference(kind, shape, config, state, update, batch, ids)


def answered(state: State, text: Text, steps: list[State]) -> tuple[dict, torch.Tensor]:
    """What the originals' outputs.json says of a prompt whose two greedy steps gave these taps; and the raw scores."""
    ids, words = list(text.added.values()), {n: word for word, n in text.added.items()}
    said = [taps["logits.last"].argmax(-1).tolist() for taps in steps]
    assert set(said[0]) == {text.inner("▁")}
    last = steps[1]["logits.last"]
    raw = regressed(state, steps[1]["hidden_last"])
    found = {
        "step1_score_logits_1to5": last[:, ids].tolist(),
        "step1_score_probs_closed_1to5": last[:, ids].softmax(-1).tolist(),
        "step1_score_prob_mass_open": last.softmax(-1)[:, ids].sum(-1).tolist(),
        "mlp_out_raw": raw.tolist(),
        "mlp_out_clamped_0_5": raw.clamp(0, 5).tolist(),
    }
    for n, row in enumerate(said):
        found[f"step{n}_argmax"] = row
        found[f"step{n}_argmax_token"] = [words.get(i) or text.pieces.id_to_piece(i) for i in row]
    return found, raw


def taught(state: State, config: dict, batch: State, ids: list[int]) -> dict:
    """Q-Scorer's training/reference.json: losses, gradients, and where training goes."""
    cross_entropy, squares, norms = gradients(state, config, batch, ids)
    far = state | {"deepmlp.output_layer.bias": state["deepmlp.output_layer.bias"] + 2.5}
    *clamped, far_norms = gradients(far, config, batch, ids)
    regressed_at = [
        regressed(state, whole(state, config, image, row)["llm.final_norm"][0, place - 1])
        for image, row, place in label_places(batch, ids, config)
    ]
    return {
        "loss_as_returned": cross_entropy + squares,
        "cross_entropy": cross_entropy,
        "mse_sum_over_batch": squares,
        "mlp_raw_at_label_positions": [value.item() for value in regressed_at],
        "supervised_token_counts": (batch["labels"] != NO_LABEL).sum(1).tolist(),
        "weight_next_token_in_script": 0.05,
        "weighted_total_as_in_forward_input_type_single": 0.05 * (cross_entropy + squares),
        "grad_norms_all_params_trainable": norms,
        "clamp_case(output_bias += 2.5)": {
            "loss": sum(clamped),
            "deepmlp_grad_norms": {name: norm for name, norm in far_norms.items() if name.startswith("deepmlp.")},
        },
        "adamw_lr1e-3_loss_trajectory(unweighted returned loss)": trajectory(state, config, batch, ids),
    }


def label_places(batch: State, ids: list[int], config: dict):
    """Image, prompt and place in the expanded sequence of each score token that is a label."""
    rows = config["visual_config"]["visual_abstractor"]["num_learnable_queries"]
    for image, row, labels in zip(batch["images"], batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        for place, label in enumerate(labels):
            if label in ids:
                yield image, row, place + rows


def write_qalign(kind: Path, shape: Shape) -> None:
    random = torch.Generator().manual_seed(shape.seed + 100)
    text, config = Text(shape, []), settings_of(shape)
    pixels = write_inputs(kind, shape)
    level_ids = [text.pieces.encode(word)[0] for word in reversed(LEVEL_WORDS)]
    prompts = write_prompts(kind, text, [name for name in PROMPT_NAMES if name != "evalscript_space"])
    state = with_positions(draw(config, random), config)
    write_checkpoints(kind, shape, config, state, text)
    outputs, video = {"per_prompt": {}, "video": {}, "video_groups": [list(group) for group in shape.groups]}, []
    for name, prompt in prompts.items():
        if "video" in name:
            clips = [at_the_end(state, config, pixels[list(group)][None], prompt) for group in shape.groups]
            found = [levels_of(taps["logits.last"], level_ids) for taps in clips]
            outputs["video"][name] = [{key: value[0] for key, value in clip.items()} for clip in found]
            video = [clip["score_1to5"][0] for clip in found] if name.startswith("github") else video
            continue
        taps = at_the_end(state, config, pixels, prompt)
        outputs["per_prompt"][name] = levels_of(taps["logits.last"], level_ids)
        if name == "scorer_newline":
            kept = {f"step0.{tap}": value for tap, value in taps.items()}
            save_file(kept | {"pixel_values": pixels}, kind / "activations.safetensors")
    outputs["original_score_method_fp32"] = {"quality": {"video_each": video}}
    write_json(kind / "outputs.json", outputs)
    batch = write_training(kind, shape, config, state, text, ["good", "bad", "excellent", "fair"])
    write_expanded(kind / "training", state, config, batch)
    cross_entropy, _, norms = gradients(state, config, batch, [])
    reference = {
        "loss_as_returned": cross_entropy,
        "grad_norms_all_params_trainable": norms,
        "adamw_lr1e-3_loss_trajectory": trajectory(state, config, batch, []),
    }
    write_json(kind / "training" / "reference.json", reference)


def write_set(folder: Path, shape: Shape) -> None:
    """A whole set of fixtures, but for DeQA-Score's."""
    write_qscorer(folder / "qscorer_tiny", shape)
    write_qalign(folder / "qalign_tiny", shape)


if __name__ == "__main__":
    write_set(Path(sys.argv[1]), SHAPES[sys.argv[2]])
