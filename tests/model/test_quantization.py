"""mPLUG-Owl2 in 8 and 4 bits: smaller, and near the scores in float32."""

import builtins

import pytest
import torch

from model.backbones.mplug_owl2_loading import sizes
from model.backbones.mplug_owl2_scoring import MplugOwl2Backbone
from model.errors import ModelLoadError
from tests.model.owl_fixtures import BASE, QSCORER, backbone_of, pictures

FOLDERS = [(QSCORER / "merged", None), (QSCORER / "adapter", BASE)]


@torch.no_grad()
def scores(folder, base, **how) -> tuple[torch.Tensor, MplugOwl2Backbone]:
    found = backbone_of(folder, base, **how)
    hidden, _ = found.last_position([found.prepare(picture) for picture in pictures(QSCORER)])
    return found.regressor(hidden), found


@pytest.mark.parametrize("bits, near", [(8, 0.2), (4, 1.5)])
@pytest.mark.parametrize("folder, base", FOLDERS, ids=lambda value: getattr(value, "name", ""))
def test_fewer_bits_score_nearly_as_float32(folder, base, bits, near):
    expected, whole = scores(folder, base)
    found, small = scores(folder, base, bits=bits)
    assert 0 < (found - expected).abs().max() < near
    layers = [sum(p.nbytes for p in backbone.model.model.layers.parameters()) for backbone in (small, whole)]
    assert layers[0] < layers[1] * (bits + 2) / 32


def test_how_large_the_model_is_in_each_way_is_known_before_loading():
    whole = scores(*FOLDERS[0])[1].model.state_dict()
    found = sizes(whole)
    assert found["float32"] == sum(tensor.nbytes for tensor in whole.values())
    assert list(found) == ["float32", "bfloat16", "float16", "8bit", "4bit"]
    assert found["bfloat16"] > found["8bit"] > found["4bit"]


def test_bitsandbytes_missing_is_said(monkeypatch):
    real = builtins.__import__

    def without(name, *more):
        if name == "bitsandbytes":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelLoadError, match="8 bits need bitsandbytes.*pip install"):
        scores(*FOLDERS[0], bits=8)
