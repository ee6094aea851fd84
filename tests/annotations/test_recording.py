"""One vote: what is kept, what is refused, and what a change of mind does."""

import hashlib
import threading
from datetime import datetime, timedelta

import pytest

from annotations import AnnotationError, ShownScore, image_sha256


def kept_files(data_dir):
    return sorted(path for path in (data_dir / "images").rglob("*") if path.is_file())


def test_a_rating_keeps_who_what_and_what_had_been_seen(store, shown):
    rating = store.record_rating("Ann", b"image", 3.7, suffix="jpg", shown=shown, study=None)
    assert (rating.rater, rating.sha256) == ("Ann", image_sha256(b"image"))
    assert (rating.value, rating.scale) == (3.7, (1.0, 5.0))
    assert (rating.seen, rating.shown, rating.study, rating.supersedes) == ("score", shown, None, None)
    assert rating.created_at.endswith("Z")
    age = datetime.now().astimezone() - datetime.fromisoformat(rating.created_at)
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert store.current_rating("ANN", rating.sha256) == rating
    assert store.ratings_of("ann") == [rating]


def test_an_image_lies_under_the_name_of_its_content_once(store, data_dir):
    first = store.record_rating("Ann", b"image", 3, suffix=".JPEG")
    store.record_rating("Bob", b"image", 4, suffix="png")
    sha256 = hashlib.sha256(b"image").hexdigest()
    path = data_dir / "images" / sha256[:2] / f"{sha256}.jpg"
    assert first.sha256 == sha256
    assert store.image_path(sha256) == path
    assert kept_files(data_dir) == [path]
    assert path.read_bytes() == b"image"


@pytest.mark.parametrize("suffix", ["jpeg", ".JFIF", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "avif", "HEIC"])
def test_every_kind_of_image_that_can_be_scored_can_be_kept(store, suffix):
    sha256 = store.record_rating("Ann", b"image", 3, suffix=suffix).sha256
    assert store.image_path(sha256).suffix in {".jpg", ".png", ".webp", ".gif", ".bmp", ".tiff", ".avif", ".heic"}


def test_an_image_that_nobody_rates_is_not_kept(store, data_dir):
    sha256 = image_sha256(b"only looked at")
    assert store.next_image("Ann", pending=[sha256]) == sha256
    assert store.image_path(sha256) is None
    assert not (data_dir / "images").exists()


def test_a_lost_image_file_comes_back_with_the_next_rating(store):
    sha256 = store.record_rating("Ann", b"image", 3, suffix="jpg").sha256
    store.image_path(sha256).write_bytes(b"pic")
    store.record_rating("Bob", b"image", 3, suffix="jpg")
    assert store.image_path(sha256).read_bytes() == b"image"


def test_a_kept_image_can_be_rated_by_its_sha256_alone(store):
    sha256 = store.record_rating("Ann", b"image", 3, suffix="jpg").sha256
    assert store.record_rating("Bob", sha256, 4).value == 4.0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"value": 0.99}, "from 1 to 5"),
        ({"value": 5.01}, "from 1 to 5"),
        ({"value": float("nan")}, "from 1 to 5"),
        ({"value": None}, "from 1 to 5"),
        ({"rater": " \t\n"}, "Please give a name"),
        ({"rater": None}, "Please give a name"),
        ({"rater": "\u200b\x00"}, "Please give a name"),
        ({"rater": "a" * 61}, "at most 60"),
        ({"suffix": "svg"}, "'svg' are not kept"),
        ({"suffix": "../jpg"}, "are not kept"),
        ({"suffix": None}, "are not kept"),
        ({"image": b""}, "empty"),
        ({"image": bytes(256 * 2**20 + 1)}, "more than the 256"),
        ({"image": "0" * 64}, "No image"),
        ({"image": "../../etc/passwd"}, "No image"),
        ({"study": "nowhere"}, "no study named 'nowhere'"),
    ],
)
def test_a_vote_that_is_not_in_order_is_refused_in_one_sentence_and_leaves_nothing(store, data_dir, change, sentence):
    vote = {"rater": "Ann", "image": b"image", "value": 3.0, "suffix": "jpg"} | change
    with pytest.raises(AnnotationError, match=sentence) as refused:
        store.record_rating(vote.pop("rater"), vote.pop("image"), vote.pop("value"), **vote)
    assert "\n" not in str(refused.value)
    counts = store.counts()
    assert (counts.ratings, counts.images, counts.raters) == (0, 0, 0)
    assert not (data_dir / "images").exists() or kept_files(data_dir) == []


def test_a_score_that_is_no_number_cannot_have_been_shown():
    for score, scale in [(float("nan"), (1, 5)), (3, (5, 1)), (3, (1, float("inf")))]:
        with pytest.raises(AnnotationError, match="no usable score"):
            ShownScore("nano", "r1", score, scale)


def test_one_rater_is_one_rater_however_the_name_is_typed(store):
    for name in ["José  Núñez", " josé núñez ", "JOSÉ\tNÚÑEZ", "Jose\u0301 Nu\u0301n\u0303ez", "jo\x00sé nú\u200bñez"]:
        store.record_rating(name, b"image", 3, suffix="jpg")
    assert store.counts().raters == 1
    assert store.current_rating("josé núñez", image_sha256(b"image")).rater == "José Núñez"


def test_a_change_of_mind_is_a_new_rating_that_supersedes(store):
    first = store.record_rating("Ann", b"image", 3, suffix="jpg")
    second = store.record_rating("Ann", first.sha256, 4)
    third = store.record_rating("Ann", first.sha256, 2)
    assert (first.supersedes, second.supersedes, third.supersedes) == (None, first.id, second.id)
    assert store.ratings_of("Ann") == [third]
    assert store.counts().ratings == 3
    assert [summary.opinion.mos for summary in store.summaries()] == [2.0]


def test_the_same_rating_of_the_same_score_is_kept_once(store, shown):
    sent = [store.record_rating("Ann", b"image", 3, suffix="jpg", shown=shown, study=None) for _ in range(2)]
    assert sent[0] == sent[1] and store.counts().ratings == 1
    assert store.record_rating("Ann", b"image", 4, suffix="jpg", shown=shown, study=None).supersedes == sent[0].id


def test_many_threads_may_share_one_store(store):
    def rate(name: str) -> None:
        for number in range(5):
            store.record_rating(name, b"image %d" % number, 3, suffix="jpg")

    threads = [threading.Thread(target=rate, args=[f"rater {number}"]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (store.counts().ratings, store.counts().images) == (30, 5)
