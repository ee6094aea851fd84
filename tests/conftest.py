"""What holds for every test: nothing reaches for the network, and torch's threads wait as they do in use."""

import gc
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

import model  # noqa: F401, settles how torch's threads wait, before a test imports torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


def pytest_configure(config: pytest.Config) -> None:
    # pytest-xdist would begin with the files of the most tests, not the longest.
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Among several processes (make test) a file's tests stay together, and the longest files begin, so that no process is left with
    one at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        weights: Counter[Path] = Counter()
        for item in items:
            weights[item.path] += 10 * ("browser" in item.keywords) + ("slow" in item.keywords)
        items.sort(key=lambda item: -weights[item.path])


def pytest_collection_finish() -> None:
    """What the collected modules have imported stays: garbage collections, which every fine-tuning asks for, need not look at it."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The seed of the order, which pytest-randomly prints only without -q."""
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.line(f"random order: --randomly-seed={seed}")


# A shell that runs this in the background, or nohup, has these ignored, and every program that a test starts would inherit that.
for name in ("SIGINT", "SIGHUP"):
    number = getattr(signal, name, None)
    if number and signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
