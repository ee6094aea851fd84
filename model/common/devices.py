"""Devices and dtypes: the values of --device and --dtype. Imports torch only when a function is called."""

from typing import TYPE_CHECKING

from model.common.errors import ModelError

if TYPE_CHECKING:
    import torch

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}  # per number, for each dtype that a model may compute in
BITS = {"8bit": 8, "4bit": 4}  # quantized weights of a large model's layers


def choose_device(device: str) -> "torch.device":
    """The torch device for a value of --device. Raises ModelError when this machine has none."""
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    if not available[device]:
        raise ModelError(
            f"PyTorch finds no {device} device on this machine: use --device cpu, or install a build of torch for it."
        )
    return torch.device(device)


def torch_dtype(dtype: str) -> "torch.dtype":
    """The torch dtype for a key of BYTES."""
    import torch

    return getattr(torch, dtype)


def large_dtype(device: "torch.device", dtype: str = "auto") -> "torch.dtype":
    """The dtype that a large model computes in: `dtype` if it is a key of BYTES, else bfloat16 on a GPU and float32 on the CPU."""
    return torch_dtype(dtype if dtype in BYTES else "float32" if device.type == "cpu" else "bfloat16")


def refuse_bits(name: str, dtype: str) -> None:
    """Raises ModelError if `dtype` is a key of BITS: for models that cannot be quantized here."""
    if dtype in BITS:
        raise ModelError(f"{name} cannot be loaded in {dtype}, which is for mPLUG-Owl2 models: use --dtype bfloat16.")
