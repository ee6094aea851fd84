"""Several data sets in one training: one scale, pairs and batches within a set, contents that no split parts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model.datasets.mixing import dataset_batches, normalise, same_dataset_pairs
from model.errors import DataError
from model.rated import RatedImage, hold_out

NAMES = ["koniq"] * 50 + ["spaq"] * 30 + ["csiq"] * 7


def image(n, mos, std, scale, dataset, content=""):
    return RatedImage(Path(f"{n}.png"), mos, std, None, scale, dataset, content=content)


MIXED = [
    image(0, 2.0, 0.5, (1, 5), "koniq"),
    image(1, 75.0, 10.0, (0, 100), "spaq"),
    image(2, 4.0, None, (1, 5), "koniq"),
    image(3, 25.0, 20.0, (0, 100), "spaq"),
]


def test_figures_come_onto_one_scale_by_each_sets_own():
    found = normalise(MIXED, (0, 1))
    assert [(one.mos, one.std) for one in found] == [(0.25, 0.125), (0.75, 0.1), (0.75, None), (0.25, 0.2)]
    assert {one.scale for one in found} == {(0, 1)} and [one.dataset for one in found] == [one.dataset for one in MIXED]


def test_figures_come_onto_one_scale_by_each_sets_range():
    found = normalise(MIXED, observed=True)
    assert [(one.mos, one.std) for one in found] == [(1, 1), (5, 0.8), (5, None), (1, 1.6)]


def test_what_has_no_scale_or_no_range_is_refused():
    with pytest.raises(DataError, match="0.png came without a scale"):
        normalise([image(0, 2.0, None, None, "mine")])
    with pytest.raises(DataError, match="all MOS of the data set 'koniq' are 2"):
        normalise(MIXED[:1], observed=True)


def test_partners_are_others_of_the_same_set_and_all_of_them():
    names = np.array(NAMES)
    seen = [Counter() for _ in NAMES]
    for epoch in range(400):
        partner = same_dataset_pairs(NAMES, [1, epoch])
        assert (names[partner] == names).all() and (partner != np.arange(len(NAMES))).all()
        for n, other in enumerate(partner):
            seen[n][int(other)] += 1
    assert {len(counts) for counts in seen[-7:]} == {6}  # each of the other six has been a partner
    assert min(min(counts.values()) for counts in seen[-7:]) > 400 / 6 / 2  # and about as often as any
    assert (same_dataset_pairs(NAMES, [1, 3]) == same_dataset_pairs(NAMES, [1, 3])).all()
    with pytest.raises(DataError, match="'lonely' has one image"):
        same_dataset_pairs(["koniq", "koniq", "lonely"], 0)


def test_batches_are_of_one_set_and_take_every_image_once():
    batches = list(dataset_batches(NAMES, 8, 0))
    assert sorted(n for batch in batches for n in batch) == list(range(len(NAMES)))
    assert all(len({NAMES[n] for n in batch}) == 1 and len(batch) <= 8 for batch in batches)
    first = [NAMES[batch[0]] for batch in batches]
    assert first != sorted(first, key=list(dict.fromkeys(NAMES)).index)  # not one set after the other
    assert batches == list(dataset_batches(NAMES, 8, 0)) != list(dataset_batches(NAMES, 8, 1))


def test_contents_are_held_out_whole():
    images = [image(n, 3.0, None, (1, 5), "kadid", f"I{n // 5}") for n in range(100)] + [
        image(200, 3, None, (1, 5), "a")
    ]
    kept, held_out = hold_out(images, 0.2, seed=3)
    assert not {one.content for one in kept} & {one.content for one in held_out}
    assert sorted(one.image for one in kept + held_out) == sorted(one.image for one in images)
    assert 20 <= len(held_out) <= 25
    assert hold_out(images, 0.2, seed=3) == (kept, held_out) != hold_out(images, 0.2, seed=4)
