"""From the folders of a SPEC to a backbone. The kind of backbone is detected from the files, never from a folder's name."""

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from model.backbones.adapter_card import CORRECTION, WEIGHTS, corrects, read_card
from model.backbones.contract import Backbone, Loading
from model.backbones.peft_files import check_base
from model.backbones.spec import Spec
from model.common.devices import BITS, large_dtype
from model.common.errors import DataError, ModelLoadError
from model.common.importing import IMPORTING
from model.common.json_files import read_json
from model.common.lfs import pointers_named
from model.common.memory import check_numbers
from model.common.progress import Progress
from model.loading.known import KNOWN

if TYPE_CHECKING:
    import torch

# By the model_type in config.json; all others are loaded by ANY_VLM.
KINDS = {
    "qscorer_nano": "model.backbones.nano.loading",
    "mplug_owl2": "model.backbones.mplug_owl2.loading",
}
ANY_VLM = "model.backbones.vlm.loading"
TRAINING_DTYPES = ("auto", "float32", "bfloat16")  # of the base; trainable parameters are always float32
# Memory relative to the weights: includes gradients and Adam's moments of trainable parameters, and activations.
TRAINING_SHARE = 1.25


def loading_of(spec: Spec) -> Loading:
    """The module that loads the backbone of `spec`. Raises ModelLoadError for a folder without a model."""
    with IMPORTING:
        return import_module(KINDS.get(kind_of(spec), ANY_VLM))


def kind_of(spec: Spec) -> str:
    """The model_type in config.json; mplug_owl2 for a folder with only an adapter, as the published LoRAs are."""
    if not (spec.base / "config.json").is_file():
        if (spec.base / "adapter_config.json").is_file():
            return "mplug_owl2"
        raise ModelLoadError(f"{spec.base} lacks config.json: copy or download the whole folder again.")
    return str(read_json(spec.base / "config.json").get("model_type"))


def load_backbone(
    spec: Spec, device: "torch.device", dtype: str, task: str, progress: Progress | None = None
) -> Backbone:
    """The backbone in the folders of `spec`, with its adapter merged, for `task`.

    Raises ModelError for an unsupported task or dtype, TooLittleMemory (before loading) for a model that does not fit, ModelLoadError for
    missing or invalid files.
    """
    with pointers_named(spec.base, spec.adapter):
        backbone = loading_of(spec).load(without_correction(spec), device, dtype, progress=progress).for_task(task)
        if spec.adapter and corrects(spec.adapter):
            from model.readouts.correction import load_correction

            backbone.correction = load_correction(spec.adapter / CORRECTION)
        return backbone


def without_correction(spec: Spec) -> Spec:
    """`spec` as its kind loads it: without an adapter that only corrects scores. Raises ModelLoadError where that is for another base."""
    if spec.adapter and corrects(spec.adapter) and not (spec.adapter / WEIGHTS).is_file():
        check_base(read_card(spec.adapter), spec)
        return replace(spec, adapter=None)
    return spec


def open_to_train(spec: Spec, device: "torch.device", dtype: str) -> Backbone:
    """The backbone of `spec` for training, with its adapter, if any, attached.

    Raises DataError for a model that cannot be fine-tuned, TooLittleMemory (before loading) for one that does not fit, ModelLoadError for
    missing or invalid files.
    """
    with pointers_named(spec.base, spec.adapter):
        check_adaptable(spec, dtype)
        loading = loading_of(spec)
        from model.backbones.weight_files import count_numbers

        numbers = TRAINING_SHARE * count_numbers(spec.base)
        check_numbers(f"fine-tuning {spec.name}", numbers, large_dtype(device, dtype), device)
        return loading.load(without_correction(spec), device, dtype, trainable=True)


def check_adaptable(spec: Spec, dtype: str = "auto") -> None:
    """Raises DataError if the model cannot be fine-tuned, or not in `dtype`, and ModelLoadError for a folder without a model."""
    check_training_dtype(dtype)
    if not spec.adapter and (spec.base / "adapter_config.json").is_file():
        raise DataError(
            f"{spec.name} is an adapter without its base: use BASE+{spec.base.name}, where BASE is the folder or hub id of the "
            "model that it was trained on."
        )
    if read_json(spec.base / "config.json").get("quantization_config"):
        raise DataError(
            f"{spec.name} has quantized weights (quantization_config in its config.json), which cannot be fine-tuned: "
            "choose the original model."
        )
    loading_of(spec).check_adaptable(spec, dtype)


def check_training_dtype(dtype: str) -> None:
    """Raises DataError for a dtype that is supported for scoring only."""
    if dtype not in TRAINING_DTYPES:
        raise DataError(
            f"fine-tuning in {dtype} is not supported: choose --dtype bfloat16 or float32; the adapter can be used with --dtype {dtype}."
        )


def check_before_download(name: str, device: "torch.device", dtype: str, share: float = 1.0) -> None:
    """Raises TooLittleMemory for a named model that would not fit, before it is downloaded. share: required memory relative to the
    weights."""
    known = KNOWN.get(name.partition("+")[0])
    if known and not known.ships and dtype not in BITS:
        check_numbers(name, share * known.parameters * 1e6, large_dtype(device, dtype), device)
