"""Copies of a photograph are found and told from other photographs; the shipped lists are consistent."""

import csv
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from model import near_duplicates
from model.near_duplicates import HERE, THRESHOLD, group_hashes, hash_files, nearest


def scene(seed):
    rough = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((256, 256), Image.Resampling.BICUBIC)


def rows(name):
    with (HERE / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_darker_blurred_smaller_and_compressed_copies_are_grouped_and_others_are_not(tmp_path):
    pytest.importorskip("imagehash")
    first, second, third = scene(1), scene(2), scene(3)
    images = {
        "first.png": first,
        "dark.png": ImageEnhance.Brightness(first).enhance(0.6),
        "second.png": second,
        "blurred.png": second.filter(ImageFilter.GaussianBlur(3)),
        "compressed.jpg": second.resize((200, 200)),
        "alone.png": third,
    }
    for name, image in images.items():
        image.save(tmp_path / name)
    names = list(images)
    groups = group_hashes(hash_files([tmp_path / name for name in names]))
    assert [{names[n] for n in group} for group in groups] == [
        {"first.png", "dark.png"},
        {"second.png", "blurred.png", "compressed.jpg"},
    ]


def test_groups_are_linked_by_chains():
    chain = np.array([0b1111, 0, 0b11, 2**60 - 1, 0b1111 << 60], dtype=np.uint64)
    assert group_hashes(chain, threshold=2) == [{0, 1, 2}]
    assert group_hashes(chain, threshold=1) == []
    shuffled = np.array([0b1111, 0, 2**50, 0b11, 2**50], dtype=np.uint64)  # the middle link comes last
    assert group_hashes(shuffled, threshold=2) == [{0, 1, 2, 3, 4}]


def test_the_nearest_is_found_with_its_distance():
    index, distance = nearest(np.array([7, 2**63 + 5], dtype=np.uint64), np.array([0, 3, 2**63 + 1], dtype=np.uint64))
    assert (index.tolist(), distance.tolist()) == ([1, 2], [1, 1])


def test_a_missing_imagehash_names_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagehash", None)
    with pytest.raises(near_duplicates.DataError, match="pip install imagehash"):
        near_duplicates.perceptual_hash(scene(1))


def test_the_command_reads_the_data_sets_layout_and_a_wrong_folder_is_one_sentence(tmp_path, capsys):
    pytest.importorskip("imagehash")
    (tmp_path / "Images").mkdir()
    for name, seed in [("a (1).jpg", 1), ("a (2).JPG", 2), ("a (3).jpg", 1), ("a (4).jpg", 4), ("a (5).jpg", 2)]:
        scene(seed).save(tmp_path / "Images" / name, "JPEG")
    (tmp_path / "Train (Images and MOS).csv").write_text("Image Name,MOS\na (1).jpg,.5\na (2).jpg,.4\na (5).jpg,.4\n")
    (tmp_path / "Test (Images and MOS).csv").write_text("Image Name,MOS\na (3).jpg,.5\na (4).jpg,.4\n")
    assert near_duplicates.main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(
        "1 of 2 test images have a near-duplicate in train, 1 do not; 2 of 3 training"
    )
    assert (
        tmp_path / "biq2021_near_duplicates.csv"
    ).read_text() == 'image,train_image,distance\n"a (3).jpg","a (1).jpg",0\n'
    assert (tmp_path / "biq2021_train_groups.csv").read_text() == 'image,group\n"a (2).jpg",0\n"a (5).jpg",0\n'
    assert near_duplicates.main(["--data", str(tmp_path / "absent")]) == 2
    assert "no such file" in capsys.readouterr().err.lower()


def test_the_shipped_lists_hold_what_the_readme_says():
    dropped, grouped = rows("biq2021_near_duplicates.csv"), rows("biq2021_train_groups.csv")
    assert len({row["image"] for row in dropped}) == len(dropped) == 301
    assert all(0 <= int(row["distance"]) <= THRESHOLD for row in dropped)
    assert not {row["image"] for row in dropped} & (
        {row["train_image"] for row in dropped} | {row["image"] for row in grouped}
    )
    assert len({row["image"] for row in grouped}) == len(grouped)
    assert min(Counter(row["group"] for row in grouped).values()) >= 2
