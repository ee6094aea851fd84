"""Reading the folder of a nano: every file and tensor is checked, and what does not fit is named."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from model.allocator import keep_freed_memory
from model.backbones.nano import NanoConfig, NanoModel, NanoProcessor
from model.errors import ModelLoadError, first_line
from model.registry import Spec

NANO_FILES = ("config.json", "model.safetensors", "tokenizer.json", "processor_config.json")


def load_nano(found: Spec) -> tuple[NanoModel, NanoProcessor]:
    """The nano model in a folder, in float32 on the CPU, with its adapter merged in, and its processor. Runs no code from the folder.

    Raises ModelLoadError naming the file or tensor that is missing or does not fit.
    """
    keep_freed_memory()
    folder = found.base
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
    if found.adapter:
        from model.adapter import apply_adapter

        model = apply_adapter(model, found)
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
