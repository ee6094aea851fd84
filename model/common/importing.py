"""A lock for importing transformers and peft, and our modules that import them, in programs with several threads.

transformers imports its submodules lazily, and fails when two threads trigger that at once.
"""

import threading

IMPORTING = threading.RLock()
