"""torch's threads wait passively and are as many as a container allows, on every path to torch, unless the user says otherwise."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from model.common.threads import WAITING, cpu_quota, set_up

ROOT = Path(__file__).parents[3]
PATHS = {
    "a command": "import runpy; runpy.run_module('model.score', run_name='not main')['score']; import model.scoring.scorer",
    "the page": "from app.environment import importing_gradio\nwith importing_gradio(): import app.page\nimport torch",
}


def waiting_policy(program: str, **environment: str) -> str:
    """What the OpenMP runtime that torch loads says of itself."""
    clean = {name: value for name, value in os.environ.items() if name not in WAITING}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=clean | {"OMP_DISPLAY_ENV": "verbose"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return re.search(r"OMP_WAIT_POLICY\s*=\s*'(\w+)'", done.stdout + done.stderr)[1]


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_threads_wait_passively_on_every_path_to_torch(path):
    assert waiting_policy(PATHS[path]) == "PASSIVE"


@pytest.mark.slow
def test_variables_set_by_the_user_are_kept(monkeypatch):
    assert waiting_policy("from model.scoring.scorer import load_scorer", OMP_WAIT_POLICY="active") == "ACTIVE"
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "100")
    set_up()
    assert "OMP_WAIT_POLICY" not in os.environ


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_the_cpu_quota_is_the_least_of_the_groups_and_its_parents(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    assert cpu_quota(tmp_path, own) == math.inf
    group(tmp_path / "outer" / "inner", cpu__max="max 100000")
    assert cpu_quota(tmp_path, own) == math.inf
    group(tmp_path / "outer", cpu__max="150000 100000")
    assert cpu_quota(tmp_path, own) == 1.5
    group(tmp_path, cpu__max="50000 100000")  # as a container sees its own group
    assert cpu_quota(tmp_path, own) == 0.5


def test_control_groups_of_version_1_are_read(tmp_path):
    own = tmp_path / "own"
    own.write_text("4:memory:/docker/1\n2:cpu,cpuacct:/docker/1\n")
    group(tmp_path / "cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert cpu_quota(tmp_path, own) == math.inf
    group(tmp_path / "cpu,cpuacct", cpu__cfs_quota_us="200000", cpu__cfs_period_us="100000")
    assert cpu_quota(tmp_path, own) == 2
    assert cpu_quota(tmp_path, tmp_path / "absent") == math.inf  # no Linux
