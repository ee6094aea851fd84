"""The folders that a model is loaded from, and the revision that identifies its weights."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

DECIDING = {".safetensors", ".bin", ".model"}  # files that affect scores, besides the settings named in `revision`

QUALITY = "quality"  # the task that every model supports


@dataclass(frozen=True)
class Spec:
    """The folders of a scorer's base and adapter (if any), and the preset of its readout (if it needs one)."""

    name: str
    base: Path
    adapter: Path | None
    readout: str | None = None


def revision(found: Spec) -> str:
    """Twelve hex digits that identify the weights: of the SHA-256 over the files that affect scores."""
    digest = hashlib.sha256()
    for folder in filter(None, (found.base, found.adapter)):
        for path in sorted(folder.iterdir()):
            if path.suffix in DECIDING or path.name in ("config.json", "adapter_config.json", "readout.json"):
                known = path.stat()
                digest.update(file_digest(path, known.st_size, known.st_mtime_ns))
    return digest.hexdigest()[:12]


@lru_cache(1024)
def file_digest(path: Path, size: int, changed: int) -> bytes:
    """The SHA-256 of a file, cached by size and modification time: gigabytes take a minute."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
