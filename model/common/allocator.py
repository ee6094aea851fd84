"""glibc's malloc: keeps freed memory between images on the CPU, and returns it to the system after a model was loaded or deleted."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8  # malloc.h of glibc
KEEP, AHEAD = 1 << 29, 1 << 26  # bytes: kept when free, and requested at a time
ARENAS = 2  # heaps shared by all threads


def glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def give_back_freed_memory() -> None:
    """Return all unused pages of glibc's heap to the system. Does nothing without glibc.

    Tensors of up to 32 MB are allocated on the heap. Without this call, freed tensors between live ones still count as used memory:
    after loading a model with an adapter, as much as half of the model's size.
    """
    if libc := glibc():
        libc.malloc_trim(0)


def keep_freed_memory() -> None:
    """Let glibc's malloc keep up to 512 MB of freed memory, on two heaps for all threads. Does nothing without glibc.

    By default every activation of more than 32 MB is a separate mapping, whose pages the kernel clears each time: a third of nano's
    time on two cores. Also by default there are up to eight heaps per core, and each keeps the memory that its threads freed. Call
    this before many threads exist, since a thread never changes its heap.
    """
    if libc := glibc():
        for option, value in (
            (M_MMAP_MAX, 0),
            (M_TRIM_THRESHOLD, KEEP),
            (M_TOP_PAD, AHEAD),
            (M_ARENA_MAX, ARENAS),
        ):
            libc.mallopt(option, value)
