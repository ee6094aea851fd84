"""Which rated images are held out, and what the hash of the data depends on."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.rated import RatedImage, hold_out, leave_out
from model.finetuning.material import check_enough, data_hash, split
from model.scoring.assessment import Failure

DIGESTS = [hashlib.sha256(bytes([n])).hexdigest() for n in range(100)]
RATED = [RatedImage(Path(f"{n}.jpg"), 1 + n / 25, None, 1) for n in range(100)]


@pytest.mark.parametrize(("images", "held_out"), [(8, 3), (10, 3), (50, 10), (100, 20)])
def test_a_fifth_but_at_least_three_are_held_out(images, held_out):
    parts = split(DIGESTS[:images])
    assert len(parts.held_out) == held_out
    assert sorted(parts.train + parts.held_out) == list(range(images))


def test_which_images_are_held_out_hangs_on_the_images_alone():
    backwards = split(DIGESTS[::-1])
    assert {DIGESTS[n] for n in split(DIGESTS).held_out} == {DIGESTS[::-1][n] for n in backwards.held_out}


def test_what_a_parent_was_trained_on_is_never_held_out():
    first = split(DIGESTS[:40])
    seen = [DIGESTS[n] for n in first.train]
    second = split(DIGESTS, seen)
    assert len(second.held_out) == 20 and not {DIGESTS[n] for n in second.held_out} & set(seen)
    assert split(DIGESTS, DIGESTS).held_out == []


def test_too_few_images_are_refused_with_the_number_needed():
    check_enough(8)
    with pytest.raises(DataError, match="^7 rated images are too few .* at least 8"):
        check_enough(7)
    with pytest.raises(DataError, match=r"\(2 more cannot be read, such as a.jpg: no such file\)"):
        check_enough(7, [Failure("a.jpg", "no such file")] * 2)


def test_the_hash_of_the_data_changes_with_any_rating_and_not_with_order_or_place():
    same = [replace(record, image=Path("elsewhere.jpg")) for record in RATED[::-1]]
    assert data_hash(RATED, DIGESTS) == data_hash(same, DIGESTS[::-1])
    assert data_hash(RATED, DIGESTS) != data_hash([replace(RATED[0], mos=1.1), *RATED[1:]], DIGESTS)
    assert data_hash(RATED, DIGESTS) != data_hash([replace(RATED[0], n=2), *RATED[1:]], DIGESTS)


def test_a_mos_is_put_linearly_onto_the_scale_of_the_model():
    assert [RatedImage(Path("a"), mos, None, 1).mos_on(Scale(0, 1)) for mos in (1, 2, 5)] == [0, 0.25, 1]


def test_contents_are_held_out_whole():
    images = [replace(record, content=f"content {n // 5}") for n, record in enumerate(RATED)]
    images.append(replace(RATED[0], image=Path("alone.jpg")))
    kept, held_out = hold_out(images, 0.2, seed=3)
    assert not {one.content for one in kept} & {one.content for one in held_out}
    assert sorted(one.image for one in kept + held_out) == sorted(one.image for one in images)
    assert 20 <= len(held_out) <= 25
    assert hold_out(images, 0.2, seed=3) == (kept, held_out) != hold_out(images, 0.2, seed=4)


def test_figures_without_a_scale_come_onto_none():
    spaq = RatedImage(Path("a.jpg"), 75.0, 10.0, 15, Scale(0, 100)).on(Scale(1, 5))
    assert (spaq.mos, spaq.std, spaq.scale) == (4.0, 0.4, (1, 5))
    with pytest.raises(DataError, match="a.jpg came without a scale"):
        replace(spaq, scale=None).on(Scale(1, 5))


def test_what_shares_a_content_with_a_part_is_left_out_with_it():
    contents = {"a": ("one", ""), "b": ("one", "twin"), "c": ("two", "twin"), "d": ("two", ""), "e": ("three", "other")}
    images = [
        RatedImage(Path(name), 3.0, None, None, part=part, content=content)
        for name, (part, content) in contents.items()
    ]
    assert [image.image.name for image in leave_out(images, ["one"])] == ["d", "e"]
    assert [image.image.name for image in leave_out(images, ["two", "three"])] == ["a"]
    assert leave_out(images, []) == images
