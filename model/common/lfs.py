"""Git LFS pointers: what `git clone` leaves in the place of a large file where Git LFS is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.common.errors import ModelError, ModelLoadError, TooLittleMemory

_START = b"version https://git-lfs.github.com/spec/"
_LONGEST = 1024  # bytes of a pointer, by its specification


def is_pointer(content: bytes) -> bool:
    """Whether a file that begins with these bytes (the first 40 or more) is a pointer."""
    return content.startswith(_START)


def check_no_pointer(content: bytes, path: Path, error: type[ModelError]) -> None:
    """Raises `error` where the file that begins with these bytes is a pointer."""
    if is_pointer(content):
        raise error(
            f"{path} is a Git LFS pointer, not the file: run 'git lfs pull' in its folder, or download the file itself."
        )


@contextmanager
def pointers_named(*folders: Path | None) -> Iterator[None]:
    """Where a model cannot be loaded within, and its folders hold a pointer, that is the reason: raises ModelLoadError with the pointer's
    name. Only then are they looked for, since a repository may hold files, and pointers, that no model is loaded from."""
    try:
        yield
    except TooLittleMemory:
        raise
    except ModelLoadError:
        for path in sorted(path for folder in folders if folder for path in folder.iterdir() if path.is_file()):
            if path.stat().st_size <= _LONGEST:
                check_no_pointer(path.read_bytes(), path, ModelLoadError)
        raise
