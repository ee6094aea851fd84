"""How the trained systems do on BIQ2021's test part, beside ridge regression on the frozen encoder: one run, one table.

    python -m model.compare --data BIQ2021 --out runs

Takes what `python -m model.train` left in `--out`. Prints two JSON objects a system, each with the figures of
model.metrics.figures: on the test part "without near-duplicates", and on the "official" one, which flatters, but is what
others report. All four systems see the same stem maps of whole pictures.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from model import biq2021
from model.baselines import pooled
from model.backbones.lite_encoder import LiteEncoder, load_imagenet_weights
from model.commands import run
from model.errors import DataError
from model.metrics import figures
from model.train import CELLS, SYSTEMS, StemCache, predict


@torch.inference_mode()
def frozen_features(cache: StemCache, items: list[biq2021.Labelled]) -> np.ndarray:
    """Pooled maps of the encoder as ImageNet left it, [N, 992]."""
    encoder = LiteEncoder()
    load_imagenet_weights(encoder)
    encoder.to(memory_format=torch.channels_last)
    whole = slice(0, CELLS), slice(0, CELLS)
    batches = [items[n : n + 32] for n in range(0, len(items), 32)]
    features = [
        pooled(encoder.forward_from_stem(cache.batch(batch, whole, False)))
        for batch in tqdm(batches, desc="ridge", unit="batch", file=sys.stderr)
    ]
    return torch.cat(features).numpy()


def ridge_scores(cache: StemCache, train: list[biq2021.Labelled], test: list[biq2021.Labelled]) -> np.ndarray:
    """Scores [N] of the test pictures by ridge regression; its strength is chosen by cross-validation within the training pictures."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
    ridge.fit(frozen_features(cache, train), [item.mos for item in train])
    return ridge.predict(frozen_features(cache, test))


def test_scores(data: Path, out: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Each system's name and its scores [N] of the official test part. Raises DataError for a system that was not trained."""
    cache = StemCache(out / "stem.npy", biq2021.all_images(data))
    train, _ = biq2021.train_and_validation(data)
    test = biq2021.read_part(data, "Test")
    yield "ridge", ridge_scores(cache, train, test)
    for name, build in SYSTEMS.items():
        best = out / name / "best.pt"
        if not best.exists():
            raise DataError(f"{best} is not there: run python -m model.train --data {data} --out {out} first.")
        system = build()
        system.load_state_dict(torch.load(best, weights_only=True))
        yield name, predict(system.to(memory_format=torch.channels_last), cache, test)


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
