"""From a SPEC's folders to a backbone that a scorer asks: what a folder holds is told by its files, never by its name."""

from collections.abc import Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import nn

from model.errors import ModelError, ModelLoadError
from model.json_files import read_json
from model.registry import Spec


class Backbone(Protocol):
    """What a scorer needs of a multimodal LLM with its readout.

    tokens and token_ids [K] run from worst to best; regressor is there for score_token readouts. What `prepare` gives has a
    `shape_key`: pictures whose keys are equal may share a batch, and each gets what it would get alone.
    """

    model: nn.Module
    readout: str
    tokens: tuple[str, ...]
    token_ids: torch.Tensor
    scale: tuple[float, float]
    regressor: nn.Module | None
    device: torch.device

    def prepare(self, image: Image.Image): ...

    def last_position(self, batch: Sequence) -> tuple[torch.Tensor, torch.Tensor]: ...


def load_backbone(found: Spec, device: torch.device, dtype: torch.dtype | None, task: str) -> Backbone:
    """The backbone in the folders of `found`, on `device`. dtype None: float32, and bfloat16 for large models beside the CPU.

    Raises ModelError for a task that it was not taught, ModelLoadError for what is missing or does not fit.
    """
    kind = kind_of(found)
    if kind == "mplug_owl2":
        return load_mplug_owl2(found, device, dtype, task)
    if task != "quality":
        raise ModelError(f"{found.name} cannot be asked for '{task}': it knows quality.")
    if kind == "qscorer_nano":
        return load_nano_backbone(found, device, dtype)
    from model.backbones.vlm import Q_REALIGN
    from model.vlm_loading import load_vlm

    readout = {"q-realign": Q_REALIGN}.get(found.readout)
    return load_vlm(found.base, readout, found.adapter, dtype or large_dtype(device), device)


def kind_of(found: Spec) -> str:
    """The model_type that config.json names. Published mPLUG-Owl2 LoRAs come without a model of their own."""
    if not (found.base / "config.json").is_file():
        if (found.base / "adapter_config.json").is_file():
            return "mplug_owl2"
        raise ModelLoadError(f"{found.base} lacks config.json: copy or download the whole folder again.")
    return str(read_json(found.base / "config.json").get("model_type"))


def large_dtype(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def load_nano_backbone(found: Spec, device: torch.device, dtype: torch.dtype | None) -> Backbone:
    from model.backbones.nano_scoring import NanoBackbone
    from model.nano_loading import load_nano

    model, processor = load_nano(found)
    return NanoBackbone(model.to(device, dtype or torch.float32), processor)


def load_mplug_owl2(found: Spec, device: torch.device, dtype: torch.dtype | None, task: str) -> Backbone:
    from model.backbones.mplug_owl2_loading import load_model
    from model.backbones.mplug_owl2_scoring import MplugOwl2Backbone
    from model.layouts import find_layout

    layout = find_layout(found.adapter, found.base) if found.adapter else find_layout(found.base)
    model, processor = load_model(layout, dtype or large_dtype(device), device)
    return MplugOwl2Backbone(model, processor, task)
