"""Quantizes the LLM's layers to 8 or 4 bits with bitsandbytes, on CUDA and (slowly) on the CPU."""

import torch
from torch import nn

from model.common.errors import ModelLoadError

# On processors with AVX512-BF16, bitsandbytes packs 4-bit weights [out, in] in groups of 32 rows, with a factor for each 64 numbers of a
# row. The same layers are quantized on all machines, so that scores agree.
ROWS, COLUMNS = 32, 64


def is_quantized(name: str, shape: torch.Size, bits: int) -> bool:
    """Whether a tensor of mPLUG-Owl2 is quantized: the matrices of the LLM's layers, 92 % of the 7B model. Vision, abstractor, lm_head and
    regressor are not; nor, in 4 bits, a matrix whose shape cannot be packed."""
    fits = bits == 8 or len(shape) == 2 and shape[0] % ROWS == 0 and shape[1] % COLUMNS == 0
    return name.startswith("model.layers.") and len(shape) == 2 and fits


def quantized_linear(weight: torch.Tensor, bits: int, device: str | torch.device, dtype: torch.dtype) -> nn.Module:
    """A linear layer without bias, with `weight` [out, in] quantized to 8 or 4 bits on `device`, that computes in `dtype`.

    Raises ModelLoadError if bitsandbytes is not installed or does not support the device.
    """
    try:
        import bitsandbytes as bnb
    except ImportError as error:
        raise ModelLoadError(
            f"{bits} bits need bitsandbytes, which is not installed: pip install bitsandbytes, or choose another --dtype."
        ) from error
    if torch.device(device).type not in ("cuda", "cpu"):
        raise ModelLoadError(f"{bits} bits are not supported on {device}: choose --dtype bfloat16 or another device.")
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
