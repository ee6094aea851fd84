"""Measuring time, peak memory, floating-point operations, and the speed of matrix products."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

MOST, LEAST, SECONDS = 15, 3, 6.0  # repeats: at most MOST within SECONDS, at least LEAST
MATRIX = {"cpu": 2048}  # side of the multiplied matrices
LARGE_MATRIX = 8192  # on GPUs
PROCESS = Path("/proc/self")


def timed(*works: Callable[[], object], least: int = LEAST) -> list[list[float]]:
    """Seconds of each of `works`, interleaved so that other load on the machine affects all of them.

    The first repeat is a warm-up and not counted. On a GPU, each work must synchronize before it returns.
    """
    rows: list[list[float]] = []
    begun = time.perf_counter()
    while len(rows) < 1 + least or (len(rows) < 1 + MOST and time.perf_counter() - begun < SECONDS):
        rows.append([seconds(work) for work in works])
    return [list(column) for column in zip(*rows[1:], strict=True)]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_ms(work: Callable[[], object]) -> float:
    """The median of the repeats, in milliseconds."""
    return milliseconds(timed(work)[0])


def milliseconds(times: Sequence[float]) -> float:
    return round(1000 * statistics.median(times), 1)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


class StageClock:
    """Milliseconds in a model's vision part (everything before the language model), in the language model, and in the head (lm_head,
    regressor and readout, up to the finished assessment)."""

    def __init__(self, language_model: nn.Module, device: torch.device):
        self.language_model, self.device = language_model, device

    def stages(self, work: Callable[[], object]) -> dict[str, float]:
        """Medians over repeats of `work`, which must call the language model once."""
        marks: list[float] = []

        def mark(*_) -> None:
            synchronize(self.device)
            marks.append(time.perf_counter())

        def marked() -> None:
            mark()
            work()
            mark()

        hooks = [self.language_model.register_forward_pre_hook(mark), self.language_model.register_forward_hook(mark)]
        try:
            timed(marked)
        finally:
            for hook in hooks:
                hook.remove()
        steps = [marks[n : n + 4] for n in range(4, len(marks), 4)]  # without the warm-up
        names = ("vision_ms", "llm_ms", "head_ms")
        return {name: milliseconds([step[n + 1] - step[n] for step in steps]) for n, name in enumerate(names)}


def count_flops(work: Callable[[], object]) -> int:
    """Floating-point operations of matrix products, convolutions and attention; a multiply-add counts as two.

    Attention is counted in full, including the masked half of causal attention.
    """
    kernels = [  # of attention, which torch does not count by default
        getattr(torch.ops.aten, name)
        for name in ("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_attention_math_for_mps")
        if hasattr(torch.ops.aten, name)
    ]
    counter = FlopCounterMode(display=False, custom_mapping=dict.fromkeys(kernels, attention_flops))
    with counter:
        work()
    return counter.get_total_flops()


def attention_flops(query, key, value, *rest, out_shape=None, **named) -> int:
    return sdpa_flop_count(query, key, value)


def matrix_product(device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """A product of two square matrices, and its floating-point operations: an estimate of the device's peak speed."""
    side = MATRIX.get(device.type, LARGE_MATRIX)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))

    def work() -> None:
        torch.mm(a, b)
        synchronize(device)

    return work, 2 * side**3


class PeakMemory:
    """Peak memory in MB since construction: of tensors on the GPU, or of the whole process on the CPU. None if unknown."""

    def __init__(self, device: torch.device):
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.known = device.type == "cuda" or (device.type == "cpu" and begin_anew())

    def mb(self) -> int | None:
        if not self.known:
            return None
        if self.device.type == "cuda":
            return round(torch.cuda.max_memory_allocated(self.device) / 1e6)
        line = next(line for line in (PROCESS / "status").read_text().splitlines() if line.startswith("VmHWM"))
        return round(1024 * int(line.split()[1]) / 1e6)


def begin_anew() -> bool:
    """Reset Linux's peak memory counter of this process; False if that is not possible."""
    try:
        (PROCESS / "clear_refs").write_text("5")
    except OSError:
        return False
    return True
