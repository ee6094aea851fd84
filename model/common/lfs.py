"""Git LFS pointers: the small files that `git clone` writes in place of large ones where Git LFS is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.common.errors import ModelError, ModelLoadError, TooLittleMemory

_START = b"version https://git-lfs.github.com/spec/"
_LONGEST = 1024  # bytes of a pointer, by its specification


def is_pointer(content: bytes) -> bool:
    """Whether a file is a pointer, by its first 40 or more bytes."""
    return content.startswith(_START)


def check_no_pointer(content: bytes, path: Path, error: type[ModelError]) -> None:
    """Raises `error` if the file at `path`, whose first bytes are `content`, is a pointer."""
    if is_pointer(content):
        raise error(
            f"{path} is a Git LFS pointer, not the file: run 'git lfs pull' in its folder, or download the file itself."
        )


@contextmanager
def pointers_named(*folders: Path | None) -> Iterator[None]:
    """Replaces a ModelLoadError of the block by one that names a pointer, if the folders hold one.

    Pointers are searched for only after a failure, since a repository may hold pointers for files that no model needs.
    """
    try:
        yield
    except TooLittleMemory:
        raise
    except ModelLoadError:
        for path in sorted(path for folder in folders if folder for path in folder.iterdir() if path.is_file()):
            if path.stat().st_size <= _LONGEST:
                check_no_pointer(path.read_bytes(), path, ModelLoadError)
        raise
