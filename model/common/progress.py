"""Progress of downloading and loading a model."""

from collections.abc import Callable

DOWNLOADING, LOADING = "Downloading", "Loading"

# Called as (stage, done, total): DOWNLOADING in bytes, LOADING in numbers or tensors.
# An exception that it raises cancels the download or the loading, and reaches the caller.
Progress = Callable[[str, int, int], None]


def in_words(stage: str, done: int, total: int) -> str:
    """The caption of a progress bar, such as `Downloading: 1.2 of 16.4 GB`."""
    if stage != DOWNLOADING:
        return stage
    size, unit = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    return f"{stage}: {done / size:.1f} of {total / size:.1f} {unit}"
