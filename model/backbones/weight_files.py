"""Files of weights, safetensors and PyTorch's .bin, read one tensor at a time so that no model is ever held twice."""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from model.common.errors import ModelLoadError
from model.common.json_files import read_json
from model.common.lfs import check_no_pointer

AGAIN = "download this file again"
LET_GO = 2**26  # bytes read after which a mapping is dropped and made anew: what was read counts as memory until then


class WeightFile:
    """One file of named tensors. `shapes` are known at once; `read` gives a tensor in the file's dtype, on the CPU.

    The file is mapped into memory, so what has not been read takes none; only .bin files of PyTorch before 1.6 are read as a whole.
    """

    def __init__(self, path: Path):
        """Raises ModelLoadError, naming the file, when it is missing, cut off, or holds anything but tensors."""
        self.path = path
        check_is_weights(path)
        self._mapped = path.suffix == ".safetensors" or zipfile.is_zipfile(path)
        self._open()
        self.shapes = {name: self._shape(name) for name in self._content.keys()}
        if not self._mapped:
            self.close()

    def _open(self) -> None:
        self._unread = LET_GO
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
        """Let go of the mapped memory. Reading on opens the file again."""
        self._content = None


def check_is_weights(path: Path) -> None:
    """Raises ModelLoadError when the file is not there or is what Git LFS puts in its place."""
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
        raise ModelLoadError(f"{path} is not a safetensors file, or only a part of one ({error}): {AGAIN}.") from error


def load_bin(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .bin file, mapped where the format allows it. Never unpickles anything but tensors."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:
        # torch.load raises errors of many kinds for a file that is cut off or hostile; all mean this.
        raise ModelLoadError(
            f"{path} is not a file of PyTorch weights, or only a part of one, or holds more than tensors and was refused: {AGAIN}."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in content.values()):
        raise ModelLoadError(f"{path} holds something else than named tensors, so it is no part of a published model.")
    return content


def open_weights(folder: Path, stem: str) -> list[WeightFile]:
    """The files called `stem` in a folder: stem.safetensors, else stem.bin, or the shards that its *.index.json names. Empty for none.

    Raises ModelLoadError naming a shard that is missing, or a tensor missing from a shard.
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
        raise ModelLoadError(f"{index} has no weight_map that says which file holds which tensor: {AGAIN}.")
    names = sorted(set(places.values()))
    for name in names:
        if Path(name).name != name:
            raise ModelLoadError(f"{index} names the file {name}, which is not in its own folder: {AGAIN}.")
        if not (index.parent / name).is_file():
            missing = sum(not (index.parent / other).is_file() for other in names)
            raise ModelLoadError(
                f"{index.parent} lacks {name}, one of {len(names)} files that {index.name} names ({missing} missing): download it too."
            )
    for name in names:
        file = WeightFile(index.parent / name)
        absent = {key for key, place in places.items() if place == name} - file.shapes.keys()
        if absent:
            raise ModelLoadError(f"{file.path} lacks the tensor {min(absent)} that {index.name} promises: {AGAIN}.")
        yield file


def count_numbers(folder: Path) -> float:
    """How many numbers the weights in a model's folder are, by the headers of its files alone."""
    files = open_weights(folder, "model") or open_weights(folder, "pytorch_model")
    return float(sum(math.prod(shape) for file in files for shape in file.shapes.values()))
