"""Weights of the LLM's layers in 8 or 4 bits, by bitsandbytes where it is installed and the device has it (CUDA; CPU, slowly)."""

import torch
from torch import nn

from model.common.errors import ModelLoadError

# On processors with AVX512-BF16 bitsandbytes packs 4-bit weights [out, in] in groups of 32 rows, with a factor for every 64 numbers
# of a row. Everywhere the same layers are quantized, so that a model scores alike on every machine.
ROWS, COLUMNS = 32, 64


def is_quantized(name: str, shape: torch.Size, bits: int) -> bool:
    """Whether a tensor of mPLUG-Owl2 is held in 8 or 4 bits: the matrices of the LLM's layers, 92 % of the 7B model. Vision, abstractor,
    lm_head and regressor stay as they are; so does, in 4 bits, a matrix whose shape cannot be packed."""
    fits = bits == 8 or len(shape) == 2 and shape[0] % ROWS == 0 and shape[1] % COLUMNS == 0
    return name.startswith("model.layers.") and len(shape) == 2 and fits


def quantized_linear(weight: torch.Tensor, bits: int, device: str | torch.device, dtype: torch.dtype) -> nn.Module:
    """A linear layer without bias that holds `weight` [out, in] in 8 or 4 bits on `device` and computes in `dtype`.

    Raises ModelLoadError where bitsandbytes is missing or does not know the device.
    """
    try:
        import bitsandbytes as bnb
    except ImportError as error:
        raise ModelLoadError(
            f"{bits} bits need bitsandbytes, which is not installed: pip install bitsandbytes, or choose another --dtype."
        ) from error
    if torch.device(device).type not in ("cuda", "cpu"):
        raise ModelLoadError(f"{bits} bits do not run on {device}: choose --dtype bfloat16 or another device.")
    rows, columns = weight.shape
    with torch.device("meta"):
        if bits == 8:
            layer = bnb.nn.Linear8bitLt(columns, rows, bias=False, has_fp16_weights=False)
        else:
            layer = bnb.nn.Linear4bit(columns, rows, bias=False, quant_type="nf4", compute_dtype=dtype)
    weight = weight.to(dtype)
    if bits == 8:
        layer.weight = bnb.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        layer.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4")
    return layer.to(device)
