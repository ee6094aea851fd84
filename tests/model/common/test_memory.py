"""Too little memory is said before loading, with what would fit."""

import pytest
import torch

from model.common.errors import ModelLoadError
from model.common.memory import check_memory, check_numbers, free_memory

NUMBERS = 8_208_390_145  # of the full-size Q-Scorer
SIZES = {"float32": 4.0 * NUMBERS, "bfloat16": 2.0 * NUMBERS}


def test_what_fits_passes_and_what_nobody_knows_is_tried():
    check_memory("model", SIZES, "bfloat16", 20e9, "cuda")
    check_memory("model", SIZES, "float32", None, "cpu")


def test_a_smaller_dtype_is_named_where_it_fits():
    with pytest.raises(
        ModelLoadError, match="needs 36.1 GB .* float32, and cuda has 24.0 GB free: choose --dtype bfloat16, .* 18.1 GB"
    ):
        check_memory("model", SIZES, "float32", 24e9, "cuda")


@pytest.mark.parametrize("dtype", SIZES)
def test_where_nothing_fits_no_dtype_is_offered(dtype):
    with pytest.raises(ModelLoadError, match="8.0 GB free: free some, or choose another device or a smaller model.$"):
        check_memory("model", SIZES, dtype, 8e9, "cpu")


def test_the_dtype_that_was_chosen_is_the_one_that_is_named(monkeypatch):
    monkeypatch.setattr("model.common.memory.free_memory", lambda device: 20e9)
    check_numbers("model", NUMBERS, torch.float16, "cpu")
    with pytest.raises(ModelLoadError, match="36.1 GB of memory in float32, and cpu has .*: choose --dtype bfloat16"):
        check_numbers("model", NUMBERS, torch.float32, "cpu")
    with pytest.raises(ModelLoadError, match="36.1 GB of memory in float16, and cpu has .* a smaller model"):
        check_numbers("model", 2 * NUMBERS, torch.float16, "cpu")


def test_this_machine_has_some_memory_free():
    free = free_memory("cpu")
    assert free is None or 1e6 < free < 1e14
