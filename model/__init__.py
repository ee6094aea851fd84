"""Images in, assessments out; training. Knows nothing of the interface or of the database."""

import logging

from model import threads

threads.set_up()  # before torch is imported

# PEFT imports bitsandbytes wherever it is installed, and that then advises on packages and dtypes nobody here chose: a missing `kernels`
# on processors with AVX512-BF16, float16 at every layer.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
