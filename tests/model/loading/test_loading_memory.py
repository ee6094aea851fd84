"""A model is never in memory twice while it is loaded: measured in processes of their own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.backbones.mplug_owl2.network import MplugOwl2Config, MplugOwl2Model
from tests.model.owl_fixtures import BASE

PROGRAM = """
import os, sys, torch
from pathlib import Path
from model.backbones.mplug_owl2.loading import load_model
from model.backbones.mplug_owl2.layouts import find_layout
def peak(): return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
small, *folders = map(Path, sys.argv[1:])
for folder in folders:
    if os.fork() == 0:  # each has a peak of its own; what was imported is shared
        load_model(find_layout(small))
        before = peak()
        kept = load_model(find_layout(folder), dtype=torch.float16)
        print(peak() - before, flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


def large_model(folder: Path, safetensors: bool) -> int:
    """A model of some 130 MB in float16 in one file; its size in bytes."""
    folder.mkdir()
    settings = json.loads((BASE / "config.json").read_text())
    settings |= {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 3}
    with torch.device("meta"):
        places = MplugOwl2Model(MplugOwl2Config.from_dict(settings)).state_dict()
    state = {name: torch.zeros(place.shape, dtype=torch.float16) for name, place in places.items()}
    for name in ("tokenizer.model", "preprocessor_config.json"):
        shutil.copy(BASE / name, folder)
    (folder / "config.json").write_text(json.dumps(settings))
    if safetensors:
        save_file(state, folder / "model.safetensors")
    else:
        torch.save(state, folder / "pytorch_model.bin")
    return sum(tensor.nbytes for tensor in state.values())


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_loading_takes_little_more_memory_than_the_model(tmp_path):
    folders = {tmp_path / "safetensors": True, tmp_path / "bin": False}
    sizes = [large_model(folder, safetensors) for folder, safetensors in folders.items()]
    command = [sys.executable, "-c", PROGRAM, str(BASE), *map(str, folders)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for kind, size, taken in zip(("safetensors", "bin"), sizes, map(int, result.stdout.split()), strict=True):
        print(f"{kind}: {size / 1e6:.0f} MB of weights, {taken / size:.2f} of that at most while loading")
        assert size < taken < 1.5 * size
