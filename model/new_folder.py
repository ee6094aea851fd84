"""A folder of weights that is there in whole or not at all."""

import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from model.errors import ModelError


@contextmanager
def new_folder(out: Path, error: type[ModelError], remedy: str) -> Iterator[Path]:
    """A hidden folder beside `out` that becomes `out` when all went well, and is gone when not.

    Raises `error` when `out` exists or cannot be written; remedy: what to do where the disk is full or refuses.
    """
    if out.exists():
        raise error(f"{out} exists already: choose another name, or remove that folder first.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=out.parent) as temporary:
            folder = Path(temporary, out.name)
            folder.mkdir()
            yield folder
            share(folder)
            folder.rename(out)
    except (OSError, SafetensorError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise error(f"{out} could not be written ({reason}): {remedy}.") from fault


def share(folder: Path) -> None:
    """Give the safetensors files in a folder the permissions of the JSON files beside them: as written they are for their owner alone."""
    usual = next(folder.glob("*.json")).stat().st_mode
    for file in folder.glob("*.safetensors"):
        file.chmod(stat.S_IMODE(usual))
