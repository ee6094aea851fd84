"""Images that wait to be rated: whose they are, for how long, and how many."""

import os
import time

import pytest

from app import pending_images as module
from app.pending_images import KEPT, Waiting
from tests.bad_images import sample_image, write_zoo


@pytest.fixture
def images(tmp_path):
    """Three small images, each another one."""
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        sample_image(64 + number, 64).save(path)
    return paths


@pytest.fixture
def waiting(tmp_path):
    return Waiting(tmp_path / "data" / "pending")


def names(waiting, browser="mine"):
    return [path.name for path in waiting.images(browser).values()]


def test_uploads_wait_for_the_browser_that_sent_them_only_in_their_order_and_over_a_restart(waiting, tmp_path):
    zoo = write_zoo(tmp_path)
    failures = waiting.add("mine", [str(zoo[name][0]) for name in ("plain.jpg", "text.jpg", "alpha.png", "plain.jpg")])
    assert [(f.image, f.error) for f in failures] == [("text.jpg", "not an image: the file holds text")]
    (tmp_path / "plain.jpg").unlink()
    again = Waiting(tmp_path / "data" / "pending")
    assert names(again) == ["plain.jpg", "alpha.png"] and names(again, "another") == []
    again.remove("mine", next(iter(again.images("mine"))))
    assert names(waiting) == ["alpha.png"]


def test_after_a_day_they_are_gone(waiting, images, tmp_path):
    waiting.add("mine", map(str, images[:2]))
    old, new = waiting.images("mine").values()
    (old.parent.parent / "incoming-by-a-crash").mkdir()
    for folder in (old.parent, old.parent.parent / "incoming-by-a-crash"):
        os.utime(folder, (time.time() - KEPT - 1,) * 2)
    assert names(waiting) == [new.name]
    waiting.sweep()
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == [new]
    os.utime(new.parent, (time.time() - KEPT - 1,) * 2)
    waiting.sweep()
    assert list((tmp_path / "data" / "pending").iterdir()) == []


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("MOST_IMAGES", "2 images of this browser wait already"),
        ("MOST_BYTES", "rate some of them first"),
        ("MOST_BYTES_OF_ALL", "all the room"),
    ],
)
def test_what_there_is_no_room_for_is_refused_in_a_sentence(waiting, images, monkeypatch, limit, said):
    room = 2 if limit == "MOST_IMAGES" else sum(path.stat().st_size for path in images[:2])
    monkeypatch.setattr(module, limit, room)
    failures = waiting.add("mine", map(str, images))
    assert [failure.image for failure in failures] == ["2.png"] and said in failures[0].error
    assert names(waiting) == ["0.png", "1.png"]
    assert bool(waiting.add("another", map(str, images[2:]))) == (limit == "MOST_BYTES_OF_ALL")
