"""Detects which of the published layouts of mPLUG-Owl2 a folder has, from its files, never from its name.

    base       pytorch_model-*.bin with an index; no position tables                          mplug-owl2-llama2-7b
    full       all weights in .bin or safetensors, in shards or not                           one-align, DeQA-Score, Q-Scorer merged
    LoRA       adapter_config.json, adapter_model.{bin,safetensors}, and beside them
               non_lora_trainables.{bin,safetensors}: every other parameter, or those         Q-Scorer LoRA, DeQA-Score LoRA,
               that were trained; needs the folder of a base                                  what model.convert makes of them

A layout lists, for each tensor of the model, the pieces in files that it is assembled from. Only names and shapes are read at first.

transformers' from_pretrained loads complete models with the same result (tried on the fixtures), but not the published LoRAs: it and
PEFT do not read non_lora_trainables, append rows ("NAME[start:]"), or merge one tensor at a time in float32. Since these need this module,
complete models are loaded by it, too.
"""

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from model.backbones.weight_files import WeightFile, open_weights
from model.common.errors import ModelLoadError
from model.common.json_files import read_json

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
CONVERTED = "converted.json"  # beside an adapter that model.convert wrote: identifies its base
WEIGHTS, BIN_WEIGHTS, ADAPTER_WEIGHTS, NON_LORA = "model", "pytorch_model", "adapter_model", "non_lora_trainables"
BASE = "mPLUG-Owl2 base"
IGNORED = re.compile(r"rotary_emb\.inv_freq$")  # always computed
POSITIONS = re.compile(r"\.(q|k)_pos_embed$")  # computed if the files lack them
LORA_KEY = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight$")
# "lm_head.weight[32000:]": rows to append to the base's, or to replace its last rows
NEW_ROWS = re.compile(r"(?P<name>.+)\[(?P<start>\d+):\]$")


@dataclass(frozen=True)
class Piece:
    """A tensor in a file, or its first `rows` rows."""

    file: WeightFile
    name: str
    rows: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.file.shapes[self.name]
        return shape if self.rows is None else (self.rows, *shape[1:])

    @property
    def nbytes(self) -> int:
        return self.read().nbytes

    def read(self) -> torch.Tensor:
        return self.file.read(self.name)[: self.rows]


@dataclass(frozen=True)
class Lora:
    """Low-rank updates (A [r, in], B [out, r]) by the name of the weight; the update is scaling * B @ A."""

    folder: Path
    config: dict
    scaling: float
    pairs: dict[str, tuple[Piece, Piece]]


@dataclass(frozen=True)
class Layout:
    """The contents of a folder. pieces: by the model's tensor names; several pieces are concatenated by rows. For an adapter, lora: the
    updates to add, and under: the pieces of its base alone."""

    name: str
    folder: Path
    base: Path | None
    config: dict
    pieces: dict[str, list[Piece]]
    lora: Lora | None = None
    under: dict[str, list[Piece]] = field(default_factory=dict)


def find_layout(folder: Path, base: Path | None = None) -> Layout:
    """Read names and shapes of the tensors in `folder` and, for an adapter, in its base.

    Raises ModelLoadError, naming the file or the key, for missing or invalid files and unknown layouts.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelLoadError(f"there is no folder {folder}: name the folder of a model.")
    if (folder / ADAPTER_CONFIG).is_file():
        return find_adapter_layout(folder, base)
    config = read_model_config(folder)
    files = open_weights(folder, WEIGHTS) or open_weights(folder, BIN_WEIGHTS)
    if not files:
        for suffix in (".safetensors", ".bin"):
            if any(folder.glob(f"*-of-*{suffix}")):
                raise ModelLoadError(
                    f"{folder} has shards of weights and lacks their index, *{suffix}.index.json: download it too."
                )
        raise ModelLoadError(
            f"{folder} has a {CONFIG} but no weights: download its .safetensors or .bin files (or, for an adapter, its {ADAPTER_CONFIG})."
        )
    pieces = collect(files)
    if any(name.startswith("deepmlp.") for name in pieces):
        name = "Q-Scorer, merged"
    elif any(POSITIONS.search(name) for name in pieces):
        name = "level model"
    else:
        name = BASE
    return Layout(name, folder, None, config, pieces)


def find_adapter_layout(folder: Path, base: Path | None) -> Layout:
    lora = find_lora(folder)
    if base is None:
        hint = lora.config.get("base_model_name_or_path")
        trained_on = f" (trained on '{hint}')" if hint else ""
        raise ModelLoadError(
            f"{folder} is an adapter{trained_on} and needs its base, the mplug-owl2-llama2-7b weights: put the base's folder in front, "
            f"as in BASE+{folder}."
        )
    under = find_layout(base)
    if under.lora:
        raise ModelLoadError(f"{base} is itself an adapter: use the folder of a complete model as the base.")
    if (folder / CONVERTED).is_file():
        if read_json(folder / CONVERTED).get("base") != fingerprint(under.pieces):
            raise ModelLoadError(
                f"{folder} was converted with another base than {base}: use that base, or convert again with --base {base}."
            )
    elif regressor := next((name for name in under.pieces if name.startswith("deepmlp.")), None):
        raise ModelLoadError(  # no published adapter has a Q-Scorer as its base
            f"{base} has {regressor}, so it is a Q-Scorer already, and the adapter {folder.name} is for another base: "
            "use the mplug-owl2-llama2-7b weights."
        )
    files = open_weights(folder, NON_LORA)
    if not files:
        raise ModelLoadError(
            f"{folder} lacks {NON_LORA}.bin (or .safetensors), which every published LoRA has: download it too."
        )
    over = collect(files)
    for name, (piece,) in over.items():
        if not name.startswith(("model.", "lm_head.", "deepmlp.")):
            raise ModelLoadError(
                f"{piece.file.path} has {piece.name}, which is not a tensor of mPLUG-Owl2: download it again."
            )
    kind = "Q-Scorer" if any(name.startswith("deepmlp.") for name in over) else "DeQA-Score"
    whole = all(name in over or IGNORED.search(name) or POSITIONS.search(name) for name in under.pieces)
    name = f"{kind} LoRA, {'every parameter' if whole else 'trained parameters only'}"
    pieces = overlay(under.pieces, over)
    if (folder / CONFIG).is_file():
        config = read_model_config(folder)
    else:  # the base's, with the adapter's score tokens
        config = under.config | {"vocab_size": sum(piece.shape[0] for piece in pieces.get("lm_head.weight", []))}
    return Layout(name, folder, Path(base), config, pieces, lora, under.pieces)


def read_model_config(folder: Path) -> dict:
    """config.json; code named in its auto_map is neither read nor run."""
    config = read_json(folder / CONFIG)
    if config.get("model_type") != "mplug_owl2":
        raise ModelLoadError(
            f"{folder / CONFIG} is for a model of type '{config.get('model_type')}', not 'mplug_owl2': choose another folder."
        )
    return config


def collect(files: list[WeightFile]) -> dict[str, list[Piece]]:
    """The pieces in files by the model's tensor names, without PEFT's prefixes."""
    pieces: dict[str, list[Piece]] = {}
    for file in files:
        for key in file.shapes:
            name = key.removeprefix("base_model.model.").replace(".base_layer.", ".")
            if name in pieces:
                raise ModelLoadError(
                    f"both {file.path} and {pieces[name][0].file.path.name} have {key}: remove the file that does not belong here."
                )
            pieces[name] = [Piece(file, key)]
    return pieces


def overlay(under: dict[str, list[Piece]], over: dict[str, list[Piece]]) -> dict[str, list[Piece]]:
    """The base's pieces, replaced by the adapter's; "NAME[start:]" is appended, or replaces the last rows."""
    pieces = under | {key: added for key, added in over.items() if not NEW_ROWS.match(key)}
    for key, added in over.items():
        if rows := NEW_ROWS.match(key):
            name, start = rows["name"], int(rows["start"])
            (before,) = pieces.get(name, [None])
            if before is None or before.shape[0] not in (start, start + added[0].shape[0]):
                raise ModelLoadError(
                    f"{added[0].file.path} has {key}, but {name} of the base does not have {start} rows: use the adapter's own base."
                )
            pieces[name] = [replace(before, rows=start), *added]
    return pieces


def fingerprint(pieces: dict[str, list[Piece]]) -> str:
    """Twelve hex digits that identify a base: of names, shapes and both ends of every tensor, whatever the files' layout."""
    digest = hashlib.sha256()
    for name in sorted(pieces):
        if not IGNORED.search(name) and not POSITIONS.search(name):
            values = pieces[name][0].read().flatten()
            ends = torch.cat([values[:32], values[-32:]]).float()
            digest.update(f"{name} {list(pieces[name][0].shape)}".encode() + ends.numpy().tobytes())
    return digest.hexdigest()[:12]


def find_lora(folder: Path) -> Lora:
    """The adapter's low-rank updates. Raises ModelLoadError, naming the setting, for any adapter but plain LoRA."""
    config = read_json(folder / ADAPTER_CONFIG)
    plain = {"peft_type": "LORA", "bias": "none", "use_dora": False, "use_rslora": False, "fan_in_fan_out": False}
    plain |= {"rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None}
    for setting, only in plain.items():
        if config.get(setting, only) not in (only, None):
            raise ModelLoadError(
                f"{folder / ADAPTER_CONFIG} has {setting} = {config[setting]}, which is not supported: use an adapter of plain LoRA."
            )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, (int, float)) or rank < 1:
        raise ModelLoadError(f"{folder / ADAPTER_CONFIG} lacks r or lora_alpha: download this file again.")
    files = open_weights(folder, ADAPTER_WEIGHTS)
    if not files:
        raise ModelLoadError(f"{folder} lacks {ADAPTER_WEIGHTS}.bin or .safetensors: download it too.")
    return Lora(folder, config, alpha / rank, pair_up(collect(files), rank))


def pair_up(pieces: dict[str, list[Piece]], rank: int) -> dict[str, tuple[Piece, Piece]]:
    sides: dict[str, dict[str, Piece]] = {}
    for key, (piece,) in pieces.items():
        match = LORA_KEY.match(key)
        if not match:
            raise ModelLoadError(
                f"{piece.file.path} has {piece.name}, which is not part of a LoRA: download this file again."
            )
        sides.setdefault(match["module"] + ".weight", {})[match["side"]] = piece
        if piece.shape[match["side"] == "B"] != rank:
            raise ModelLoadError(
                f"{piece.file.path} has {piece.name} of shape {list(piece.shape)}, but {ADAPTER_CONFIG} has r = {rank}: "
                "download both again."
            )
    for pair in sides.values():
        if len(pair) == 1:
            (only,) = pair.values()
            raise ModelLoadError(f"{only.file.path} has {only.name} without its counterpart: download this file again.")
    return {name: (pair["A"], pair["B"]) for name, pair in sides.items()}
