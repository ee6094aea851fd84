"""mPLUG-Owl2 in 8 and 4 bits: smaller, and near the scores in float32."""

import builtins
import subprocess
import sys

import pytest
import torch
from torch import nn

from model.backbones.mplug_owl2.backbone import MplugOwl2Backbone
from model.backbones.mplug_owl2.loading import sizes
from model.backbones.mplug_owl2.quantization import is_quantized
from model.common.errors import ModelLoadError
from tests.model.owl_fixtures import BASE, QSCORER, ROOT, backbone_of, images

FOLDERS = [(QSCORER / "merged", None), (QSCORER / "adapter", BASE)]


@torch.no_grad()
def scores(folder, base, **how) -> tuple[torch.Tensor, MplugOwl2Backbone]:
    found = backbone_of(folder, base, **how)
    hidden, _ = found.ask([found.prepare(image) for image in images(QSCORER)])
    return found.readout.regressor(hidden.float()), found


@pytest.mark.parametrize("bits, near", [(8, 0.2), (4, 1.5)])
@pytest.mark.parametrize("folder, base", FOLDERS, ids=lambda value: getattr(value, "name", ""))
def test_fewer_bits_score_nearly_as_float32(folder, base, bits, near):
    expected, whole = scores(folder, base)
    found, small = scores(folder, base, bits=bits)
    assert 0 < (found - expected).abs().max() < near
    held = {name: p for name, p in small.model.named_parameters() if p.dtype in (torch.int8, torch.uint8)}
    assert (
        sum(p.nbytes for p in held.values())
        == sum(whole.model.get_parameter(name).numel() for name in held) * bits // 8
    )
    layers = [sum(p.nbytes for p in backbone.model.model.layers.parameters()) for backbone in (small, whole)]
    assert layers[0] < layers[1] / 3  # in 4 bits the rows of 160 stay as they are


def test_in_4_bits_only_what_can_be_packed_for_avx512_bf16_is_quantized():
    """The packing is plain torch up to the product itself, so that any processor can try it."""
    from bitsandbytes.functional import _convert_weight_packed_for_cpu
    from bitsandbytes.nn import Linear4bit

    model = scores(*FOLDERS[0], bits=4)[1].model
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Linear4bit)}
    for layer in layers.values():
        packed, state = _convert_weight_packed_for_cpu(layer.weight.data, layer.weight.quant_state)
        assert packed.shape == (layer.out_features, layer.in_features // 2)
        assert state.absmax.shape == (layer.in_features // 64, layer.out_features)
    left = {name for name, layer in model.model.layers.named_modules() if isinstance(layer, nn.Linear)}
    left -= {name.removeprefix("model.layers.") for name in layers}
    assert left == {"0.mlp.down_proj", "1.mlp.down_proj"}  # rows of 160
    assert len(layers) == 2 * 8
    published = [(4096, 4096), (11008, 4096), (4096, 11008)]
    assert all(is_quantized("model.layers.0.mlp", torch.Size(shape), bits) for shape in published for bits in (8, 4))


FORCED = """
import ctypes

class Native(ctypes.CDLL):
    has_avx512bf16_cpu = lambda self: True

ctypes.cdll.LoadLibrary = Native
import model, bitsandbytes.functional
print(bitsandbytes.functional.has_avx512bf16())
"""


@pytest.mark.slow
def test_advice_of_bitsandbytes_does_not_reach_the_user():
    """Made to believe in a processor with AVX512-BF16, it misses the package `kernels` when it is imported, by PEFT for one."""
    done = subprocess.run([sys.executable, "-c", FORCED], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_the_size_in_each_dtype_is_known_before_loading():
    whole = scores(*FOLDERS[0])[1].model.state_dict()
    found = sizes(whole)
    assert found["float32"] == sum(tensor.nbytes for tensor in whole.values())
    assert list(found) == ["float32", "bfloat16", "float16", "8bit", "4bit"]
    assert found["bfloat16"] > found["8bit"] > found["4bit"]


def test_a_missing_bitsandbytes_is_reported(monkeypatch):
    real = builtins.__import__

    def without(name, *more):
        if name == "bitsandbytes":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelLoadError, match="8 bits need bitsandbytes.*pip install"):
        scores(*FOLDERS[0], bits=8)
