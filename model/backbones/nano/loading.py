"""Loads nano from its folder, and checks every file and tensor."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from model.backbones.adapter_card import read_card
from model.backbones.nano.backbone import NanoBackbone
from model.backbones.nano.network import READOUT, NanoConfig, NanoModel, NanoProcessor
from model.backbones.peft_files import check_base, load_onto
from model.backbones.spec import Spec
from model.backbones.weight_files import check_tensors
from model.common.allocator import keep_freed_memory
from model.common.devices import refuse_bits, torch_dtype
from model.common.errors import DataError, ModelLoadError, first_line
from model.common.json_files import read_json
from model.common.progress import Progress

NANO_FILES = ("config.json", "model.safetensors", "tokenizer.json", "processor_config.json")


def load(
    spec: Spec, device: torch.device, dtype: str, trainable: bool = False, progress: Progress | None = None
) -> NanoBackbone:
    """See `Loading` in model/backbones/contract.py; auto is float32. Loading is quick, so progress is not called."""
    refuse_bits(spec.name, dtype)
    model, processor = load_nano(spec.base)
    adapted = None
    if spec.adapter:
        check_base(read_card(spec.adapter), spec)
        read_as(model, spec.adapter)
        adapted = load_onto(model, spec.adapter, trainable)
    if adapted and not trainable:
        model, adapted = adapted.merge_and_unload(), None
    model.to(device, torch_dtype("float32" if dtype == "auto" else dtype))
    return NanoBackbone(model, processor, adapted)


def read_as(model: NanoModel, adapter: Path) -> None:
    """Give `model` the readout that the adapter was trained with. Raises ModelLoadError for an invalid file; older adapters have none."""
    if not (adapter / READOUT).is_file():
        return
    stated = read_json(adapter / READOUT)
    try:
        model.set_readout(stated["kind"] == "score_token", stated["tokens"], stated["hyper_units"])
    except (KeyError, TypeError) as error:
        raise ModelLoadError(f"{adapter / READOUT} is not a readout: copy the adapter's whole folder again.") from error


def check_adaptable(spec: Spec, dtype: str) -> None:
    if dtype == "bfloat16":
        raise DataError(f"{spec.name} is fine-tuned in float32: leave --dtype out.")


def load_nano(folder: Path) -> tuple[NanoModel, NanoProcessor]:
    """The nano model in a folder, in float32 on the CPU, and its processor. Runs no code from the folder.

    Raises ModelLoadError, naming a file or tensor that is missing or invalid.
    """
    keep_freed_memory()
    for name in NANO_FILES:
        if not (folder / name).is_file():
            raise ModelLoadError(f"{folder} lacks {name}: copy the whole folder again.")
    logging.disable_progress_bar()
    try:
        config = NanoConfig.from_pretrained(folder, local_files_only=True)
        model, report = NanoModel.from_pretrained(
            folder,
            config=config,
            dtype="float32",
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        processor = NanoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise ModelLoadError(
            f"{folder} cannot be read as a model: {first_line(error)}. Copy the whole folder again."
        ) from error
    misshapen = [key[0] for key in report["mismatched_keys"]]
    check_tensors(folder / "model.safetensors", report["missing_keys"], report["unexpected_keys"], misshapen)
    model.encoder.to(memory_format=torch.channels_last)
    return model, processor
