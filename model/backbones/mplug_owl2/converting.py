"""Converts mPLUG-Owl2 from any published layout to safetensors: a complete model, or an adapter's differences from its base."""

from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.backbones.mplug_owl2.layouts import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CONVERTED,
    IGNORED,
    NON_LORA,
    WEIGHTS,
    Layout,
    Piece,
    find_layout,
    fingerprint,
)
from model.backbones.mplug_owl2.loading import check_fit, complete_config, empty_model, load_model, load_processor
from model.backbones.mplug_owl2.processor import ADDED
from model.common.errors import ModelLoadError
from model.common.json_files import read_json, write_json
from model.common.lfs import pointers_named
from model.common.new_folder import new_folder

SHARD = 2 * 10**9  # bytes; one shard at a time is in memory
PARTS = {
    "model.vision_model": "vision encoder",
    "model.visual_abstractor": "abstractor",
    "model.embed_tokens": "embeddings",
    "lm_head": "lm_head",
    "deepmlp": "regressor",
    "model": "rest of the LLM",
}


def convert(source: Path, out: Path, base: Path | None = None, merge: bool = False) -> str:
    """Convert `source` to the new folder `out`, and return a summary of what was written, with sizes. merge: an adapter is
    merged into its base, and the whole is written in the published layout of complete models.

    Raises ModelLoadError when `source` has an unknown layout or is an adapter without its base, or `out` exists or cannot be written.
    """
    with pointers_named(source, base):
        return _convert(source, out, base, merge)


def _convert(source: Path, out: Path, base: Path | None, merge: bool) -> str:
    if not base and (source / ADAPTER_CONFIG).is_file():
        raise ModelLoadError(f"{source} is an adapter and needs its base: add --base BASE, the base's folder.")
    layout = find_layout(source, base)
    if base and not layout.lora:
        raise ModelLoadError(f"{source} is a complete model and needs no base: omit --base.")
    processor = load_processor(layout)
    config = complete_config(layout, processor)
    check_fit(layout, empty_model(config), processor)
    with new_folder(out, ModelLoadError, "free some space there, or choose another OUT") as folder:
        config.dtype = layout.pieces["lm_head.weight"][-1].read().dtype
        config.save_pretrained(folder)
        processor.save_pretrained(folder)
        if layout.lora and merge:
            return write_merged(layout, folder)
        if layout.lora:
            return write_adapter(layout, folder)
        return write_model(layout, empty_model(config), folder)


def write_model(layout: Layout, model: torch.nn.Module, folder: Path) -> str:
    """Write all tensors of a complete model, in their dtypes, in shards of at most SHARD bytes."""
    tables = {
        f"{path}.{name}": table
        for path, module in model.named_modules()
        if hasattr(module, "computed_positions")
        for name, table in module.computed_positions().items()
        if f"{path}.{name}" not in layout.pieces
    }
    shards, sizes = [{}], [0]
    for name, pieces in layout.pieces.items():
        if IGNORED.search(name):
            continue
        size = pieces[0].nbytes
        if sizes[-1] + size > SHARD and shards[-1]:
            shards.append({})
            sizes.append(0)
        shards[-1][name] = pieces[0]
        sizes[-1] += size
    names = [f"{WEIGHTS}-{n:05}-of-{len(shards):05}.safetensors" for n in range(1, len(shards) + 1)]
    if len(shards) == 1:
        names = [f"{WEIGHTS}.safetensors"]
    places = {}
    for n, (file, shard) in enumerate(zip(names, shards, strict=True)):
        tensors = {name: piece.read().contiguous() for name, piece in shard.items()} | (tables if n == 0 else {})
        save_file(tensors, folder / file, {"format": "pt"})
        places |= dict.fromkeys(tensors, file)
    if len(shards) > 1:
        index = {"metadata": {"total_size": sum(sizes)}, "weight_map": places}
        write_json(folder / f"{WEIGHTS}.safetensors.index.json", index)
    computed = f", {len(tables)} position tables computed" if tables else ""
    return f"{layout.name}: {len(places)} tensors, {megabytes(sum(sizes))}{computed}."


def write_merged(layout: Layout, folder: Path) -> str:
    """Write the base with the LoRA and all other differences in it, in the dtype of the base's lm_head, as one complete model."""
    dtype = layout.under["lm_head.weight"][-1].read().dtype
    model, processor = load_model(layout, dtype)
    if model.config.hyper_units:
        raise ModelLoadError("the original program has no hyper network: this adapter cannot be merged for it.")
    if model.deepmlp is not None:
        model.config.score_token_id = [processor.token_id(token) for token in reversed(model.config.score_tokens)]
        write_json(folder / ADDED, processor.added_tokens)
    model.save_pretrained(folder, max_shard_size=SHARD)
    config = read_json(folder / "config.json") | {"architectures": ["MPLUGOwl2LlamaForCausalLM"]}
    write_json(folder / "config.json", config)
    return f"{layout.name}, merged: {megabytes(sum(tensor.nbytes for tensor in model.state_dict().values()))}."


def write_adapter(layout: Layout, folder: Path) -> str:
    """Write the LoRA and the differences from the base: whole tensors, or the new rows of a table that only grew."""
    from peft import LoraConfig

    lora = layout.lora
    LoraConfig(
        r=lora.config["r"],
        lora_alpha=lora.config["lora_alpha"],
        lora_dropout=lora.config.get("lora_dropout", 0.0),
        target_modules=[name.removesuffix(".weight") for name in lora.pairs],
        base_model_name_or_path=layout.base.resolve().name,
        inference_mode=True,
    ).save_pretrained(folder)
    updates = {
        f"base_model.model.{name.removesuffix('.weight')}.lora_{side}.weight": piece.read().contiguous()
        for name, pair in lora.pairs.items()
        for side, piece in zip("AB", pair, strict=True)
    }
    save_file(updates, folder / f"{ADAPTER_WEIGHTS}.safetensors", {"format": "pt"})
    kept = {}
    for name, pieces in layout.pieces.items():
        if not IGNORED.search(name):
            kept |= difference(name, pieces, layout.under.get(name))
    save_file(kept, folder / f"{NON_LORA}.safetensors", {"format": "pt"})
    write_json(folder / CONVERTED, {"from": layout.name, "base": fingerprint(layout.under)})
    return summary(layout.name, updates, kept)


def difference(name: str, pieces: list[Piece], base: list[Piece] | None) -> dict[str, torch.Tensor]:
    """The part of a tensor to keep: nothing if it equals the base's, rounded to its own dtype; only the new rows if it grew."""
    if base and pieces == base:
        return {}
    value = torch.cat([piece.read() for piece in pieces]).contiguous()
    if not base:
        return {name: value}
    old = base[0].read().to(value.dtype)
    if value.shape == old.shape and torch.equal(value, old):
        return {}
    if value.shape[1:] == old.shape[1:] and len(value) > len(old) and torch.equal(value[: len(old)], old):
        return {f"{name}[{len(old)}:]": value[len(old) :].clone()}
    return {name: value}


def summary(name: str, updates: dict[str, torch.Tensor], kept: dict[str, torch.Tensor]) -> str:
    """The contents of an adapter, with sizes."""
    sizes = defaultdict(int, LoRA=sum(tensor.nbytes for tensor in updates.values()))
    for key, tensor in kept.items():
        part = next(words for start, words in PARTS.items() if key.startswith(start))
        sizes[part + " (new rows)" * key.endswith("]")] += tensor.nbytes
    parts = ", ".join(f"{part} {megabytes(size)}" for part, size in sizes.items())
    return f"{name}: kept {megabytes(sum(sizes.values()))} that differ from the base ({parts})."


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"
