"""Reading the folder of a nano: every file and tensor is checked, and what does not fit is named."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from model.backbones.adapter_card import read_card
from model.backbones.nano.backbone import NanoBackbone
from model.backbones.nano.network import NanoConfig, NanoModel, NanoProcessor
from model.backbones.peft_files import check_base, load_onto
from model.backbones.spec import Spec
from model.backbones.weight_files import count_numbers
from model.common.allocator import keep_freed_memory
from model.common.devices import refuse_bits, torch_dtype
from model.common.errors import DataError, ModelLoadError, first_line
from model.common.progress import Progress

NANO_FILES = ("config.json", "model.safetensors", "tokenizer.json", "processor_config.json")


def load(
    spec: Spec, device: torch.device, dtype: str, trainable: bool = False, progress: Progress | None = None
) -> NanoBackbone:
    """See `Loading` in model/backbones/contract.py; auto is float32. Loading takes a moment, so no progress is told."""
    refuse_bits(spec.name, dtype)
    model, processor = load_nano(spec.base)
    adapted = None
    if spec.adapter:
        check_base(read_card(spec.adapter), spec)
        adapted = load_onto(model, spec.adapter, trainable)
    if adapted and not trainable:
        model, adapted = adapted.merge_and_unload(), None
    model.to(device, torch_dtype("float32" if dtype == "auto" else dtype))
    return NanoBackbone(model, processor, adapted)


def check_adaptable(spec: Spec, dtype: str) -> None:
    if dtype == "bfloat16":
        raise DataError(f"{spec.name} is fine-tuned in float32: leave --dtype out.")


def count_parameters(spec: Spec) -> float:
    return count_numbers(spec.base)


def load_nano(folder: Path) -> tuple[NanoModel, NanoProcessor]:
    """The nano model in a folder, in float32 on the CPU, and its processor. Runs no code from the folder.

    Raises ModelLoadError naming the file or tensor that is missing or does not fit.
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
    check_report(folder, report)
    model.encoder.to(memory_format=torch.channels_last)
    return model, processor


def check_report(folder: Path, report: dict) -> None:
    """Raises ModelLoadError when a tensor was missing, left over or of another shape."""
    faults = {
        "lacks the tensor": report["missing_keys"],
        "holds a tensor that the model has no place for:": report["unexpected_keys"],
        "holds a tensor of the wrong shape:": [key[0] for key in report["mismatched_keys"]],
    }
    for fault, keys in faults.items():
        if keys:
            more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
            raise ModelLoadError(
                f"{folder / 'model.safetensors'} {fault} {min(keys)}{more}: weights and config.json do not belong together."
            )
