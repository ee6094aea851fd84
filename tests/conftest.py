"""What holds for every test: nothing reaches for the network, and torch's threads wait as they do in use."""

import os

import model  # noqa: F401, settles how torch's threads wait, before a test imports torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
