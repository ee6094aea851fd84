"""Programs as `python -m NAME ARGUMENTS` or `python FILE ARGUMENTS` runs them, each in a fork of one process with the libraries.

A fork starts in a tenth of a second where a new Python takes ten, and is as separate: it has its own modules of ours, its own environment,
folder and output. What is about the start itself (no torch imported, settings that a library reads on import) needs a new Python.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
METHODS = multiprocessing.get_all_start_methods()
FORKS = multiprocessing.get_context("forkserver" if "forkserver" in METHODS else "spawn")
FORKS.set_forkserver_preload(["tests.libraries"])


def python_m(module: str, *arguments: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """What `python -m module arguments`, or `python FILE.py arguments`, in the folder `cwd` says and ends with; nobody answers it."""
    command = [module, *map(str, arguments)]
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = start(command, out, err, cwd, **environment)
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
            raise TimeoutError(f"{command} did not end:\n{err.read_text()}")
        return subprocess.CompletedProcess(command, process.exitcode, out.read_text(), err.read_text())


def start(command: list[str], out: Path, err: Path, cwd: Path = ROOT, **environment: str) -> BaseProcess:
    """A module or a file (*.py) with its arguments at work, which writes to the files `out` and `err`; these may be one."""
    process = FORKS.Process(target=_run, args=(command, cwd, {**os.environ, **environment}, out, err))
    process.start()
    return process


def _run(command: list[str], cwd: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    written = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, file, flags in ((0, os.devnull, os.O_RDONLY), (1, out, written), (2, err, written)):
        os.dup2(os.open(file, flags, 0o600), number)
    sys.stdin, sys.stdout = open(0), open(1, "w")
    sys.stderr = open(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(environment)
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]  # it reads its settings when it is imported
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    sys.argv = command
    if command[0].endswith(".py"):
        runpy.run_path(command[0], run_name="__main__")
    else:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
