"""A real data folder for each test, and processes that share it."""

import subprocess
import sys
from pathlib import Path

import pytest

from annotations import Annotations, ShownScore, open_annotations

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(data_dir: Path) -> Annotations:
    return open_annotations(data_dir)


@pytest.fixture
def shown() -> ShownScore:
    return ShownScore(model="nano", revision="r1", score=4.0, scale=(1.0, 5.0))


@pytest.fixture
def start_python(data_dir: Path):
    """Starts `python -c code DATA_DIR arguments...` in the repository with its output captured as text."""
    started = []

    def start(code: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-c", code, str(data_dir), *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
