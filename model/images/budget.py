"""How much memory all decoding in this process may take at once. Whoever needs more than is free waits for a turn, in order of arrival."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """An amount that is shared out. A share larger than the whole is given when nobody else holds any, so that each gets a turn.

    Whoever holds a share must not ask for another of the same budget: that is the only way in which waiting could not end.
    """

    def __init__(self, total: int):
        self.total = total
        self._held = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def share(self, amount: int) -> Iterator[None]:
        """Wait for `amount`, hold it for the block within, and give it back."""
        me = object()
        with self._changed:
            self._queue.append(me)
            try:
                # In order of arrival: small images that went ahead would keep a large one waiting for ever.
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


# In bytes. A thread that decodes takes from FILES first and from PIXELS second, never the other way round.
FILES = Budget(1 << 29)
PIXELS = Budget(3 << 29)
