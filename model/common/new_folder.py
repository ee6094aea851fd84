"""A folder of weights that is there in whole or not at all."""

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
    """A hidden folder beside `out` that becomes `out` when all went well, and is gone when not. What a process that was killed left beside
    `out` is removed first.

    Raises `error` when `out` exists or cannot be written; remedy: what to do where the disk is full or refuses.
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
    """Remove the unfinished folders that nobody works in any more: their processes were killed, and with them went their locks."""
    for folder in parent.glob(f"{PREFIX}*/"):
        try:
            with _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)  # what another user owns stays
        except (Timeout, PermissionError):
            continue


@contextmanager
def _unfinished(parent: Path) -> Iterator[Path]:
    """A new hidden folder, locked from before it is made until it is removed."""
    folder = parent / f"{PREFIX}{secrets.token_hex(4)}"
    with _locked(folder):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises Timeout where another process holds the lock, a file beside the folder that is removed with it."""
    file = folder.with_name(f"{folder.name}.lock")
    lock = FileLock(file, timeout=0)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()  # before the file goes: Windows removes none that is open
        file.unlink(missing_ok=True)


def share(folder: Path) -> None:
    """Give the safetensors files in a folder the permissions of the JSON files beside them: as written they are for their owner alone."""
    usual = next(folder.glob("*.json")).stat().st_mode
    for file in folder.glob("*.safetensors"):
        file.chmod(stat.S_IMODE(usual))
