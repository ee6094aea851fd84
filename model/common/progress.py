"""How far a model is on its way from the hub into memory: what whoever waits for it is told, and their way to stop it."""

from collections.abc import Callable

DOWNLOADING, LOADING = "Downloading", "Loading"

# Called with DOWNLOADING (in bytes) or LOADING (in numbers or tensors), how much is done, and how much there is in all.
# What it raises ends the download or the loading, and reaches whoever asked for the model.
Progress = Callable[[str, int, int], None]


def in_words(stage: str, done: int, total: int) -> str:
    """What a bar beside it does not say: `Downloading: 1.2 of 16.4 GB`."""
    if stage != DOWNLOADING:
        return stage
    size, unit = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    return f"{stage}: {done / size:.1f} of {total / size:.1f} {unit}"
