"""The libraries that programs under test spend most of their start on, imported for programs.py, and nothing of ours."""

import sys

import peft  # noqa: F401
import scipy.optimize  # noqa: F401
import torch  # noqa: F401
import transformers.models.llama.modeling_llama  # noqa: F401

from app.environment import importing_gradio

with importing_gradio():
    import gradio  # noqa: F401

for name in [name for name in sys.modules if name.partition(".")[0] == "app"]:
    del sys.modules[name]
