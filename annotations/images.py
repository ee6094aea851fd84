"""Image files under the names of their content: `images/ab/abcdef….jpg`, where abcdef… is the SHA-256."""

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotations.errors import AnnotationError

SUFFIXES = ("jpg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic")
OTHER_SPELLINGS = {
    "jpeg": "jpg",
    "jpe": "jpg",
    "jfif": "jpg",
    "mpo": "jpg",
    "apng": "png",
    "dib": "bmp",
    "tif": "tiff",
    "heif": "heic",
    "hif": "heic",
}
MAX_BYTES = 256 * 1024 * 1024
MAX_NAME = 255


def image_sha256(data: bytes) -> str:
    """The name under which an image is kept: the SHA-256 of its file, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def clean_suffix(suffix: str | None) -> str:
    """One of SUFFIXES for "jpg", ".JPG", "jpeg", ...; raises AnnotationError for anything else."""
    plain = (suffix or "").lower().removeprefix(".")
    plain = OTHER_SPELLINGS.get(plain, plain)
    if plain not in SUFFIXES:
        raise AnnotationError(f"Images of the kind {suffix!r} are not kept: use one of {', '.join(SUFFIXES)}.")
    return plain


def clean_file_name(name: str | None) -> str | None:
    """The last part of a file's name in NFC without control characters, at most MAX_NAME characters; None where nothing is left."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter for letter in unicodedata.normalize("NFC", last) if unicodedata.category(letter)[0] != "C")
    return shown.strip()[-MAX_NAME:] or None


def check_size(data: bytes) -> None:
    """Raises AnnotationError for an empty image file or one above MAX_BYTES."""
    if not data:
        raise AnnotationError("The image file is empty: choose another image.")
    if len(data) > MAX_BYTES:
        raise AnnotationError(
            f"The image file has {len(data) / 2**20:.0f} MiB, more than the {MAX_BYTES // 2**20} that are kept: "
            "save it smaller and rate that."
        )


def relative_path(sha256: str, suffix: str) -> Path:
    """Where an image lies below the images folder."""
    return Path(sha256[:2], f"{sha256}.{suffix}")


@contextmanager
def kept_image(folder: Path, data: bytes, path: Path) -> Iterator[None]:
    """Keeps `data` at `path`, whole or not at all; when the block within fails, a file that is new is taken away again.

    Only whoever holds the database's write lock may use this: that lock makes the one incoming file safe, and a crash
    leaves at most that file, which the next image overwrites. Raises OSError when the disk refuses.
    """
    existed = path.is_file()
    if not existed or path.stat().st_size != len(data):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(folder / "incoming", data, path)
    try:
        yield
    except BaseException:
        if not existed:
            path.unlink(missing_ok=True)
        raise


def _write_atomically(incoming: Path, data: bytes, path: Path) -> None:
    try:
        with incoming.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(incoming, path)
    except OSError:
        incoming.unlink(missing_ok=True)
        raise
    # The new name is only safe from a power cut once its folder is on disk. Windows opens no folders and needs none.
    if os.name == "posix":
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
