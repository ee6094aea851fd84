"""Whether a model fits into memory: said before it is loaded, with what would fit."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from model.common.allocator import give_back_freed_memory
from model.common.devices import BYTES
from model.common.errors import TooLittleMemory
from model.common.progress import LOADING, Progress

WORKING = 1.1  # what a model needs of memory, of its weights' size: a tensor on its way, and what one image needs

if TYPE_CHECKING:
    import torch

ASK_EVERY = 0.2  # seconds
_LOADS = threading.Lock()


@contextmanager
def load_in_turn(progress: Progress | None = None) -> Iterator[None]:
    """Load a large model when no other is being loaded: memory that was free when one was checked is taken when the next one is.
    progress is told of the wait, and ends it by raising."""
    while not _LOADS.acquire(timeout=ASK_EVERY):
        if progress:
            progress(LOADING, 0, 1)
    try:
        yield
    finally:
        _LOADS.release()


def check_numbers(name: str, numbers: float, dtype: "torch.dtype", device: "str | torch.device") -> None:
    """Raises TooLittleMemory when so many numbers in `dtype`, one of BYTES, do not fit into what is free on the device."""
    sizes = {word: numbers * size for word, size in BYTES.items()}
    check_memory(name, sizes, _word(dtype), free_memory(device), str(device))


def _word(dtype: "torch.dtype") -> str:
    return str(dtype).removeprefix("torch.")


def check_memory(name: str, sizes: dict[str, float], wanted: str, free: float | None, device: str) -> None:
    """Raises TooLittleMemory when weights of `sizes[wanted]` bytes do not fit into `free`; free None means that nobody knows.

    sizes: what the model may be loaded as, largest first; the first that fits is recommended.
    """
    needed = {choice: WORKING * size for choice, size in sizes.items()}
    if free is None or needed[wanted] <= free:
        return
    fits = [choice for choice, size in needed.items() if size <= free]
    remedy = "free some, or choose another device or a smaller model"
    if fits:
        remedy = f"choose --dtype {fits[0]}, which needs {needed[fits[0]] / 1e9:.1f} GB"
    raise TooLittleMemory(
        f"{name} needs {needed[wanted] / 1e9:.1f} GB of memory in {wanted}, and {device} has {free / 1e9:.1f} GB free: {remedy}.",
        lacking=needed[wanted] - free,
    )


# What torch says where it raises a plain RuntimeError: its allocators on the CPU (Linux, Windows) and on Apple's GPU, and cuBLAS.
LACKING = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a computation failed for lack of memory, on the CPU or a GPU, and for nothing else."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in LACKING)


def give_back_memory() -> None:
    """Let what nothing refers to any more count as free: to Python, to malloc, and to CUDA's allocator."""
    import torch

    gc.collect()
    give_back_freed_memory()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_memory(device: "str | torch.device") -> float | None:
    """Bytes that a model may still take on a device; None where the system does not say."""
    import torch

    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    give_back_freed_memory()
    known = [free for free in (free_in_system(), free_in_group()) if free is not None]
    return min(known, default=None)


def free_in_system() -> float | None:
    """What Linux says is available, without swap."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def free_in_group() -> float | None:
    """What a container's limit (cgroup 2) leaves; None where there is none."""
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (group / "memory.max").read_text().strip(), int((group / "memory.current").read_text())
        cached = next(
            int(line.split()[1])
            for line in (group / "memory.stat").read_text().splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, StopIteration):
        return None
    return None if limit == "max" else float(int(limit) - used + cached)
