"""Memory of malloc: what a model on the CPU needs for each image is kept between images, and what a load or a model that was let go
of leaves behind is given back."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8  # malloc.h of glibc
KEEP, AHEAD = 1 << 29, 1 << 26  # bytes: kept when free, and asked for at a time
ARENAS = 2  # heaps that threads share


def glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def give_back_freed_memory() -> None:
    """Let glibc's malloc return to the system every page that it holds and nobody uses. Does nothing where there is no glibc.

    Tensors of up to 32 MB lie on its heap: without this, what was freed between those still in use counts as taken, after
    loading with an adapter as much as half of the model.
    """
    if libc := glibc():
        libc.malloc_trim(0)


def keep_freed_memory() -> None:
    """Tell glibc's malloc to hold on to up to 512 MB of freed memory. Does nothing where there is no glibc.

    By default every activation of more than 32 MB is a mapping of its own, and the kernel clears its pages anew each
    time: on two cores a third of nano's time went there. Two heaps for all threads: by default there are up to eight a core, and
    each holds on to what its threads have freed. Call it before there are many threads, since a thread keeps its heap.
    """
    if libc := glibc():
        for option, value in (
            (M_MMAP_MAX, 0),
            (M_TRIM_THRESHOLD, KEEP),
            (M_TOP_PAD, AHEAD),
            (M_ARENA_MAX, ARENAS),
        ):
            libc.mallopt(option, value)
