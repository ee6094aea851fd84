"""How much of a public page one visitor gets within a minute, so that a few cannot take it from all."""

import threading
import time
from collections import defaultdict, deque

from app.errors import Refused

MINUTE = 60.0
IMAGES, BYTES = 120, 512 * 2**20  # of one visitor
OF_ADDRESS = 5  # times that for all visitors of one address: an office, or one who throws cookies away


class Limits:
    """What visitors took in the last minute. Safe for threads."""

    def __init__(self) -> None:
        self._taken: defaultdict[str, deque[tuple[float, int, int]]] = defaultdict(deque)
        self._lock = threading.Lock()

    def take(self, visitor: str, address: str, images: int, size: int) -> None:
        """Count images of `size` bytes together. Raises Refused, and counts nothing, where that is too much."""
        now = time.monotonic()
        with self._lock:
            for key in [key for key, taken in self._taken.items() if taken[-1][0] < now - MINUTE]:
                del self._taken[key]
            self._check(visitor, images, size, now, 1)
            self._check(address, images, size, now, OF_ADDRESS)
            for key in (visitor, address):
                self._taken[key].append((now, images, size))

    def _check(self, key: str, images: int, size: int, now: float, share: int) -> None:
        taken = self._taken.get(key, deque())
        while taken and taken[0][0] < now - MINUTE:
            taken.popleft()
        for used, more, most, words in (
            (sum(count for _, count, _ in taken), images, share * IMAGES, f"{IMAGES} images"),
            (sum(count for _, _, count in taken), size, share * BYTES, f"{BYTES >> 20} MB"),
        ):
            if used + more > most:
                raise Refused(f"A visitor may have {words} scored within a minute here: wait a minute, or give fewer.")
