"""Checks before loading whether a model fits into memory, and names a dtype that would."""

import gc
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from model.common.allocator import give_back_freed_memory
from model.common.devices import BYTES
from model.common.errors import TooLittleMemory
from model.common.progress import LOADING, Progress

WORKING = (
    1.1  # memory that a model needs, relative to its weights: one tensor in transit, and the activations of one image
)

if TYPE_CHECKING:
    import torch

ASK_EVERY = 0.2  # seconds
_LOADS = threading.Lock()


@contextmanager
def load_in_turn(progress: Progress | None = None) -> Iterator[None]:
    """Load large models one at a time, so that each check of free memory sees the models loaded before.

    progress is called while waiting; an exception that it raises ends the wait.
    """
    while not _LOADS.acquire(timeout=ASK_EVERY):
        if progress:
            progress(LOADING, 0, 1)
    try:
        yield
    finally:
        _LOADS.release()


def check_numbers(name: str, numbers: float, dtype: "torch.dtype", device: "str | torch.device") -> None:
    """Raises TooLittleMemory when a model of so many parameters in `dtype` (a key of BYTES) exceeds the device's free memory."""
    sizes = {word: numbers * size for word, size in BYTES.items()}
    check_memory(name, sizes, str(dtype).removeprefix("torch."), free_memory(device), str(device))


def check_memory(name: str, sizes: dict[str, float], wanted: str, free: float, device: str) -> None:
    """Raises TooLittleMemory when weights of `sizes[wanted]` bytes do not fit into `free` bytes.

    sizes: bytes by --dtype, largest first; the first that fits is recommended.
    """
    needed = {choice: WORKING * size for choice, size in sizes.items()}
    if needed[wanted] <= free:
        return
    fits = [choice for choice, size in needed.items() if size <= free]
    remedy = "free some, or choose another device or a smaller model"
    if fits:
        remedy = f"choose --dtype {fits[0]}, which needs {needed[fits[0]] / 1e9:.1f} GB"
    raise TooLittleMemory(
        f"{name} needs {needed[wanted] / 1e9:.1f} GB of memory in {wanted}, and {device} has {free / 1e9:.1f} GB free: {remedy}.",
        lacking=needed[wanted] - free,
    )


# Messages of plain RuntimeErrors: of torch's allocators on the CPU (Linux, Windows) and on Apple's GPU, and of cuBLAS.
LACKING = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a computation failed for lack of memory, on the CPU or a GPU."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in LACKING)


def give_back_memory() -> None:
    """Free unreferenced memory: Python's garbage, malloc's heap and CUDA's cache."""
    import torch

    gc.collect()
    give_back_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_memory(device: "str | torch.device") -> float:
    """Free bytes on a device, swap not counted; on the CPU within the container's limit."""
    import torch

    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    give_back_freed_memory()
    return min(float(psutil.virtual_memory().available), free_in_group())


def free_in_group() -> float:
    """Free bytes within a container's limit (cgroup 2); infinite without one."""
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (group / "memory.max").read_text().strip(), int((group / "memory.current").read_text())
        cached = next(
            int(line.split()[1])
            for line in (group / "memory.stat").read_text().splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, StopIteration):
        return math.inf
    return math.inf if limit == "max" else float(int(limit) - used + cached)
