"""The scorers that the page hands out: loaded once, side by side, let go of where memory is short."""

import gc
import subprocess
import sys
import threading
import weakref

import pytest
import torch

from app.scorers import Scorers
from app.settings import ROOT
from model.backbones import mplug_owl2_loading
from model.errors import ModelLoadError, TooLittleMemory
from tests.model.owl_fixtures import QSCORER


@pytest.fixture
def scorers(tmp_path):
    return Scorers(tmp_path / "adapters", "cpu")


def test_two_requests_for_one_model_load_it_once(scorers):
    found = []
    threads = [threading.Thread(target=lambda: found.append(scorers.get("nano"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(map(id, found))) == 1


def test_a_slow_load_holds_up_nobody_else(scorers):
    entered, go_on = threading.Event(), threading.Event()

    def wait(stage, done, total):
        entered.set()
        assert go_on.wait(60)

    slow = threading.Thread(target=scorers.get, args=(str(QSCORER / "merged"), wait))
    slow.start()
    assert entered.wait(60)
    assert scorers.get("nano").name == "nano"  # while the other is still loading
    go_on.set()
    slow.join()


def test_twenty_swaps_leave_one_model_in_memory(scorers, monkeypatch):
    monkeypatch.setattr(mplug_owl2_loading, "free_memory", lambda device: 1e5 if scorers._loaded else None)
    seen = []
    for swap in range(20):
        scorer = scorers.get(str(QSCORER / ("merged" if swap % 2 else "checkpoint_safetensors")))
        seen.append(weakref.ref(scorer.backbone.model))
        del scorer
    gc.collect()
    assert [ref() is not None for ref in seen] == [False] * 19 + [True]


def test_what_does_not_fit_even_alone_is_said(scorers, monkeypatch):
    monkeypatch.setattr(mplug_owl2_loading, "free_memory", lambda device: 0.0)
    scorers.get("nano")
    with pytest.raises(TooLittleMemory, match="GB of memory"):
        scorers.get(str(QSCORER / "merged"))
    with pytest.raises(ModelLoadError, match="there is no model 'nanoo'"):
        scorers.get("nanoo")
    nano = scorers.get("nano")
    monkeypatch.setattr(mplug_owl2_loading, "free_memory", lambda device: -1e9)
    with pytest.raises(TooLittleMemory):
        scorers.get(str(QSCORER / "merged"))
    assert scorers.get("nano") is nano  # it was not let go of in vain


def test_models_that_do_not_ship_here_are_loaded_in_the_dtype_that_was_given(tmp_path):
    scorers = Scorers(tmp_path / "adapters", "cpu", "bfloat16")
    assert next(scorers.get(str(QSCORER / "merged")).backbone.model.parameters()).dtype == torch.bfloat16
    assert next(scorers.get("nano").backbone.model.parameters()).dtype == torch.float32


@pytest.mark.slow
def test_two_models_may_be_the_first_ones_at_once():
    """transformers imports itself piece by piece, and two threads that make it do so must not meet half of it."""
    program = f"""
import threading
from pathlib import Path
from app.scorers import Scorers
from app.settings import ROOT

scorers, found = Scorers(Path("none"), "cpu"), []
specs = ["nano", {str(QSCORER / "merged")!r}]
threads = [threading.Thread(target=lambda spec=spec: found.append(scorers.get(spec).name)) for spec in specs]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(found) == sorted(specs), found
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
