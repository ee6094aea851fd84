"""A new folder is there in whole or not at all, however its process ends."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from model import finetune
from model.common.errors import DataError
from model.common.new_folder import PREFIX, clear_unfinished, new_folder
from tests.model.tiny import gallery, rate, tiny_base

ROOT = Path(__file__).parents[3]
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

WORK = """
import sys, time
from pathlib import Path
from model.common.command_line import run
from model import finetune
from model.common.errors import DataError
from model.common.new_folder import new_folder
def program():
    with new_folder(Path(sys.argv[1]), DataError, "try again") as folder:
        (folder / "half.json").write_text("{")
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
sys.exit(run(program))
"""


def make(out: Path) -> None:
    with new_folder(out, DataError, "try again") as folder:
        (folder / "whole.json").write_text("{}")


@pytest.fixture
def at_work(tmp_path):
    """A process that works on the new folder `busy`."""
    with subprocess.Popen(
        [sys.executable, "-c", WORK, str(tmp_path / "busy")], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_is_written_and_nothing_is_left_beside_it(tmp_path):
    make(tmp_path / "new")
    assert names(tmp_path) == ["new"] and names(tmp_path / "new") == ["whole.json"]
    with pytest.raises(DataError, match="exists already"):
        make(tmp_path / "new")


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "new", DataError, "try again"):
        _ = 1 / 0
    with (
        pytest.raises(DataError, match="could not be written .*try again"),
        new_folder(tmp_path / "new", DataError, "try again"),
    ):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_leaves_nothing(name, at_work, tmp_path):
    number = getattr(signal, name)
    at_work.send_signal(number)
    assert at_work.wait(timeout=300) == 128 + number
    assert names(tmp_path) == []


def test_leftovers_of_a_killed_process_are_removed_and_a_running_ones_are_kept(at_work, tmp_path):
    there = names(tmp_path)
    assert [name.startswith(PREFIX) for name in there] == [True, True]  # the folder and its lock
    make(tmp_path / "new")
    assert names(tmp_path) == [*there, "new"]
    at_work.kill()
    at_work.wait(timeout=300)
    assert names(tmp_path) == [*there, "new"]
    clear_unfinished(tmp_path)
    assert names(tmp_path) == ["new"]


@posix
@pytest.mark.slow
def test_an_interrupted_fine_tuning_leaves_nothing(tmp_path):
    base = tiny_base(tmp_path / "base")
    rate(tmp_path / "data", gallery(tmp_path / "images", 10))
    adapters, over = tmp_path / "data" / "adapters", threading.Event()

    def end() -> None:
        while not list(adapters.glob(f"{PREFIX}*/taste")) and not over.wait(0.01):
            pass
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(
        signal.SIGTERM, lambda *_: None
    )  # one that comes too late fails the test and does not end it
    ender = threading.Thread(target=end)
    ender.start()
    try:
        with pytest.raises(SystemExit) as ended:
            finetune.main(
                ["--data-dir", str(tmp_path / "data"), "--model", str(base), "--out", "taste", "--rung", "lora"]
            )
    finally:
        over.set()
        ender.join()
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 128 + signal.SIGTERM
    assert names(adapters) == []
