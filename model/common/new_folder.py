"""Writing a folder of weights atomically."""

import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from model.common.errors import ModelError

PREFIX = ".unfinished-"


@contextmanager
def new_folder(out: Path, error: type[ModelError], remedy: str) -> Iterator[Path]:
    """A hidden folder beside `out`, which is renamed to `out` at the end of the block, or removed if the block raises. Leftovers of killed
    processes beside `out` are removed first.

    Raises `error` when `out` exists or cannot be written; remedy: what to do when the disk is full or read-only.
    """
    if out.exists():
        raise error(f"{out} exists already: choose another name, or remove that folder first.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        clear_unfinished(out.parent)
        with _unfinished(out.parent) as temporary:
            folder = temporary / out.name
            folder.mkdir()
            yield folder
            share(folder)
            folder.rename(out)
    except (OSError, SafetensorError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise error(f"{out} could not be written ({reason}): {remedy}.") from fault


def clear_unfinished(parent: Path) -> None:
    """Remove unfinished folders whose process was killed, which released the lock."""
    for folder in parent.glob(f"{PREFIX}*/"):
        try:
            with _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)  # another user's files stay
        except (Timeout, PermissionError):
            continue


@contextmanager
def _unfinished(parent: Path) -> Iterator[Path]:
    """A new hidden folder, locked for its whole lifetime."""
    folder = parent / f"{PREFIX}{secrets.token_hex(4)}"
    with _locked(folder):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, a file beside it that is removed at the end. Raises Timeout if another process holds it."""
    file = folder.with_name(f"{folder.name}.lock")
    lock = FileLock(file, timeout=0)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()  # before removing the file: Windows cannot remove an open one
        file.unlink(missing_ok=True)


def share(folder: Path) -> None:
    """Give safetensors files the permissions of the JSON files beside them: they are written readable by their owner only."""
    usual = next(folder.glob("*.json")).stat().st_mode
    for file in folder.glob("*.safetensors"):
        file.chmod(stat.S_IMODE(usual))
