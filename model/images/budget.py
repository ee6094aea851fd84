"""A limit on the memory of all concurrent decoding in this process. A request that exceeds what is free waits, in order of arrival."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """An amount shared by several threads. A request for more than the total is granted when nothing else is held.

    A thread that holds a share must not request another from the same budget: it could deadlock.
    """

    def __init__(self, total: int):
        self.total = total
        self._held = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def share(self, amount: int) -> Iterator[None]:
        """Wait for `amount`, hold it during the block, and release it."""
        me = object()
        with self._changed:
            self._queue.append(me)
            try:
                # In order of arrival: otherwise small images could starve a large one.
                self._changed.wait_for(lambda: self._queue[0] is me and self._fits(amount))
                self._held += amount
            finally:
                self._queue.remove(me)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._held -= amount
                self._changed.notify_all()

    def _fits(self, amount: int) -> bool:
        return not self._held or self._held + amount <= self.total


# In bytes. To avoid deadlock, a decoding thread always requests FILES before PIXELS.
FILES = Budget(1 << 29)
PIXELS = Budget(3 << 29)
