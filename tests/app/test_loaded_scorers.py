"""The scorers that the page hands out: loaded once, side by side, let go of where memory is short."""

import gc
import subprocess
import sys
import threading
import weakref

import pytest
import torch

from app.loaded_scorers import Scorers
from app.settings import ROOT
from model.backbones.mplug_owl2 import loading as mplug_owl2_loading
from model.common.errors import ModelError, ModelLoadError, TooLittleMemory
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


def test_large_models_load_one_after_the_other_since_each_is_checked_against_free_memory(scorers):
    entered, go_on, waits = threading.Event(), threading.Event(), threading.Event()

    def wait(stage, done, total):
        entered.set()
        assert go_on.wait(60)

    def give_up(stage, done, total):
        raise ModelError("stopped")

    first = threading.Thread(target=scorers.get, args=(str(QSCORER / "merged"), wait))
    first.start()
    assert entered.wait(60)
    second = str(QSCORER / "checkpoint_safetensors")
    with pytest.raises(ModelError, match="stopped"):  # whoever waits is asked meanwhile
        scorers.get(second, give_up)
    later = threading.Thread(target=scorers.get, args=(second, lambda *_: waits.set()))
    later.start()
    assert waits.wait(60) and not scorers._loaded
    go_on.set()
    first.join()
    later.join()
    assert [spec for spec, _ in scorers._loaded] == [str(QSCORER / "merged"), second]


@pytest.mark.slow
def test_twenty_swaps_leave_one_model_in_memory(scorers, monkeypatch):
    monkeypatch.setattr(mplug_owl2_loading, "free_memory", lambda device: 1e5 if scorers._loaded else 1e15)
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
def test_several_threads_may_be_the_first_to_need_transformers(tmp_path):
    """It imports itself piece by piece, and threads that make it do so at once must not meet half of it."""
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    program = f"""
import sys, threading
from pathlib import Path
from app.environment import importing_gradio
with importing_gradio():
    import gradio
from app.adapt_tab import AdaptTab
from app.loaded_scorers import Scorers
from app.settings import ROOT, parse_settings

scorers, faults = Scorers(Path("none"), "cpu"), []
bench = AdaptTab(parse_settings([]), scorers, None)
threading.excepthook = lambda fault: faults.append(fault.exc_value)
works = [lambda: scorers.get("nano"), lambda: scorers.get({str(QSCORER / "merged")!r}), lambda: bench.why_not_tuned(sys.argv[1])]
threads = [threading.Thread(target=work) for work in works]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not faults, faults
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
