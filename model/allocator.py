"""Memory that a model on the CPU needs for each picture is kept between pictures, not given back and asked for again."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc
KEEP, AHEAD = 1 << 29, 1 << 26  # bytes: kept when free, and asked for at a time


def keep_freed_memory() -> None:
    """Tell glibc's malloc to hold on to up to 512 MB of freed memory. Does nothing where there is no glibc.

    By default every activation of more than 32 MB is a mapping of its own, and the kernel clears its pages anew each
    time: on two cores a third of nano's time went there.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEEP), (M_TOP_PAD, AHEAD)):
            libc.mallopt(option, value)
