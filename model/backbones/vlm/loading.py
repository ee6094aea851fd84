"""Loads a VLM from its folder. The model is detected from the files, every tensor is checked, and no code of the folder is run."""

import logging
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import jinja2
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from model.backbones.peft_files import check_belongs
from model.backbones.spec import Spec
from model.backbones.vlm.adapting import load_adapter, projections
from model.backbones.vlm.backbone import VlmBackbone
from model.backbones.vlm.processor import load_processor
from model.backbones.vlm.settings import Q_REALIGN, READOUT, ZERO_SHOT, VlmReadout, read_readout
from model.backbones.weight_files import check_tensors, count_numbers, open_weights
from model.common.devices import large_dtype, refuse_bits
from model.common.errors import DataError, ModelLoadError, first_line
from model.common.json_files import read_json
from model.common.memory import check_numbers, load_in_turn
from model.common.progress import LOADING, Progress

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
IMAGE_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
    jinja2.TemplateError,
)

log = logging.getLogger(__name__)


def load(
    spec: Spec, device: torch.device, dtype: str, trainable: bool = False, progress: Progress | None = None
) -> VlmBackbone:
    """See `Loading` in model/backbones/contract.py. If trainable, raises ModelLoadError for a model without layers to adapt."""
    refuse_bits(spec.name, dtype)
    check_belongs(spec)
    preset = {"q-realign": Q_REALIGN}.get(spec.readout)
    with load_in_turn(progress):
        backbone = load_vlm(spec.base, preset, spec.adapter, large_dtype(device, dtype), device, trainable, progress)
    if trainable and not spec.adapter:
        projections(backbone.model)
    return backbone


def check_adaptable(spec: Spec, dtype: str) -> None:
    if not is_vlm(spec.base):
        raise DataError(
            f"{spec.name} is a model of type '{model_type(spec.base)}', which cannot be fine-tuned: choose nano, an mPLUG-Owl2 or a "
            "vision-language model that transformers supports."
        )


def load_vlm(
    folder: Path,
    readout: VlmReadout | None = None,
    adapter: Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    trainable: bool = False,
    progress: Progress | None = None,
) -> VlmBackbone:
    """The VLM in `folder` on `device`, with the adapter in the folder `adapter` merged or, if trainable, attached.

    readout: prompt and readout; None: those in the folder's readout.json, else zero-shot levels. An adapter has its own. progress: called
    with tensors; an exception that it raises cancels the loading.

    Raises ModelLoadError, naming a file or tensor that is missing or invalid, and TooLittleMemory before loading.
    """
    config = read_config(folder)
    check_files(folder)
    taught = adapter is not None or readout is not None or (folder / READOUT).is_file()
    if readout is None:
        readout = read_readout(folder) if taught and not adapter else ZERO_SHOT
    if adapter:
        readout = read_readout(adapter)
    try:
        processor = load_processor(folder, config, readout.max_pixels)  # first, since it is quick
        check_numbers(str(folder), count_numbers(folder), dtype, device)
        with tensors_told(progress):
            model = read_model(folder, config, dtype, device)
        if adapter:
            return load_adapter(model, processor, adapter, trainable)
        return VlmBackbone(model, processor, readout, taught)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ModelLoadError(
            f"{folder} does not fit into the memory of the device '{device}': choose a smaller model, --dtype bfloat16 or "
            "another --device."
        ) from error
    except UNREADABLE as error:
        if "torchvision" in str(error).lower():
            raise ModelLoadError(
                f"{folder} is a model of type '{config.model_type}', whose image processor needs torchvision, which is not supported: "
                "choose another model."
            ) from error
        raise ModelLoadError(
            f"{folder} cannot be read as a model: {first_line(error)}. Copy or download the whole folder again."
        ) from error


_told: ContextVar[Progress | None] = ContextVar("told", default=None)


@contextmanager
def tensors_told(progress: Progress | None) -> Iterator[None]:
    """Makes transformers report the number of loaded tensors to `progress`, in this thread and during the block."""
    token = _told.set(progress)
    transformers_logging.set_tqdm_hook(_bar)
    try:
        yield
    finally:
        _told.reset(token)


def _bar(make: Callable, arguments: tuple, options: dict):
    """transformers' hook for progress bars: its own bar, unless this thread has a `progress`."""
    progress = _told.get()
    if progress is None or not arguments:
        return make(*arguments, **options)
    return _telling(arguments[0], progress)


def _telling(items: Sized, progress: Progress) -> Iterator:
    for n, item in enumerate(items, start=1):
        yield item
        progress(LOADING, n, len(items))


def is_vlm(folder: Path) -> bool:
    """Whether the model in `folder` is of a type that transformers supports for images and text."""
    return model_type(folder) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def model_type(folder: Path) -> str | None:
    """The model_type in config.json. Raises ModelLoadError when that file is missing or invalid."""
    return read_json(folder / "config.json").get("model_type")


def read_config(folder: Path) -> PreTrainedConfig:
    """transformers' configuration of the VLM in `folder`. Raises ModelLoadError for an unsupported type of model."""
    if not is_vlm(folder):
        own_code = "auto_map" in read_json(folder / "config.json")
        raise ModelLoadError(
            f"{folder} is a model of type '{model_type(folder)}', which transformers does not support for images and text"
            + (", and the code in its folder (auto_map in config.json) is never run" if own_code else "")
            + ": choose a vision-language model."
        )
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except UNREADABLE as error:
        raise ModelLoadError(
            f"{folder / 'config.json'} is not a readable model configuration: {first_line(error)}."
        ) from error
    if config.is_encoder_decoder:
        raise ModelLoadError(
            f"{folder} is an encoder-decoder model (type '{config.model_type}'), which is not supported: choose a decoder-only "
            "vision-language model."
        )
    return config


def check_files(folder: Path) -> None:
    """Raises ModelLoadError, naming a file of weights, tokenizer or image processor that is missing, truncated or not supported."""
    for names in (TOKENIZERS, IMAGE_PROCESSORS):
        if not any((folder / name).is_file() for name in names):
            raise ModelLoadError(f"{folder} lacks {names[0]}: copy or download the whole folder again.")
    if not open_weights(folder, "model"):
        if any(folder.glob("pytorch_model*.bin")):
            raise ModelLoadError(
                f"{folder} has weights in pytorch_model.bin only: use a model with weights in model.safetensors."
            )
        raise ModelLoadError(f"{folder} lacks model.safetensors: copy or download the whole folder again.")


def read_model(
    folder: Path, config: PreTrainedConfig, dtype: torch.dtype, device: str | torch.device
) -> PreTrainedModel:
    """The model. Raises ModelLoadError, naming a tensor that is missing or of the wrong shape."""
    model, report = AutoModelForImageTextToText.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    misshapen = [key[0] for key in report["mismatched_keys"]]
    check_tensors(folder, missing=report["missing_keys"], misshapen=misshapen)
    if unused := sorted(report["unexpected_keys"]):
        log.warning("%s: %d unexpected tensors are not used, such as %s", folder, len(unused), unused[0])
    if model.get_output_embeddings() is None:
        raise ModelLoadError(
            f"{folder} is a model of type '{config.model_type}' without an lm_head: choose another model."
        )
    return model.to(device).eval()
