"""How the trained systems do on BIQ2021's test part, beside ridge regression on the encoder: one run, one table.

    python -m model.compare --data BIQ2021 --out runs

Takes what `python -m model.train` left in `--out`. Prints two JSON objects a system, each with the figures of model.metrics.figures: on the
test part "without near-duplicates", and on the "official" one, which flatters, but is what others report. With --without SUBSET, after
a training that left it out, one object a system: on that subset. "ridge" is ridge regression on the encoder as ImageNet made it,
"ridge-on-trained" on the encoder as training left it: what that encoder knows, without a language model.
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
from model.train import BATCH_SIZE, Systems, best_of, predict


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


def read_parts(data: Path, without: str | None) -> tuple[list[RatedImage], list[RatedImage], dict[str, list[bool]]]:
    """(training, test, parts of the test by name, each saying which test pictures are in it)."""
    if without:
        training, _, test = biq2021.leave_one_subset_out(data, without)
        return training, test, {without: [True] * len(test)}
    training, _ = biq2021.train_and_validation(data)
    test, kept = biq2021.read_part(data, "Test"), set(biq2021.test_part(data))
    return training, test, {"without near-duplicates": [one in kept for one in test], "official": [True] * len(test)}


def test_scores(
    systems: Systems, training: Sequence[RatedImage], test: Sequence[RatedImage]
) -> Iterator[tuple[str, np.ndarray]]:
    """Each system's name and its scores [N] of the test pictures."""
    for name, scores in predict(systems, test).items():
        yield name, scores.numpy()
    frozen = LiteEncoder()
    load_imagenet_weights(frozen)
    for name, encoder in (("ridge", frozen), ("ridge-on-trained", systems.encoder)):
        yield name, ridge_scores(encoder, systems.processor, training, test)


def compare(data: Path, out: Path, without: str | None = None) -> int:
    """Print the table. Raises DataError when the systems were not trained."""
    systems = best_of(out)
    training, test, parts = read_parts(data, without)
    mos = np.array([item.mos for item in test])
    for name, scores in test_scores(systems, training, test):
        for part, chosen in parts.items():
            print(json.dumps({"system": name, "part": part, **figures(scores[chosen], mos[chosen])}), flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.compare", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a clone of github.com/nisarahmedrana/BIQ2021")
    parser.add_argument("--out", type=Path, required=True, help="the folder that python -m model.train filled")
    parser.add_argument("--without", choices=biq2021.SUBSETS, help="the subset that was left out, to test on")
    arguments = parser.parse_args()
    return run(lambda: compare(arguments.data, arguments.out, arguments.without))


if __name__ == "__main__":
    sys.exit(main())
