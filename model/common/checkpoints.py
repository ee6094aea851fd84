"""Checkpoints of a training: written in whole or not at all."""

from pathlib import Path

import torch

from model.common.errors import DataError


def write_state(path: Path, state: dict) -> None:
    """Write the file in whole or not at all. Raises OSError, which torch.save does only for a file that was opened before."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        torch.save(state, file)
    unfinished.rename(path)


def read_state(path: Path, device: torch.device) -> dict:
    """What `write_state` wrote. Raises DataError for a damaged file."""
    try:
        return torch.load(path, weights_only=True, map_location=device)
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        raise DataError(f"the checkpoint {path} is damaged: remove it, and training starts anew.") from error
