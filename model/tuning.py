"""What fine-tuning asks of a model: the one seam between its procedure (model/lora.py) and the kinds of backbones.

    nano                           model/nano_tuner.py
    mPLUG-Owl2                     model/mplug_owl2_tuner.py
    any VLM of transformers        model/vlm_tuner.py

Saying whether a model can be fine-tuned needs no torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from model.errors import DataError
from model.importing import IMPORTING
from model.json_files import read_json
from model.lfs import pointers_named
from model.registry import Spec

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import nn

NANO, MPLUG_OWL2 = "qscorer_nano", "mplug_owl2"
DTYPES = ("auto", "float32", "bfloat16")  # in which a model may be fine-tuned; what moves is float32 in any case
LARGE = 100e6  # parameters from which activations are computed twice rather than kept
TRAINING_SHARE = 1.25  # of the weights' size: gradients and Adam's averages of what moves, and the activations of one part of a batch


@dataclass(frozen=True)
class Options:
    """How an adapter is trained: LoRA's rank (alpha is twice that; an adapter that is continued keeps its own), Adam's peak learning
    rate, passes over the ratings, images a step, and the fewest steps: a handful of ratings is passed over more often.

    The number of passes is fixed beforehand: choosing the best by the held-out part would make its figures too good.
    """

    rank: int = 8
    learning_rate: float = 1e-3
    epochs: int = 10
    batch_size: int = 16
    min_steps: int = 20


# The learning rate of Q-Align's LoRA recipe.
LARGE_MODELS = Options(rank=16, learning_rate=2e-4, epochs=5, min_steps=40)


class Example(Protocol):
    """A picture as it goes into training. Those with equal shape_key may share a batch; length: how many positions of the LLM it takes;
    nbytes: of memory."""

    shape_key: object
    length: int
    nbytes: int


@dataclass(frozen=True)
class Encoded:
    """A picture behind its frozen encoder, as rows [R, D] of the LLM's input, so that it is encoded once and not in every step."""

    rows: "torch.Tensor"

    @property
    def shape_key(self) -> tuple:
        return tuple(self.rows.shape)

    @property
    def length(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        return self.rows.nbytes


class Tuner(Protocol):
    """A model of one kind, seen by fine-tuning; when opened it scores as its SPEC does.

    readout, scale: of the adapter that comes of it. options: what it is trained with where nobody says. plain_peft: the lines of
    Python by which PEFT loads its adapters.
    """

    model: "nn.Module"
    readout: str
    scale: tuple[float, float]
    options: Options
    plain_peft: str

    def prepare(self, image: "Image.Image") -> Example:
        """One RGB picture. Raises ImageError for one that the model does not take."""

    def predict(self, batch: Sequence[Example]) -> "torch.Tensor":
        """Scores [B] on `scale`, on the CPU, of examples that may share a batch: as the scorer's."""

    def begin(self, rank: int) -> int:
        """Make ready to train: a new adapter of `rank`, unless an earlier one goes on. Returns the rank that it has."""

    def loss(self, batch: Sequence[Example], mos: "torch.Tensor") -> "torch.Tensor":
        """How wrong the model is about examples that may share a batch and their MOS [B] on `scale`."""

    def save(self, folder, origin: dict) -> None:
        """Write the adapter, all but its card. origin: the card's base, base_revision and parent."""

    def reload(self, folder) -> "Tuner":
        """The bare base from disk with the adapter in `folder` merged, as a scorer has it; this one's model is let go."""


def check_dtype(dtype: str) -> None:
    """Raises DataError for a dtype of scoring in which nothing is fine-tuned."""
    if dtype not in DTYPES:
        raise DataError(
            f"nothing is fine-tuned in {dtype}: choose --dtype bfloat16 or float32; what comes of it can be used with --dtype {dtype}."
        )


def check_can_learn(found: Spec, dtype: str = "auto") -> None:
    """Raises DataError for a model that cannot be fine-tuned, or not in `dtype`; ModelLoadError for a folder without a model."""
    if not found.adapter and (found.base / "adapter_config.json").is_file():
        raise DataError(
            f"{found.name} is an adapter without its base: give BASE+{found.base.name}, BASE being the folder or hub id of the "
            "model that it was made on."
        )
    settings = read_json(found.base / "config.json")
    kind = settings.get("model_type")
    if settings.get("quantization_config"):
        raise DataError(
            f"{found.name} holds quantized weights (quantization_config in its config.json), and these cannot be fine-tuned: "
            "choose the model that it was made from."
        )
    if kind == NANO:
        if dtype == "bfloat16":
            raise DataError(f"{found.name} is fine-tuned in float32: leave --dtype out.")
    elif kind != MPLUG_OWL2:
        with IMPORTING:
            from model.vlm_loading import is_vlm

        if not is_vlm(found.base):
            raise DataError(
                f"{found.name} is a model of type '{kind}', which cannot be fine-tuned: choose nano, an mPLUG-Owl2 or a "
                "vision-language model that transformers knows."
            )


def open_tuner(found: Spec, device: "torch.device", dtype: str) -> Tuner:
    """The model of `found`, an adapter attached where it has one. dtype: a word of DTYPES; auto is what scoring takes on `device`.

    Raises DataError for what cannot be fine-tuned, TooLittleMemory before loading what would not fit, ModelLoadError for what is broken.
    """
    with pointers_named(found.base, found.adapter):
        return _open_tuner(found, device, dtype)


def _open_tuner(found: Spec, device: "torch.device", dtype: str) -> Tuner:
    from model import loading

    check_can_learn(found, dtype)
    kind = loading.kind_of(found)
    if kind == NANO:
        from model.nano_tuner import open_nano

        return open_nano(found, device)
    computed_in = loading.DTYPES.get(dtype) or loading.large_dtype(device)
    check_room(found, device, computed_in)
    if kind == MPLUG_OWL2:
        from model.mplug_owl2_tuner import open_mplug_owl2

        return open_mplug_owl2(found, device, computed_in)
    from model.vlm_tuner import open_vlm

    return open_vlm(found, device, computed_in)


def check_room(found: Spec, device: "torch.device", dtype: "torch.dtype") -> None:
    """Raises TooLittleMemory when what is free on the device is too little to fine-tune the model in `dtype`."""
    from model.layouts import BIN_WEIGHTS, WEIGHTS
    from model.memory import check_numbers
    from model.weight_files import open_weights

    files = open_weights(found.base, WEIGHTS) or open_weights(found.base, BIN_WEIGHTS)
    numbers = sum(math.prod(shape) for file in files for shape in file.shapes.values())
    check_numbers(f"fine-tuning {found.name}", TRAINING_SHARE * numbers, dtype, device)


def make_ready(model: "nn.Module") -> None:
    """What moves is held in float32, whatever the rest is in: small steps would be rounded away. A large model computes its activations
    anew in the backward pass rather than keep them."""
    weights = list(model.parameters())
    for weight in weights:
        if weight.requires_grad:
            weight.data = weight.data.float()
    if sum(weight.numel() for weight in weights) > LARGE and model.supports_gradient_checkpointing:
        model.activation_checkpointing_enable()
