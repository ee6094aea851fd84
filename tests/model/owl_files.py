"""The files of a set of fixtures: images, what lies beside the weights, and weights in the published containers."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from model.common.json_files import write_json
from tests.model.owl_reference import State
from tests.model.owl_shapes import MEAN, STD, Shape, Text, pixels_of


def write_images(folder: Path, shape: Shape, count: int, name: str) -> list[Image.Image]:
    random = np.random.default_rng(shape.seed)
    images = []
    for n in range(count):
        width, height = shape.images[n % len(shape.images)]
        colours = random.integers(0, 256, (5, 4, 3), dtype=np.uint8)
        image = Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / name.format(n))
        images.append(image)
    return images


def pixels_in(kind: Path, shape: Shape) -> torch.Tensor:
    images = [Image.open(path).convert("RGB") for path in sorted((kind / "inputs").glob("image_*.png"))]
    return torch.stack([pixels_of(image, shape.side)[1] for image in images])


def write_inputs(kind: Path, shape: Shape) -> torch.Tensor:
    for n, image in enumerate(write_images(kind / "inputs", shape, len(shape.images), "image_{}.png")):
        pixels_of(image, shape.side)[0].save(kind / "inputs" / f"square_{n}.png")
    return pixels_in(kind, shape)


def write_folder(folder: Path, shape: Shape, config: dict, text: Text, old_sizes: bool = False) -> None:
    """What lies beside the weights."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)
    (folder / "tokenizer.model").write_bytes(text.pieces.serialized_model_proto())
    if text.added:
        write_json(folder / "added_tokens.json", text.added)
    side = shape.side
    sizes = {"size": side, "crop_size": side} if old_sizes else {
        "size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}
    }  # fmt: skip
    write_json(folder / "preprocessor_config.json", sizes | {"image_mean": MEAN, "image_std": STD, "resample": 3})


def halved(state: State) -> State:
    return {name: value.half().contiguous() for name, value in state.items()}


def save_shards(folder: Path, state: State, count: int, name: str) -> None:
    """.bin shards with an index; `name` as the original program calls them."""
    names, places = list(state), {}
    for n in range(count):
        part = {key: state[key] for key in names[n::count]}
        places |= dict.fromkeys(part, name.format(n + 1, count))
        torch.save(halved(part), folder / name.format(n + 1, count))
    write_json(folder / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": places})


def write_checkpoints(kind: Path, shape: Shape, config: dict, state: State, text: Text) -> None:
    write_folder(kind / "checkpoint_safetensors", shape, config, text)
    save_file(halved(state), kind / "checkpoint_safetensors" / "model.safetensors", {"format": "pt"})
    write_folder(kind / "checkpoint_bin", shape, config, text)
    save_shards(kind / "checkpoint_bin", state, shape.shards, "pytorch_model-{:05}-of-{:05}.bin")
