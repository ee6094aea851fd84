"""A model that does not fit into memory is refused before loading, and a dtype that fits is recommended."""

import pytest
import torch

from model.common.errors import ModelLoadError
from model.common.memory import check_memory, check_numbers, free_memory

NUMBERS = 8_208_390_145  # of the full-size Q-Scorer
SIZES = {"float32": 4.0 * NUMBERS, "bfloat16": 2.0 * NUMBERS}


def test_a_model_that_fits_passes():
    check_memory("model", SIZES, "bfloat16", 20e9, "cuda")


def test_a_smaller_dtype_is_named_where_it_fits():
    with pytest.raises(
        ModelLoadError, match="needs 36.1 GB .* float32, and cuda has 24.0 GB free: choose --dtype bfloat16, .* 18.1 GB"
    ):
        check_memory("model", SIZES, "float32", 24e9, "cuda")


@pytest.mark.parametrize("dtype", SIZES)
def test_no_dtype_is_recommended_when_none_fits(dtype):
    with pytest.raises(ModelLoadError, match="8.0 GB free: free some, or choose another device or a smaller model.$"):
        check_memory("model", SIZES, dtype, 8e9, "cpu")


def test_the_message_names_the_chosen_dtype(monkeypatch):
    monkeypatch.setattr("model.common.memory.free_memory", lambda device: 20e9)
    check_numbers("model", NUMBERS, torch.float16, "cpu")
    with pytest.raises(ModelLoadError, match="36.1 GB of memory in float32, and cpu has .*: choose --dtype bfloat16"):
        check_numbers("model", NUMBERS, torch.float32, "cpu")
    with pytest.raises(ModelLoadError, match="36.1 GB of memory in float16, and cpu has .* a smaller model"):
        check_numbers("model", 2 * NUMBERS, torch.float16, "cpu")


def test_this_machine_has_some_memory_free():
    assert 1e6 < free_memory("cpu") < 1e14
