"""Q-Scorer's LoRA in a set of fixtures: the base, both published forms of the adapter, the merged model, and what a plain reference makes
of each."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from model.common.json_files import write_json
from tests.model.owl_files import halved, pixels_in, save_shards, write_folder
from tests.model.owl_fixtures import facts
from tests.model.owl_reference import State, at_the_end, losses, regressed
from tests.model.owl_shapes import Shape, Text

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
    known = {"score_token_id", "score_tokens", "deepmlp_hidden_dims", "auto_map"}
    old = {name: value for name, value in config.items() if name not in known}
    write_base(kind / "base_mplug_owl2", shape, old, state, random)

    update = draw_lora(shape, state, random)
    adapter_config = {
        "peft_type": "LORA",
        "r": shape.rank,
        "lora_alpha": shape.alpha,
        "lora_dropout": 0.05,
        "bias": "none",
        "target_modules": [target.format(n) for n in range(shape.layers) for target in LORA],
        "base_model_name_or_path": "base_mplug_owl2",
        "task_type": "CAUSAL_LM",
    }
    other = {name: value for name, value in state.items() if "_pos_embed" not in name}
    trained = {name: value for name, value in other.items() if name.startswith((*TRAINED, "model.embed_tokens."))}
    for name, settings, kept in (("adapter", config, trained), ("adapter_fulldump", old, other)):
        folder = kind / name
        folder.mkdir()
        write_json(folder / "config.json", settings)
        write_json(folder / "adapter_config.json", adapter_config)
        torch.save(halved(update), folder / "adapter_model.bin")
        torch.save(halved({PEFT + name: value for name, value in kept.items()}), folder / "non_lora_trainables.bin")

    merged = with_lora(shape, state, update)
    rounded = {name: value.half().float() for name, value in merged.items()}
    write_folder(kind / "merged", shape, config, text)
    save_file(halved(rounded), kind / "merged" / "model.safetensors", {"format": "pt"})
    ids = text.prompt(facts(kind / "inputs" / "prompts.json")["scorer_newline"]["text"]) + [text.inner("▁")]
    pixels = pixels_in(kind, shape)
    found = [regressed(s, at_the_end(s, config, pixels, ids)["hidden_last"]).tolist() for s in (merged, rounded)]
    outputs = {"unmerged_fp32_peft_forward": {"mlp_out_raw": found[0]}}
    for name in ("adapter", "adapter_fulldump"):
        outputs[f"merged_by_original_script_from_{name}"] = {"fp32_eval_of_fp16_merged": {"mlp_out_raw": found[1]}}
    write_json(kind / "adapter_outputs.json", outputs)
    return update


def write_base(folder: Path, shape: Shape, config: dict, state: State, random: torch.Generator) -> None:
    """The model before it was trained: without score tokens, regressor and position tables, and with other weights where training moved
    them."""
    base = {
        name: value for name, value in state.items() if not name.startswith("deepmlp.") and "_pos_embed" not in name
    }
    for name, value in base.items():
        if name.startswith(("model.vision_model.", "model.visual_abstractor.", "model.embed_tokens.", "lm_head.")):
            base[name] = (value + 0.1 * torch.randn(value.shape, generator=random)).half().float()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        base[name] = base[name][: shape.pieces]
    rotary = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(4) for n in range(shape.layers)}
    write_folder(folder, shape, config | {"vocab_size": shape.pieces}, Text(shape, []), old_sizes=True)
    save_shards(folder, base | rotary, shape.shards, "pytorch_model-{}-of-{}.bin")
