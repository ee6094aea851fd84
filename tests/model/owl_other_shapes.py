"""Sets of fixtures like the originals', of any shape: random weights in every published layout, and what tests/model/owl_reference.py
makes of them.

`python -m tests.model.owl_other_shapes FOLDER [SHAPE]` writes one, for MPLUG_OWL2_FIXTURES.
"""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from PIL import Image
from safetensors.torch import save_file

from model.backbones.mplug_owl2 import MplugOwl2Config, MplugOwl2Model
from model.backbones.mplug_owl2_prompts import LEVEL_WORDS, SYSTEM
from model.json_files import write_json
from tests.model.owl_fixtures import PROMPT_NAMES, common, facts
from tests.model.owl_reference import IMAGE_ID, NO_LABEL, State, losses, positions, regressed, whole

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
QUESTIONS = ["How would you rate the quality of this image?", "Rate the quality of this image.", "What is its quality?"]


@dataclass(frozen=True)
class Shape:
    """What a set of fixtures may differ in. pictures: (width, height) of each. tokens: how many score tokens."""

    seed: int
    hidden: int
    heads: int
    layers: int
    vision: tuple[int, int, int]  # width, heads, layers
    side: int
    patch: int
    abstractor: tuple[int, int, int]  # heads, layers, queries
    regressor: tuple[int, ...]
    tokens: int
    pieces: int  # of the vocabulary, without score tokens
    rank: int
    alpha: int
    positions: int
    shards: int
    pictures: tuple[tuple[int, int], ...]
    groups: tuple[tuple[int, ...], ...]

    @property
    def names(self) -> list[str]:
        return [f"<score{n}>" for n in range(1, self.tokens + 1)]


SHAPES = {
    "wide": Shape(
        seed=1,
        hidden=96,
        heads=3,
        layers=3,
        vision=(48, 3, 3),
        side=70,
        patch=14,
        abstractor=(4, 1, 9),
        regressor=(96, 32, 8),
        tokens=7,
        pieces=460,
        rank=4,
        alpha=4,
        positions=1024,
        shards=3,
        pictures=((101, 40), (30, 77), (50, 50), (1, 60)),
        groups=((0,), (1, 2, 3), (3, 0)),
    ),
    "narrow": Shape(
        seed=2,
        hidden=40,
        heads=5,
        layers=1,
        vision=(16, 1, 1),
        side=64,
        patch=8,
        abstractor=(2, 3, 64),
        regressor=(12,),
        tokens=5,
        pieces=430,
        rank=3,
        alpha=16,
        positions=256,
        shards=2,
        pictures=((64, 64), (200, 90)),
        groups=((1,), (0, 1)),
    ),
}


def settings_of(shape: Shape) -> dict:
    """config.json as the originals write it, without what only Q-Scorer's has."""
    width, heads, layers = shape.vision
    to_heads, to_layers, queries = shape.abstractor
    visual_model = {
        "hidden_size": width,
        "intermediate_size": 2 * width + 6,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "image_size": shape.side,
        "patch_size": shape.patch,
        "layer_norm_eps": 1e-6,
        "hidden_act": "quick_gelu",
        "num_channels": 3,
        "model_type": "mplug_owl_vision_model",
    }
    visual_abstractor = {
        "num_learnable_queries": queries,
        "hidden_size": width,
        "num_hidden_layers": to_layers,
        "num_attention_heads": to_heads,
        "intermediate_size": 2 * width - 6,
        "layer_norm_eps": 1e-6,
        "encoder_hidden_size": width,
        "grid_size": shape.side // shape.patch,
        "model_type": "mplug_owl_visual_abstract",
    }
    return {
        "architectures": ["MPLUGOwl2LlamaForCausalLM"],
        "model_type": "mplug_owl2",
        "auto_map": {"AutoConfig": "configuration_mplug_owl2.MPLUGOwl2Config"},
        "vocab_size": shape.pieces,
        "hidden_size": shape.hidden,
        "intermediate_size": 3 * shape.hidden + 2,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "attention_bias": False,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "visual_config": {"visual_model": visual_model, "visual_abstractor": visual_abstractor},
    }


def tokenizer(shape: Shape) -> sentencepiece.SentencePieceProcessor:
    """A sentencepiece model with LLaMA's options, in which each level word and the bare prefix are one piece."""
    texts = [
        prompt["text"].replace("<|image|>", "") for prompt in common("real_tokenizer_facts.json")["prompts"].values()
    ]
    texts += [SYSTEM, *QUESTIONS, *(f"The quality of the image is {word}." for word in LEVEL_WORDS)]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(20 * texts + 400 * [" ".join(LEVEL_WORDS)]),
        model_writer=written,
        vocab_size=shape.pieces,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())


def draw(config: dict, random: torch.Generator) -> State:
    """Weights that let a picture's content reach the score, rounded to float16 as in files."""
    with torch.device("meta"):
        places = MplugOwl2Model(MplugOwl2Config.from_dict(config)).state_dict()
    state = {}
    for name, place in places.items():
        noise = torch.randn(place.shape, generator=random)
        if len(place.shape) > 1:
            state[name] = noise * (0.5 if "embed" in name or "token" in name else place[0].numel() ** -0.5)
        else:
            state[name] = 0.1 * noise + ("norm" in name and name.endswith("weight"))
    return {name: value.half().float() for name, value in state.items()}


def with_positions(state: State, config: dict) -> State:
    """With the position tables that the original training writes into files."""
    settings, filled = config["visual_config"]["visual_abstractor"], dict(state)
    for n in range(settings["num_hidden_layers"]):
        at = f"model.visual_abstractor.encoder.layers.{n}.crossattention.attention"
        for name, table in zip(("q", "k"), positions({}, at, settings), strict=True):
            filled[f"{at}.{name}_pos_embed"] = table.half().float()
    return filled


class Text:
    """The tokenizer with score tokens, as the originals use it."""

    def __init__(self, shape: Shape, names: list[str]):
        self.pieces = tokenizer(shape)
        self.added = {name: shape.pieces + n for n, name in enumerate(names)}

    def prompt(self, text: str) -> list[int]:
        ids = [self.pieces.bos_id()]
        for n, part in enumerate(text.split("<|image|>")):
            ids += [IMAGE_ID] * (n > 0) + self.pieces.encode(part)
        return ids

    def example(self, question: str, answer: str) -> tuple[list[int], list[int]]:
        """Ids and labels of a training conversation whose answer ends with `answer` and a full stop."""
        asked = self.prompt(f"{SYSTEM} USER: <|image|>\n{question} ASSISTANT:")
        said = self.pieces.encode(f"The quality of the image is {answer}.")
        if answer in self.added:
            said = self.pieces.encode("The quality of the image is ") + [self.added[answer], self.inner(".")]
        said = said + [self.pieces.eos_id()]
        return asked + said, [NO_LABEL] * len(asked) + said

    def inner(self, text: str) -> int:
        """The id of a piece that stands within a word."""
        return self.pieces.piece_to_id(text)


def pixels_of(picture: Image.Image, side: int) -> tuple[Image.Image, torch.Tensor]:
    """The picture padded to a square, and what the model sees of it."""
    longer = max(picture.size)
    square = Image.new("RGB", (longer, longer), tuple(int(255 * m) for m in MEAN))
    square.paste(picture, ((longer - picture.width) // 2, (longer - picture.height) // 2))
    seen = np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64) * (1 / 255)
    seen = (seen.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    return square, torch.from_numpy(seen).permute(2, 0, 1).contiguous()


def write_pictures(folder: Path, shape: Shape, count: int, name: str) -> list[Image.Image]:
    random = np.random.default_rng(shape.seed)
    pictures = []
    for n in range(count):
        width, height = shape.pictures[n % len(shape.pictures)]
        colours = random.integers(0, 256, (5, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name.format(n))
        pictures.append(picture)
    return pictures


def write_folder(folder: Path, shape: Shape, config: dict, text: Text, old_sizes: bool = False) -> None:
    """What lies beside the weights."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)
    (folder / "tokenizer.model").write_bytes(text.pieces.serialized_model_proto())
    if text.added:
        write_json(folder / "added_tokens.json", text.added)
    side = shape.side
    sizes = {"size": side, "crop_size": side} if old_sizes else {
        "size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}
    }  # fmt: skip
    write_json(folder / "preprocessor_config.json", sizes | {"image_mean": MEAN, "image_std": STD, "resample": 3})


def halved(state: State) -> State:
    return {name: value.half().contiguous() for name, value in state.items()}


def save_shards(folder: Path, state: State, count: int, name: str) -> None:
    """.bin shards with an index; `name` as the original program calls them."""
    names, places = list(state), {}
    for n in range(count):
        part = {key: state[key] for key in names[n::count]}
        places |= dict.fromkeys(part, name.format(n + 1, count))
        torch.save(halved(part), folder / name.format(n + 1, count))
    write_json(folder / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": places})


def write_checkpoints(kind: Path, shape: Shape, config: dict, state: State, text: Text) -> None:
    write_folder(kind / "checkpoint_safetensors", shape, config, text)
    save_file(halved(state), kind / "checkpoint_safetensors" / "model.safetensors", {"format": "pt"})
    write_folder(kind / "checkpoint_bin", shape, config, text)
    save_shards(kind / "checkpoint_bin", state, shape.shards, "pytorch_model-{:05}-of-{:05}.bin")


def at_the_end(state: State, config: dict, pixels: torch.Tensor, ids: list[int]) -> State:
    """The taps of a forward, in float32, as numbers that can be kept."""
    with torch.no_grad():
        taps = whole(state, config, pixels, ids)
    del taps["logits"]
    return {name: tensor.contiguous() for name, tensor in taps.items()}


def write_prompts(kind: Path, text: Text, names: list[str]) -> dict[str, list[int]]:
    from model.backbones.mplug_owl2_prompts import prompt_text

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
    pictures = write_pictures(folder / "images", shape, len(answers), "h{}.png")
    scores = [0.5 + 4 * n / len(answers) for n in range(len(answers))]
    for n, (picture, answer) in enumerate(zip(pictures, answers, strict=True)):
        question = QUESTIONS[n % len(QUESTIONS)]
        turns = [
            {"from": "human", "value": f"{question}\n<|image|>"},
            {"from": "gpt", "value": f"The quality of the image is {answer}."},
        ]
        samples.append({"image": f"images/h{n}.png", "gt_score": scores[n], "conversations": turns})
        examples.append(text.example(question, answer))
        pixels.append(pixels_of(picture, shape.side)[1])
    length = max(len(ids) for ids, _ in examples)
    batch = {
        "input_ids": torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in examples]),
        "labels": torch.tensor([labels + [NO_LABEL] * (length - len(labels)) for _, labels in examples]),
        "images": torch.stack(pixels)[:, None],
    }
    batch |= {"gt_scores": torch.tensor(scores)} if text.added else {}
    write_json_list(folder / "meta.json", samples)
    save_file(batch, folder / "batch.safetensors")
    return batch


def write_json_list(path: Path, content: list) -> None:
    path.write_text(json.dumps(content))


def write_expanded(folder: Path, state: State, config: dict, batch: State) -> None:
    """What the batch is once the pictures' rows stand in it."""
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


LORA = ("model.layers.{}.self_attn.q_proj", "model.layers.{}.self_attn.v_proj.multiway.1")
TRAINED = ("model.vision_model.", "model.visual_abstractor.", "lm_head.", "deepmlp.")
PEFT = "base_model.model."


def draw_lora(shape: Shape, state: State, random: torch.Generator) -> State:
    """A and B of every target, by the names that PEFT gives them."""
    update = {}
    for n in range(shape.layers):
        for target in LORA:
            out, width = state[target.format(n) + ".weight"].shape
            a, b = (torch.randn(size, generator=random) for size in ((shape.rank, width), (out, shape.rank)))
            update[f"{PEFT}{target.format(n)}.lora_A.weight"] = (a * width**-0.5).half().float()
            update[f"{PEFT}{target.format(n)}.lora_B.weight"] = (b * 0.1).half().float()
    return update


def with_lora(shape: Shape, state: State, update: State) -> State:
    merged = dict(state)
    for key in [key for key in update if ".lora_A." in key]:
        name = key.removeprefix(PEFT).replace(".lora_A.", ".")
        merged[name] = merged[name] + shape.alpha / shape.rank * (update[key.replace("lora_A", "lora_B")] @ update[key])
    return merged


def write_lora_reference(
    kind: Path, shape: Shape, config: dict, state: State, update: State, batch: State, ids
) -> None:
    """The loss with the adapter attached to the whole model, and the norms of the gradients of what is then trained."""
    trained = {name: state[name] for name in state if name.startswith(TRAINED) and "_pos_embed" not in name}
    leaves = {name: value.clone().requires_grad_() for name, value in (trained | update).items()}
    loss = sum(losses(with_lora(shape, state | leaves, {key: leaves[key] for key in update}), config, batch, ids))
    loss.backward()
    names = {key: key.replace(".weight", ".default.weight") if ".lora_" in key else PEFT + key for key in leaves}
    reference = {
        "r": shape.rank,
        "alpha": shape.alpha,
        "scaling": shape.alpha / shape.rank,
        "targets": [target.format(n) for n in range(shape.layers) for target in LORA],
        "trainable": list(names.values()),
        "loss_eval_mode": loss.item(),
        "grad_norms": {names[key]: leaf.grad.norm().item() for key, leaf in leaves.items()},
    }
    write_json(kind / "training" / "lora_reference.json", reference)


def write_adapters(kind: Path, shape: Shape, config: dict, state: State, text: Text, random: torch.Generator) -> State:
    """base_mplug_owl2, adapter, adapter_fulldump, merged, and what the original programs would have made of them; gives the LoRA."""
    bare = {
        name: value for name, value in state.items() if not name.startswith("deepmlp.") and "_pos_embed" not in name
    }
    base = dict(bare)
    for name, value in bare.items():
        if name.startswith(("model.vision_model.", "model.visual_abstractor.", "model.embed_tokens.", "lm_head.")):
            base[name] = value + 0.1 * torch.randn(value.shape, generator=random)
    base = {name: value.half().float() for name, value in base.items()}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        base[name] = base[name][: shape.pieces]
    rotary = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(4) for n in range(shape.layers)}
    known = {"score_token_id", "score_tokens", "deepmlp_hidden_dims", "auto_map"}
    old = {name: value for name, value in config.items() if name not in known}
    write_folder(kind / "base_mplug_owl2", shape, old | {"vocab_size": shape.pieces}, Text(shape, []), old_sizes=True)
    save_shards(kind / "base_mplug_owl2", base | rotary, shape.shards, "pytorch_model-{}-of-{}.bin")

    update = draw_lora(shape, state, random)
    targets = [target.format(n) for n in range(shape.layers) for target in LORA]
    adapter_config = {
        "peft_type": "LORA",
        "r": shape.rank,
        "lora_alpha": shape.alpha,
        "lora_dropout": 0.05,
        "bias": "none",
    }
    adapter_config |= {
        "target_modules": targets,
        "base_model_name_or_path": "base_mplug_owl2",
        "task_type": "CAUSAL_LM",
    }
    other = {name: value for name, value in state.items() if "_pos_embed" not in name}
    trained = {name: value for name, value in other.items() if name.startswith((*TRAINED, "model.embed_tokens."))}
    for folder, settings, kept in (("adapter", config, trained), ("adapter_fulldump", old, other)):
        (kind / folder).mkdir()
        write_json(kind / folder / "config.json", settings)
        write_json(kind / folder / "adapter_config.json", adapter_config)
        torch.save(halved(update), kind / folder / "adapter_model.bin")
        torch.save(
            halved({PEFT + name: value for name, value in kept.items()}), kind / folder / "non_lora_trainables.bin"
        )

    merged = with_lora(shape, state, update)
    rounded = {name: value.half().float() for name, value in merged.items()}
    write_folder(kind / "merged", shape, config, text)
    save_file(halved(rounded), kind / "merged" / "model.safetensors", {"format": "pt"})
    ids = text.prompt(facts(kind / "inputs" / "prompts.json")["scorer_newline"]["text"]) + [text.inner("▁")]
    pixels = pixels_in(kind, shape)
    found = [regressed(s, at_the_end(s, config, pixels, ids)["hidden_last"]).tolist() for s in (merged, rounded)]
    outputs = {"unmerged_fp32_peft_forward": {"mlp_out_raw": found[0]}}
    for folder in ("adapter", "adapter_fulldump"):
        outputs[f"merged_by_original_script_from_{folder}"] = {"fp32_eval_of_fp16_merged": {"mlp_out_raw": found[1]}}
    write_json(kind / "adapter_outputs.json", outputs)
    return update


def pixels_in(kind: Path, shape: Shape) -> torch.Tensor:
    pictures = [Image.open(path).convert("RGB") for path in sorted((kind / "inputs").glob("image_*.png"))]
    return torch.stack([pixels_of(picture, shape.side)[1] for picture in pictures])


def write_inputs(kind: Path, shape: Shape) -> torch.Tensor:
    for n, picture in enumerate(write_pictures(kind / "inputs", shape, len(shape.pictures), "image_{}.png")):
        pixels_of(picture, shape.side)[0].save(kind / "inputs" / f"square_{n}.png")
    return pixels_in(kind, shape)


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

    activations, outputs = {"pixel_values": pixels}, {"score_token_ids": ids, "per_prompt": {}}
    for name, prompt in prompts.items():
        steps = [at_the_end(state, config, pixels, prompt + [prefix] * step) for step in (0, 1)]
        said = [taps["logits.last"].argmax(-1).tolist() for taps in steps]
        assert set(said[0]) == {prefix}
        closed, last = steps[1]["logits.last"][:, ids], steps[1]["logits.last"]
        raw = regressed(state, steps[1]["hidden_last"])
        words = {n: word for word, n in text.added.items()}
        outputs["per_prompt"][name] = {
            **{f"step{n}_argmax": row for n, row in enumerate(said)},
            **{
                f"step{n}_argmax_token": [words[i] if i in words else text.pieces.id_to_piece(i) for i in row]
                for n, row in enumerate(said)
            },
            "step1_score_logits_1to5": closed.tolist(),
            "step1_score_probs_closed_1to5": closed.softmax(-1).tolist(),
            "step1_score_prob_mass_open": last.softmax(-1)[:, ids].sum(-1).tolist(),
            "mlp_out_raw": raw.tolist(),
            "mlp_out_clamped_0_5": raw.clamp(0, 5).tolist(),
        }
        if name == "scorer_newline":
            outputs["original_score_method_fp32"] = raw.clamp(0, 5).tolist()
            for n, taps in enumerate(steps):
                activations |= {f"step{n}.{tap}": value for tap, value in taps.items()}
            activations |= {"mlp.input": steps[1]["hidden_last"].clone(), "mlp.output_raw": raw.contiguous()}
    save_file(activations, kind / "activations.safetensors")
    write_json(kind / "outputs.json", outputs)

    batch = write_training(kind, shape, config, state, text, [shape.names[n] for n in (3, 0, 4)])
    write_expanded(kind / "training", state, config, batch)
    cross_entropy, squares, norms = gradients(state, config, batch, ids)
    far = state | {"deepmlp.output_layer.bias": state["deepmlp.output_layer.bias"] + 2.5}
    *clamped, far_norms = gradients(far, config, batch, ids)
    regressed_at = [
        regressed(state, whole(state, config, image, row)["llm.final_norm"][0, place - 1])
        for image, row, place in label_places(batch, ids, config)
    ]
    reference = {
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
    write_json(kind / "training" / "reference.json", reference)
    update = write_adapters(kind, shape, config, state, text, random)
    write_lora_reference(kind, shape, config, state, update, batch, ids)


def label_places(batch: State, ids: list[int], config: dict):
    """Picture, prompt and place in the expanded sequence of each score token that is a label."""
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
