"""Estimate the label noise of BIQ2021, subset by subset: whether two similar photographs have similar MOS.

    python -m model.label_noise --data BIQ2021 --out runs

A pair is two images of a subset that are each other's nearest neighbours, by the cosine of their standardised features (those of
model/paper/frozen_features.py, whose encoder was not trained on MOS), with a cosine within ALIKE: more likely two shots of a scene than
copies or different scenes. Prints one JSON object for each subset:

* pairs, correlation (of the two MOS, with each pair in both orders), interval (95 %, bootstrap over pairs) and difference (the root mean
  square difference of the two MOS).
* std: of the subset's MOS. Two random images differ by 1.41 std.

If the images of a pair had equal quality, the correlation would be the reliability of the MOS, and its square root the highest PLCC that a
scorer can reach except by chance (Lord & Novick 1968). They do not quite, so both are lower bounds, useful to compare the subsets.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from model.common.command_line import run
from model.datasets import biq2021
from model.datasets.rated import RatedImage
from model.evaluation.bootstrap import FEWEST_FOR_INTERVALS, interval, pearson, resample
from model.paper.frozen_features import FrozenFeatures

ALIKE = (0.65, 0.95)  # cosine: at least, and less than


def look_alikes(features: np.ndarray) -> np.ndarray:
    """Pairs [P, 2] of rows of features [N, F] that are mutual nearest neighbours with a cosine within ALIKE; each pair once."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-6)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -1)
    nearest = similarity.argmax(1)
    rows = np.arange(len(features))
    closeness = similarity[rows, nearest]
    chosen = (nearest[nearest] == rows) & (rows < nearest) & (closeness >= ALIKE[0]) & (closeness < ALIKE[1])
    return np.stack([rows, nearest], 1)[chosen]


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlations [B] of unordered pairs' values [B, P] and [B, P]."""
    return pearson(np.concatenate([first, second], 1), np.concatenate([second, first], 1))


def agreement(mos: np.ndarray, pairs: np.ndarray) -> dict:
    """The JSON object for MOS [N] and pairs [P, 2]; correlation and interval are None for fewer than FEWEST_FOR_INTERVALS pairs."""
    first, second = mos[pairs].T
    found, bounds = None, None
    if len(pairs) >= FEWEST_FOR_INTERVALS:
        found = float(correlations(first[None], second[None])[0])
        drawn = resample(lambda picks: {"correlation": correlations(first[picks], second[picks])}, len(pairs))
        bounds = interval(drawn["correlation"])
    return {
        "pairs": len(pairs),
        "correlation": found,
        "interval": bounds,
        "difference": float(np.sqrt(np.mean((first - second) ** 2))) if len(pairs) else None,
        "std": float(mos.std()),
    }


def report(data: Path, out: Path) -> int:
    features = FrozenFeatures(out, biq2021.all_images(data))
    items: list[RatedImage] = [item for part in biq2021.SPLITS for item in biq2021.read_part(data, part)]
    seen = features.of([item.image for item in items]).numpy()
    seen = (seen - seen.mean(0)) / (seen.std(0) + 1e-3)  # some features are nearly always 0
    mos, subsets = np.array([item.mos for item in items]), np.array([item.part for item in items])
    for subset in biq2021.SUBSETS:
        chosen = subsets == subset
        print(json.dumps({"subset": subset, **agreement(mos[chosen], look_alikes(seen[chosen]))}), flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model.label_noise", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a clone of github.com/nisarahmedrana/BIQ2021")
    parser.add_argument("--out", type=Path, required=True, help="where features are kept; shared with model.reproduce")

    def program() -> int:
        given = parser.parse_args()
        return report(given.data, given.out)

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
