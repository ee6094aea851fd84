"""What models compute for the page: one thing at a time, in a thread of its own, in order of arrival.

Two at once take up to twice as long each and together little less (model/common/threads.py), and every thread that computes keeps memory.
Decoding is not
done here: it has a budget of its own (model/images/budget.py), and nobody waits for another's slow file. A long upload comes in
batches, each a turn, so that others get in between.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class ModelWork:
    """The turn that a scorer takes for each batch (`Scorer.turn`). at_once: nothing waits, since nothing is computed in this process."""

    def __init__(self, at_once: bool = False) -> None:
        self._at_once = at_once
        self._thread: threading.Thread | None = None
        self._turns = ThreadPoolExecutor(1, "model-work", initializer=self._started)

    def _started(self) -> None:
        self._thread = threading.current_thread()

    def run(self, function: Callable, *arguments: Any) -> Any:
        """Call the function when it is its turn. What runs already may call this again: that is part of its turn."""
        if self._at_once or threading.current_thread() is self._thread:
            return function(*arguments)
        return self._turns.submit(function, *arguments).result()
