"""How the trained systems do on BIQ2021's test part, beside ridge regression on the encoder: one run, one table.

    python -m model.compare --data BIQ2021 --out runs

Takes what `python -m model.train` left in `--out`. Prints two JSON objects a system, each with the figures of
model.metrics.figures: on the test part "without near-duplicates", and on the "official" one, which flatters, but is what
others report. All systems see the same stem maps of whole pictures. "ridge-on-nano" is ridge regression on the encoder
as nano's training left it: what that encoder knows, without the decoder.
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
from model.rated import RatedImage
from model.train import CELLS, SYSTEMS, StemCache, predict


@torch.inference_mode()
def pooled_features(encoder: LiteEncoder, cache: StemCache, items: list[RatedImage]) -> np.ndarray:
    """The encoder's pooled maps, [N, 992]."""
    encoder.to(memory_format=torch.channels_last)
    whole = slice(0, CELLS), slice(0, CELLS)
    batches = [items[n : n + 32] for n in range(0, len(items), 32)]
    features = [
        pooled(encoder.forward_from_stem(cache.batch(batch, whole, False)))
        for batch in tqdm(batches, desc="features", unit="batch", file=sys.stderr)
    ]
    return torch.cat(features).numpy()


def ridge_scores(encoder: LiteEncoder, cache: StemCache, train: list[RatedImage], test: list[RatedImage]) -> np.ndarray:
    """Scores [N] of the test pictures by ridge regression; its strength is chosen by cross-validation in the training part."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
    ridge.fit(pooled_features(encoder, cache, train), [item.mos for item in train])
    return ridge.predict(pooled_features(encoder, cache, test))


def test_scores(data: Path, out: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Each system's name and its scores [N] of the official test part. Raises DataError for a system that was not trained."""
    trained = {name: best_of(name, data, out) for name in SYSTEMS}
    cache = StemCache(out / "stem.npy", biq2021.all_images(data))
    train, _ = biq2021.train_and_validation(data)
    test = biq2021.read_part(data, "Test")
    for name, system in trained.items():
        yield name, predict(system.to(memory_format=torch.channels_last), cache, test)
    frozen = LiteEncoder()
    load_imagenet_weights(frozen)
    for name, encoder in (("ridge", frozen), ("ridge-on-nano", trained["nano"].encoder)):
        yield name, ridge_scores(encoder, cache, train, test)


def best_of(name: str, data: Path, out: Path) -> torch.nn.Module:
    """The system with the weights that validation chose. Raises DataError when it was not trained."""
    best = out / name / "best.pt"
    if not best.exists():
        raise DataError(f"{best} is not there: run python -m model.train --data {data} --out {out} first.")
    system = SYSTEMS[name]()
    system.load_state_dict(torch.load(best, weights_only=True))
    return system.eval()


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
