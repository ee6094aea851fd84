"""The lock under which a program with several threads imports transformers and peft, and modules of ours that do so at their top.

transformers imports itself piece by piece, and breaks when two threads make it do so at once.
"""

import threading

IMPORTING = threading.RLock()
