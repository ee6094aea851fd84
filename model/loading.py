"""From a SPEC's folders to a backbone that a scorer asks: what a folder holds is told by its files, never by its name."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from PIL import Image
from torch import nn

from model.backbones.mplug_owl2_prompts import TASKS
from model.errors import ModelError, ModelLoadError
from model.importing import IMPORTING
from model.json_files import read_json
from model.lfs import pointers_named
from model.memory import check_numbers, load_in_turn
from model.progress import LOADING, Progress
from model.registry import KNOWN, QUALITY, Spec

if TYPE_CHECKING:
    from model.backbones.vlm import VlmBackbone

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BITS = {"8bit": 8, "4bit": 4}


class Backbone(Protocol):
    """What a scorer needs of a multimodal LLM with its readout.

    tokens and token_ids [K] run from worst to best; regressor is there for score_token readouts. What `prepare` gives has a
    `shape_key`: pictures whose keys are equal may share a batch, and each gets what it would get alone; and `nbytes`, its size.
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


def load_backbone(
    found: Spec, device: torch.device, dtype: str, task: str, progress: Progress | None = None
) -> Backbone:
    """The backbone in the folders of `found`, on `device`.

    dtype: a word of DTYPES or BITS, or auto: float32, and bfloat16 for large models on a GPU. Raises ModelError for a task that
    it was not taught, TooLittleMemory before loading what does not fit, ModelLoadError for what is missing or broken.
    """
    with pointers_named(found.base, found.adapter):
        return _load_backbone(found, device, dtype, task, progress)


def _load_backbone(found: Spec, device: torch.device, dtype: str, task: str, progress: Progress | None) -> Backbone:
    kind = kind_of(found)
    if kind == "mplug_owl2":
        with load_in_turn(progress):
            return load_mplug_owl2(found, device, dtype, task, progress)
    if task != QUALITY:
        raise unknown_task(found.name, task, (QUALITY,))
    if dtype in BITS:
        raise ModelError(
            f"{found.name} cannot be held in {dtype}, which is for mPLUG-Owl2 models: use --dtype bfloat16."
        )
    if kind == "qscorer_nano":
        with IMPORTING:
            from model.backbones.nano_scoring import NanoBackbone
            from model.nano_loading import load_nano

        model, processor = load_nano(found)
        return NanoBackbone(model.to(device, DTYPES.get(dtype, torch.float32)), processor)
    with load_in_turn(progress):
        return load_vlm_of(found, device, DTYPES.get(dtype) or large_dtype(device), progress=progress)


def load_vlm_of(
    found: Spec,
    device: torch.device,
    dtype: torch.dtype,
    trainable: bool = False,
    progress: Progress | None = None,
) -> "VlmBackbone":
    """The VLM of `found`, asked as its preset says where it has one; the adapter merged in or, when trainable, attached."""
    with IMPORTING:
        from model.adapter import check_belongs
        from model.backbones.vlm import Q_REALIGN
        from model.vlm_loading import load_vlm

    check_belongs(found)
    readout = {"q-realign": Q_REALIGN}.get(found.readout)
    return load_vlm(found.base, readout, found.adapter, dtype, device, trainable, progress)


def load_mplug_owl2(
    found: Spec, device: torch.device, dtype: str, task: str, progress: Progress | None = None
) -> Backbone:
    with IMPORTING:
        from model.adapter import check_belongs
        from model.backbones.mplug_owl2_loading import has_regressor, load_model
        from model.backbones.mplug_owl2_scoring import MplugOwl2Backbone
        from model.layouts import find_layout

    check_belongs(found)
    layout = find_layout(found.adapter, found.base) if found.adapter else find_layout(found.base)
    computed_in = DTYPES.get(dtype) or large_dtype(device)
    if has_regressor(layout) and task != QUALITY:
        raise unknown_task(found.name, task, (QUALITY,))
    told = partial(progress, LOADING) if progress else None
    model, processor = load_model(layout, computed_in, device, BITS.get(dtype), progress=told)
    return MplugOwl2Backbone(model, processor, task)


def tasks_of(backbone: Backbone) -> tuple[str, ...]:
    """What a model can be asked: quality, and a level model of mPLUG-Owl2 (OneAlign) also for aesthetics and for videos."""
    return TASKS if backbone.readout == "level" and hasattr(backbone, "prepare_clip") else (QUALITY,)


def asking(backbone: Backbone, name: str, task: str) -> Backbone:
    """The same model, asked for another task: no weights are loaded again. Raises ModelError for one that it does not know."""
    if task not in tasks_of(backbone):
        raise unknown_task(name, task, tasks_of(backbone))
    return type(backbone)(backbone.model, backbone.processor, task)


def unknown_task(name: str, task: str, known: tuple[str, ...]) -> ModelError:
    return ModelError(f"{name} cannot be asked for '{task}': it knows {', '.join(known)}.")


def kind_of(found: Spec) -> str:
    """The model_type that config.json names. Published mPLUG-Owl2 LoRAs come without a model of their own."""
    if not (found.base / "config.json").is_file():
        if (found.base / "adapter_config.json").is_file():
            return "mplug_owl2"
        raise ModelLoadError(f"{found.base} lacks config.json: copy or download the whole folder again.")
    return str(read_json(found.base / "config.json").get("model_type"))


def large_dtype(device: torch.device) -> torch.dtype:
    """What a large model computes in where nobody says."""
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def check_before_download(name: str, device: torch.device, dtype: str, share: float = 1.0) -> None:
    """Raises TooLittleMemory for a model known by name that would not fit once it was fetched. share: how much is loaded and
    kept beside, of its weights."""
    known = KNOWN.get(name.partition("+")[0])
    if known and not known.ships and dtype not in BITS:
        check_numbers(name, share * known.parameters * 1e6, DTYPES.get(dtype) or large_dtype(device), device)
