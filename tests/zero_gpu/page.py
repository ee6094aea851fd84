"""app.py on ZeroGPU as platform.py plays it: `python tests/zero_gpu/page.py ARGUMENTS`, with SPACES_ZERO_GPU=1 in the environment."""

import runpy

from tests.zero_gpu.platform import play_gpu

play_gpu()
runpy.run_path("app.py", run_name="__main__")
