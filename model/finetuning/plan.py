"""What a training will need, from the headers of the weight files: printed, and checked, before anything is loaded."""

import math
from collections.abc import Collection

import torch

from model.backbones.spec import Spec
from model.backbones.weight_files import open_weights
from model.common.devices import BYTES, large_dtype
from model.common.errors import TooLittleMemory
from model.common.memory import free_memory
from model.finetuning.recipes import PUBLISHED
from model.loading.opening import TRAINING_SHARE, kind_of
from model.readouts.systems import System

# Words in the names of the parts' tensors.
WORDS = {
    "vision": ("vision", "visual.", "encoder."),
    "connector": ("abstractor", "projector", "connector", "aligner"),
    "head": ("lm_head",),
}
TRAINED = 16  # bytes of a number that is trained in full: itself, its gradient and Adam's two moments, in float32


def plan(
    found: Spec, device: torch.device, dtype: str, images: int, system: System | None, also: Collection[str] | None
) -> str:
    """One line: parameters, memory, images. Raises TooLittleMemory if the model and what is trained in full do not fit."""
    shapes: dict[str, tuple] = {}
    for file in open_weights(found.base, "model") or open_weights(found.base, "pytorch_model"):
        shapes |= file.shapes
    if also is None:
        also = PUBLISHED[system.name.partition("+")[0]][1] if system and kind_of(found) != "qscorer_nano" else ()
    words = [
        word for part in also for word in WORDS.get(part, ())
    ]  # a part that no model has is refused once the model is there
    in_full = sum(math.prod(shape) for name, shape in shapes.items() if any(word in name for word in words))
    numbers = sum(math.prod(shape) for shape in shapes.values())
    base = str(large_dtype(device, dtype)).removeprefix("torch.")
    needed = TRAINING_SHARE * numbers * BYTES[base] + TRAINED * in_full
    free = free_memory(device)
    parts = f", of which {in_full / 1e6:.1f} million are trained in full" if in_full else ""
    line = (
        f"plan: {numbers / 1e6:.1f} million parameters in {base}{parts}: about {needed / 1e9:.2g} GB of memory, "
        f"{device} has {free / 1e9:.2g} GB free; {images} images"
    )
    if in_full and needed > free:
        raise TooLittleMemory(f"{line}. Train less in full (--train), or choose a smaller model.", needed - free)
    return line
