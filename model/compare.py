"""How the trained systems do on BIQ2021's test part, beside ridge regression on the encoder: one run, one table.

    python -m model.compare --data BIQ2021 --out runs

Takes what `python -m model.train` left in `--out`. Prints two JSON objects a system, each with the figures of
model.metrics.figures: on the test part "without near-duplicates", and on the "official" one, which flatters, but is what
others report. "ridge" is ridge regression on the encoder as ImageNet made it, "ridge-on-trained" on the encoder as
training left it: what that encoder knows, without a language model.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from model import biq2021
from model.backbones.lite_encoder import LiteEncoder, load_imagenet_weights
from model.backbones.nano import NanoProcessor
from model.baselines import pooled
from model.commands import run
from model.images import open_image
from model.metrics import figures
from model.rated import RatedImage
from model.train import BATCH_SIZE, best_of, predict


@torch.inference_mode()
def pooled_features(encoder: LiteEncoder, processor: NanoProcessor, items: Sequence[RatedImage]) -> np.ndarray:
    """The encoder's pooled maps of whole pictures, [N, 992]."""
    features = []
    for start in tqdm(range(0, len(items), BATCH_SIZE), desc="features", unit="batch", file=sys.stderr):
        pixels = [processor.pixels(open_image(item.image)) for item in items[start : start + BATCH_SIZE]]
        features.append(pooled(encoder(torch.stack(pixels).contiguous(memory_format=torch.channels_last))))
    return torch.cat(features).numpy()


def ridge_scores(
    encoder: LiteEncoder, processor: NanoProcessor, train: Sequence[RatedImage], test: Sequence[RatedImage]
) -> np.ndarray:
    """Scores [N] of the test pictures by ridge regression; its strength is chosen by cross-validation in the training part."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    encoder.to(memory_format=torch.channels_last)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
    ridge.fit(pooled_features(encoder, processor, train), [item.mos for item in train])
    return ridge.predict(pooled_features(encoder, processor, test))


def test_scores(data: Path, out: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Each system's name and its scores [N] of the official test part. Raises DataError when they were not trained."""
    systems = best_of(data, out)
    train, _ = biq2021.train_and_validation(data)
    test = biq2021.read_part(data, "Test")
    for name, scores in predict(systems, test).items():
        yield name, scores.numpy()
    frozen = LiteEncoder()
    load_imagenet_weights(frozen)
    for name, encoder in (("ridge", frozen), ("ridge-on-trained", systems.encoder)):
        yield name, ridge_scores(encoder, systems.processor, train, test)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.compare", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a clone of github.com/nisarahmedrana/BIQ2021")
    parser.add_argument("--out", type=Path, required=True, help="the folder that python -m model.train filled")
    arguments = parser.parse_args()
    return run(lambda: compare(arguments.data, arguments.out))


def compare(data: Path, out: Path) -> int:
    official = biq2021.read_part(data, "Test")
    mos, kept = np.array([item.mos for item in official]), set(biq2021.test_part(data))
    parts = {"without near-duplicates": [item in kept for item in official], "official": [True] * len(official)}
    for name, scores in test_scores(data, out):
        for part, chosen in parts.items():
            print(json.dumps({"system": name, "part": part, **figures(scores[chosen], mos[chosen])}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
