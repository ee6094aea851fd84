"""A tiny nano with random weights and a gallery of rated images: enough to train in a second."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from annotations import open_annotations
from model.backbones.nano.network import (
    LEVEL_WORDS,
    SCORE_TOKENS,
    NanoConfig,
    NanoModel,
    NanoProcessor,
    build_tokenizer,
)
from model.common.scale import Scale
from model.datasets.rated import RatedImage


def tiny_base(folder: Path, kind: str = "score_token", seed: int = 0, scale=Scale(1.0, 5.0)) -> Path:
    """A folder with a nano of two narrow decoder layers that looks at 64 x 64 pixels; its scores lie about the middle of the scale."""
    torch.manual_seed(seed)
    processor = NanoProcessor(build_tokenizer(), side=64)
    tokens = list(SCORE_TOKENS if kind == "score_token" else LEVEL_WORDS)
    model = NanoModel(
        NanoConfig(
            vocab_size=len(processor.tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            regressor_widths=(16, 8) if kind == "score_token" else (),
            readout={"kind": kind, "tokens": tokens, "scale": list(scale)},
        )
    )
    enliven(model)
    for parameter in [*model.connector.parameters(), model.lm_head.weight]:
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    if kind == "score_token":
        for layer in [*model.regressor.layers, model.regressor.output]:
            torch.nn.init.normal_(layer.weight, std=0.2)
        torch.nn.init.constant_(model.regressor.output.bias, sum(scale) / 2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def enliven(model: NanoModel) -> None:
    """Make an untrained encoder as lively as a trained one: with the weights that transformers draws it hardly sees the image."""
    for part in model.encoder.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight)


def gallery(folder: Path, count: int = 12) -> list[RatedImage]:
    """`count` images of rising brightness and grain, rated 1.5 to 4.5 in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    rated = []
    for n in range(count):
        path = folder / f"{n:02}.png"
        pixels = 40 + 120 * n / count + random.normal(0, 4 + 4 * (n % 5), (64, 64, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        rated.append(RatedImage(path, 1.5 + 3 * n / (count - 1), None, 1))
    return rated


def rate(data: Path, rated: Sequence[RatedImage], **how) -> None:
    """Keep Ada's rating of each image in the data folder; `how` as record_rating takes it."""
    annotations = open_annotations(data)
    for record in rated:
        annotations.record_rating("Ada", record.image.read_bytes(), record.mos, suffix="png", **how)
