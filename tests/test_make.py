"""The Makefile's clear sentences, without installing anything."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def make_in(folder, *arguments):
    of_an_outer_make = {"MAKEFLAGS", "MAKELEVEL", "PYTHON", "TORCH_INDEX"}
    environment = {name: value for name, value in os.environ.items() if name not in of_an_outer_make}
    command = ["make", "--file", str(ROOT / "Makefile"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_an_old_python_is_refused_with_the_remedy(tmp_path):
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n')
    old.chmod(0o755)
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "constraints.txt").touch()
    result = make_in(tmp_path, "setup", f"PYTHON={old}")
    assert result.returncode != 0
    assert "is Python 3.9.2, and Q-Scorer Studio needs Python 3.11 or newer" in result.stderr
    assert "PYTHON=python3.12 make" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_missing_python_is_named_with_the_remedy(tmp_path):
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "constraints.txt").touch()
    result = make_in(tmp_path, "setup", "PYTHON=python3.99")
    assert result.returncode != 0
    assert "There is no python3.99 here." in result.stderr


def test_a_finished_set_up_does_nothing(tmp_path):
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "constraints.txt").touch()
    (tmp_path / "requirements-dev.txt").touch()
    (tmp_path / ".venv").mkdir()
    for stamp in [".made", ".ready", ".ready-test"]:
        (tmp_path / ".venv" / stamp).touch()
    result = make_in(tmp_path, "setup-test")
    assert result.returncode == 0, result.stderr
    assert "Installing" not in result.stdout
