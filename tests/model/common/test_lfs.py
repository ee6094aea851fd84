"""Git LFS pointers are called that wherever the file itself was expected."""

import shutil
from pathlib import Path

import pytest
import torch

from model.backbones.mplug_owl2.converting import convert
from model.common.devices import choose_device
from model.common.errors import DataError, ImageError, ModelError, ModelLoadError
from model.datasets.reading import read_dataset
from model.images.decoding import open_image
from model.loading.known import SHIPPED, resolve
from model.loading.opening import load_backbone, open_to_train

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def put(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.write_bytes(POINTER)
    return path


def refused(error: type[ModelError], path: Path):
    return pytest.raises(error, match=f"^{path} is a Git LFS pointer, not the file: run 'git lfs pull'")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "processor_config.json"])
def test_a_pointer_in_a_model_folder_is_named(name, tmp_path):
    folder = Path(shutil.copytree(SHIPPED["nano"], tmp_path / "copy"))
    path = put(folder / name)
    found = resolve(str(folder))
    for use in (
        lambda: load_backbone(found, choose_device("cpu"), "auto", "quality"),
        lambda: open_to_train(found, torch.device("cpu"), "auto"),
    ):
        with refused(ModelLoadError, path):
            use()


def test_a_pointer_that_no_model_needs_is_ignored(tmp_path):
    folder = Path(shutil.copytree(SHIPPED["nano"], tmp_path / "copy"))
    put(folder / "pytorch_model.bin")
    load_backbone(resolve(str(folder)), choose_device("cpu"), "auto", "quality")


def test_a_pointer_in_a_folder_to_convert_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with refused(ModelLoadError, put(tmp_path / "pytorch_model.bin")):
        convert(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "labels.json"])
def test_a_pointer_in_place_of_labels_is_named(name, tmp_path):
    with refused(DataError, put(tmp_path / name)):
        read_dataset(tmp_path / name)


def test_a_pointer_in_place_of_an_image_is_named(tmp_path):
    with pytest.raises(ImageError, match="^a Git LFS pointer, not the image: run 'git lfs pull'"):
        open_image(put(tmp_path / "a.jpg"))
