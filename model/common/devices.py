"""Where and in what a model computes: the words of --device and --dtype. Needs no torch until a word is looked up."""

from typing import TYPE_CHECKING

from model.common.errors import ModelError

if TYPE_CHECKING:
    import torch

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}  # of a number, in each dtype that a model may compute in
BITS = {"8bit": 8, "4bit": 4}  # a large model's layers held in fewer bits


def choose_device(device: str) -> "torch.device":
    """The torch device that the word means on this machine. Raises ModelError when it is not there."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    if not there[device]:
        raise ModelError(
            f"PyTorch finds no {device} device on this machine: use --device cpu, or install a build of torch for it."
        )
    return torch.device(device)


def torch_dtype(dtype: str) -> "torch.dtype":
    """The torch dtype of a word of BYTES."""
    import torch

    return getattr(torch, dtype)


def large_dtype(device: "torch.device", dtype: str = "auto") -> "torch.dtype":
    """What a large model computes in: `dtype` where it is a word of BYTES, else bfloat16 on a GPU and float32 on the CPU."""
    return torch_dtype(dtype if dtype in BYTES else "float32" if device.type == "cpu" else "bfloat16")


def refuse_bits(name: str, dtype: str) -> None:
    """Raises ModelError for a word of BITS, where a kind of model cannot be held in fewer bits."""
    if dtype in BITS:
        raise ModelError(f"{name} cannot be held in {dtype}, which is for mPLUG-Owl2 models: use --dtype bfloat16.")
