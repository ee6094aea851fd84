"""Reading the folder of a VLM: what it holds is detected from its files, every tensor is checked, and none of its code is run."""

import json
import logging
import math
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import jinja2
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from model.backbones.peft_files import check_belongs
from model.backbones.spec import Spec
from model.backbones.vlm.adapting import load_adapter, projections
from model.backbones.vlm.backbone import VlmBackbone
from model.backbones.vlm.processor import load_processor
from model.backbones.vlm.settings import Q_REALIGN, READOUT, ZERO_SHOT, VlmReadout, read_readout
from model.backbones.weight_files import count_numbers
from model.common.devices import large_dtype, refuse_bits
from model.common.errors import DataError, ModelLoadError, first_line
from model.common.memory import check_numbers, load_in_turn
from model.common.progress import LOADING, Progress

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
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
    """See `Loading` in model/backbones/contract.py. Raises ModelLoadError where it has no layers to adapt, when trainable."""
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
            "vision-language model that transformers knows."
        )


def count_parameters(spec: Spec) -> float:
    return count_numbers(spec.base)


def load_vlm(
    folder: Path,
    readout: VlmReadout | None = None,
    adapter: Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    trainable: bool = False,
    progress: Progress | None = None,
) -> VlmBackbone:
    """The VLM in `folder` with the adapter in the folder `adapter` merged in (when trainable: attached), ready to score on `device`.

    readout: how it is asked and read; when None, what the folder's readout.json says, else zero-shot levels. An adapter brings
    its own. progress: told the tensors; what it raises ends the loading.

    Raises ModelLoadError naming the file or tensor that is missing, broken or does not fit.
    """
    config = read_config(folder)
    check_files(folder)
    taught = adapter is not None or readout is not None or (folder / READOUT).is_file()
    if readout is None:
        readout = read_readout(folder) if taught and not adapter else ZERO_SHOT
    if adapter:
        readout = read_readout(adapter)
    try:
        processor = load_processor(folder, config, readout.max_pixels)  # the quick part first
        check_fits(folder, dtype, device)
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
                f"{folder} holds a model of type '{config.model_type}', whose images transformers prepares by torchvision only, "
                "which this program does without: choose another model."
            ) from error
        raise ModelLoadError(
            f"{folder} cannot be read as a model: {first_line(error)}. Copy or download the whole folder again."
        ) from error


_told: ContextVar[Progress | None] = ContextVar("told", default=None)


@contextmanager
def tensors_told(progress: Progress | None) -> Iterator[None]:
    """Has transformers tell `progress`, within and in this thread, how many tensors it has read."""
    token = _told.set(progress)
    transformers_logging.set_tqdm_hook(_bar)
    try:
        yield
    finally:
        _told.reset(token)


def _bar(make: Callable, arguments: tuple, options: dict):
    """What transformers goes through its tensors by: its own bar, unless somebody is to be told."""
    progress = _told.get()
    if progress is None or not arguments:
        return make(*arguments, **options)
    return _telling(arguments[0], progress)


def _telling(items: Sized, progress: Progress) -> Iterator:
    for n, item in enumerate(items, start=1):
        yield item
        progress(LOADING, n, len(items))


def is_vlm(folder: Path) -> bool:
    """Whether config.json in `folder` names a type of model that transformers builds for images and text."""
    return model_type(folder) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def model_type(folder: Path) -> str | None:
    """The model_type in config.json. Raises ModelLoadError when that file cannot be read."""
    return settings(folder).get("model_type")


def settings(folder: Path) -> dict:
    """The content of config.json. Raises ModelLoadError when there is none or it is not JSON."""
    path = folder / "config.json"
    if not path.is_file():
        raise ModelLoadError(f"{folder} lacks config.json: copy or download the whole folder again.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content | {}
    except (OSError, ValueError, TypeError) as error:
        raise ModelLoadError(f"{path} is not a readable model configuration: {first_line(error)}.") from error


def read_config(folder: Path) -> PreTrainedConfig:
    """The configuration of the VLM in `folder`, of a class of transformers. Raises ModelLoadError when it is no VLM of its."""
    if not is_vlm(folder):
        own_code = "auto_map" in settings(folder)
        raise ModelLoadError(
            f"{folder} holds a model of type '{model_type(folder)}', which is none that transformers builds for images and text"
            + (", and the code that its config.json points to (auto_map) is not run" if own_code else "")
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
            f"{folder} holds a model of type '{config.model_type}', whose decoder does not see the prompt: "
            "choose a vision-language model that writes on from its prompt."
        )
    return config


def check_files(folder: Path) -> None:
    """Raises ModelLoadError naming the file of weights, tokenizer or image processor that is missing or was cut short."""
    for names in (TOKENIZERS, IMAGE_PROCESSORS):
        if not any((folder / name).is_file() for name in names):
            raise ModelLoadError(f"{folder} lacks {names[0]}: copy or download the whole folder again.")
    for name in weight_names(folder):
        if not (folder / name).is_file():
            raise ModelLoadError(
                f"{folder} lacks {name}, a part of its weights: copy or download the whole folder again."
            )
        try:
            with safe_open(folder / name, "pt"):
                pass  # opening it checks that the file is as long as its header says
        except (OSError, SafetensorError) as error:
            raise ModelLoadError(
                f"{folder / name} is incomplete or broken ({first_line(error)}): copy or download it again."
            ) from error


def check_fits(folder: Path, dtype: torch.dtype, device: str | torch.device) -> None:
    """Raises TooLittleMemory when the weights do not fit into what is free on the device."""
    numbers = 0
    for name in weight_names(folder):
        with safe_open(folder / name, "pt") as file:
            numbers += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())
    check_numbers(str(folder), numbers, dtype, device)


def weight_names(folder: Path) -> list[str]:
    """The names of the files that make up the weights. Raises ModelLoadError for an index that cannot be read and for weights
    in another format than safetensors."""
    if not (folder / INDEX).is_file():
        pickled = any(folder.glob("pytorch_model*.bin")) and not (folder / WEIGHTS).is_file()
        if pickled:
            raise ModelLoadError(
                f"{folder} holds its weights as pytorch_model.bin only: give a model whose weights are {WEIGHTS}."
            )
        return [WEIGHTS]
    try:
        return sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelLoadError(f"{folder / INDEX} is not a readable index of weights: download it again.") from error


def read_model(
    folder: Path, config: PreTrainedConfig, dtype: torch.dtype, device: str | torch.device
) -> PreTrainedModel:
    """The model itself. Raises ModelLoadError naming a tensor that is missing or of another shape than config.json says."""
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
    faults = {
        "lack the tensor": sorted(report["missing_keys"]),
        "hold a tensor of another shape than config.json says:": sorted(key[0] for key in report["mismatched_keys"]),
    }
    for fault, keys in faults.items():
        if keys:
            more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
            raise ModelLoadError(
                f"the weights in {folder} {fault} {keys[0]}{more}: copy or download the whole folder again."
            )
    if unused := sorted(report["unexpected_keys"]):
        log.warning(
            "%s: %d tensors have no place in the model and are left out, %s first", folder, len(unused), unused[0]
        )
    if model.get_output_embeddings() is None:
        raise ModelLoadError(
            f"{folder} holds a model of type '{config.model_type}' without an lm_head: choose another model."
        )
    return model.to(device).eval()
