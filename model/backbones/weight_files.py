"""Reads files of weights, safetensors and PyTorch's .bin, one tensor at a time, so that no model is in memory twice."""

import math
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from model.common.errors import ModelLoadError, first_line
from model.common.json_files import read_json
from model.common.lfs import check_no_pointer

AGAIN = "download this file again"
REMAP = 2**26  # bytes read after which a file is mapped again: pages that were read count as used memory until then


class WeightFile:
    """One file of named tensors: `shapes` by name, and `read` for a tensor in the file's dtype, on the CPU.

    The file is memory-mapped; only .bin files of PyTorch before 1.6 are read as a whole.
    """

    def __init__(self, path: Path):
        """Raises ModelLoadError when the file is missing, truncated, or contains anything but tensors."""
        self.path = path
        check_is_weights(path)
        self._mapped = path.suffix == ".safetensors" or zipfile.is_zipfile(path)
        self._open()
        self.shapes = {name: self._shape(name) for name in self._content.keys()}
        if not self._mapped:
            self.close()

    def _open(self) -> None:
        self._unread = REMAP
        self._content = open_safetensors(self.path) if self.path.suffix == ".safetensors" else load_bin(self.path)

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(
            self._content[name].shape if isinstance(self._content, dict) else self._content.get_slice(name).get_shape()
        )

    def read(self, name: str) -> torch.Tensor:
        if self._content is None or (self._unread < 0 and self._mapped):
            self._open()
        tensor = self._content[name] if isinstance(self._content, dict) else self._content.get_tensor(name)
        self._unread -= tensor.nbytes
        return tensor

    def close(self) -> None:
        """Release the mapped memory. `read` opens the file again."""
        self._content = None


def check_is_weights(path: Path) -> None:
    """Raises ModelLoadError when the file is missing, empty or a Git LFS pointer."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise ModelLoadError(
            f"{path} cannot be read ({error.strerror}): download it again, the folder is incomplete."
        ) from error
    check_no_pointer(start, path, ModelLoadError)
    if not start:
        raise ModelLoadError(f"{path} is empty: {AGAIN}.")


def open_safetensors(path: Path) -> safe_open:
    try:
        return safe_open(path, "pt")
    except (OSError, SafetensorError) as error:
        raise ModelLoadError(
            f"{path} is not a safetensors file, or truncated ({first_line(error)}): {AGAIN}."
        ) from error


def load_bin(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .bin file, memory-mapped if the format allows it. Unpickles nothing but tensors."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:
        # torch.load raises errors of many kinds for a truncated or hostile file.
        raise ModelLoadError(
            f"{path} is not a file of PyTorch weights, truncated, or contains more than tensors and was refused: {AGAIN}."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in content.values()):
        raise ModelLoadError(f"{path} does not consist of named tensors, so it does not belong to a published model.")
    return content


def open_weights(folder: Path, stem: str) -> list[WeightFile]:
    """The weight files `stem` in a folder: the shards in *.index.json or a single file, safetensors before .bin; empty if there are none.

    Raises ModelLoadError, naming a shard that is missing, or a tensor missing from a shard.
    """
    for suffix in (".safetensors", ".bin"):
        index, single = folder / f"{stem}{suffix}.index.json", folder / f"{stem}{suffix}"
        if index.is_file():
            return list(open_shards(index))
        if single.is_file():
            return [WeightFile(single)]
    return []


def open_shards(index: Path) -> Iterator[WeightFile]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise ModelLoadError(f"{index} has no valid weight_map from tensors to files: {AGAIN}.")
    names = sorted(set(places.values()))
    for name in names:
        if Path(name).name != name:
            raise ModelLoadError(f"{index} names the file {name}, which is not in its own folder: {AGAIN}.")
        if not (index.parent / name).is_file():
            missing = sum(not (index.parent / other).is_file() for other in names)
            raise ModelLoadError(
                f"{index.parent} lacks {name}, one of {len(names)} files in {index.name} ({missing} missing): download it too."
            )
    for name in names:
        file = WeightFile(index.parent / name)
        absent = {key for key, place in places.items() if place == name} - file.shapes.keys()
        if absent:
            raise ModelLoadError(f"{file.path} lacks the tensor {min(absent)}, which {index.name} lists: {AGAIN}.")
        yield file


def count_numbers(folder: Path) -> float:
    """The number of parameters in a model's folder, from the headers of its weight files."""
    files = open_weights(folder, "model") or open_weights(folder, "pytorch_model")
    return float(sum(math.prod(shape) for file in files for shape in file.shapes.values()))


def check_tensors(
    file: Path, missing: Iterable[str] = (), unexpected: Iterable[str] = (), misshapen: Iterable[str] = ()
) -> None:
    """Raises ModelLoadError for the first of the tensors that `file` lacks, has in excess, or has in another shape than its config says."""
    faults = {
        "lacks the tensor": missing,
        "has an unexpected tensor:": unexpected,
        "has a tensor of the wrong shape:": misshapen,
    }
    for fault, names in faults.items():
        if names := sorted(names):
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise ModelLoadError(
                f"{file} {fault} {names[0]}{more}: weights and configuration do not belong together, so download them again."
            )
