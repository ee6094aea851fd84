"""Several data sets in one training: figures on one scale, pairs within a set, and batches of one set. Pure functions.

The same MOS means another quality in another set, since raters use the scale for what they are shown. So scores of two sets are put on
one scale, and compared within a set only: pairs for the fidelity and ranking losses, batches for norm-in-norm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from model.errors import DataError
from model.rated import RatedImage


def normalise(
    rated: Sequence[RatedImage], scale: tuple[float, float] = (1.0, 5.0), observed: bool = False
) -> list[RatedImage]:
    """The images with MOS and std on `scale`, each data set for itself, in order.

    By each set's own scale; with observed by its smallest and largest MOS, as Q-Align and DeQA-Score do: over training
    and test part together, so normalise before splitting. Raises DataError for a set without a scale, or whose MOS are all equal.
    """
    spans = {name: _span(images) for name, images in _by_dataset(rated).items()} if observed else {}
    return [(replace(image, scale=spans[image.dataset]) if observed else image).on(scale) for image in rated]


def _span(images: Sequence[RatedImage]) -> tuple[float, float]:
    low, high = min(image.mos for image in images), max(image.mos for image in images)
    if low == high:
        raise DataError(
            f"all MOS of the data set '{images[0].dataset}' are {low:g}: there is no range to put on a scale"
        )
    return low, high


def _by_dataset(rated: Sequence[RatedImage]) -> dict[str, list[RatedImage]]:
    found: dict[str, list[RatedImage]] = {}
    for image in rated:
        found.setdefault(image.dataset, []).append(image)
    return found


def same_dataset_pairs(datasets: Sequence[str], seed: int | Sequence[int]) -> np.ndarray:
    """A partner for each of N images: positions [N], drawn uniformly from the other images of the same data set.

    datasets [N]: each image's data set. seed: a number or several, such as (seed, epoch): each gives other partners. This is how
    DeQA-Score pairs. Raises DataError for a data set of one image.
    """
    random, names = np.random.default_rng(seed), np.asarray(datasets)
    partner = np.empty(len(names), int)
    for name in dict.fromkeys(datasets):
        members = np.flatnonzero(names == name)
        if len(members) < 2:
            raise DataError(f"the data set '{name}' has one image: a pair takes two")
        # One to size - 1 places further round the circle: never the image itself, and all others alike.
        step = random.integers(1, len(members), size=len(members))
        partner[members] = members[(np.arange(len(members)) + step) % len(members)]
    return partner


def dataset_batches(datasets: Sequence[str], size: int, seed: int | Sequence[int]) -> Iterator[list[int]]:
    """Positions of all N images once, in batches of at most `size`, each from one data set; the order is drawn with seed.

    Larger data sets have more batches, so that each image counts alike. The last batch of a set may be smaller.
    """
    random, names = np.random.default_rng(seed), np.asarray(datasets)
    batches = []
    for name in dict.fromkeys(datasets):
        members = random.permutation(np.flatnonzero(names == name))
        batches += [members[start : start + size] for start in range(0, len(members), size)]
    for position in random.permutation(len(batches)):
        yield batches[position].tolist()
