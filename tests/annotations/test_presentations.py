"""What was shown to whom: the identity that a rating goes by, and blindness that is remembered."""

import threading

import pytest

from annotations import AnnotationError, ShownScore, image_sha256, open_annotations

IMAGE = image_sha256(b"image")


def test_a_rating_goes_to_the_rater_and_the_image_that_were_presented(store):
    ann = store.present("Ann", IMAGE, browser="one")
    bob = store.present("Bob", image_sha256(b"other"), browser="one")
    rating = store.rate(ann.key, 2, browser="one", image=b"image", suffix="jpg", name="a.jpg")
    assert (rating.rater, rating.sha256, rating.seen, rating.shown) == ("Ann", IMAGE, "nothing", None)
    assert store.rate(bob.key, 4, browser="one", image=b"other", suffix="jpg").rater == "Bob"


def test_a_presentation_has_one_rating_however_often_it_is_sent(store):
    key = store.present("Ann", IMAGE, browser="one").key
    kept = []

    def send(value: int) -> None:
        kept.append(store.rate(key, value, browser="one", image=b"image", suffix="jpg"))

    threads = [threading.Thread(target=send, args=[1 + number % 5]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 6 and len(set(kept)) == 1
    assert store.counts().ratings == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"browser": "another"}, "not presented in this browser"),
        ({"browser": None}, "not presented in this browser"),
        ({"key": "0" * 32}, "not presented in this browser"),
        ({"key": "1"}, "not presented in this browser"),
        ({"key": None}, "not presented in this browser"),
        ({"image": b"other"}, "not the image that was presented"),
        ({"image": None}, "No image"),
        ({"value": 5.1}, "from 1 to 5"),
        ({"suffix": "svg"}, "not kept"),
    ],
)
def test_a_rating_of_something_else_is_refused_and_leaves_nothing(store, data_dir, change, sentence):
    key = store.present("Ann", IMAGE, browser="one").key
    given = {"key": key, "value": 3, "browser": "one", "image": b"image", "suffix": "jpg"} | change
    with pytest.raises(AnnotationError, match=sentence) as refused:
        store.rate(given.pop("key"), given.pop("value"), **given)
    assert "\n" not in str(refused.value)
    assert (store.counts().ratings, store.counts().raters, store.counts().images) == (0, 0, 0)
    assert not (data_dir / "images").exists()


@pytest.mark.parametrize("whom", [{"browser": "one"}, {"rater": "ann"}, {"browser": "one", "rater": "Eve"}])
def test_who_was_shown_a_score_is_not_blind_even_after_a_restart(store, data_dir, shown, whom):
    store.note_exposures([(IMAGE, shown)], place="score", **whom)
    reopened = open_annotations(data_dir)
    presentation = reopened.present("Ann", IMAGE, browser="one")
    rating = reopened.rate(presentation.key, 3, browser="one", image=b"image", suffix="jpg")
    assert (presentation.seen, rating.seen, rating.shown) == ("score", "score", shown)
    other = reopened.present("Bob", IMAGE, browser="two")
    assert (other.seen, reopened.rate(other.key, 3, browser="two").seen) == ("nothing", "nothing")


def test_a_score_seen_between_showing_and_rating_counts(store, shown):
    presentation = store.present("Ann", IMAGE, browser="one")
    store.note_exposures([(IMAGE, shown)], place="score", browser="one")
    rating = store.rate(presentation.key, 3, browser="one", image=b"image", suffix="jpg")
    assert (presentation.seen, rating.seen, rating.shown) == ("nothing", "score", shown)


def test_what_a_browser_is_shown_counts_for_who_rated_in_it_last_elsewhere_too(store, shown):
    store.present("Ann", image_sha256(b"something"), browser="one")
    store.note_exposures([(IMAGE, shown)], place="compare", browser="one")
    assert store.present("Ann", IMAGE, browser="two").seen == "score"
    assert store.present("Bob", IMAGE, browser="two").seen == "nothing"


def test_the_score_revealed_after_a_blind_rating_makes_the_next_one_seen_and_is_the_latest(store, shown):
    first = store.present("Ann", IMAGE, browser="one")
    store.rate(first.key, 3, browser="one", image=b"image", suffix="jpg")
    other = ShownScore("nano", "r2", 2.0, (1.0, 5.0))
    for score in (other, shown, shown, other):
        store.note_exposures([(IMAGE, score)], place="rate", browser="one", rater="Ann")
    again = store.rate(store.present("Ann", IMAGE, browser="one").key, 4, browser="one")
    assert (again.seen, again.shown) == ("score", other)
    assert [summary.opinion.mos for summary in store.summaries()] == [3.0]


def test_an_exposure_of_nobody_is_refused(store, shown):
    with pytest.raises(AnnotationError):
        store.note_exposures([(IMAGE, shown)], place="score")


def test_an_image_that_cannot_be_shown_is_reported_once_until_it_is_shown(store):
    store.record_rating("Ann", b"image", 3, suffix="jpg", name="a.jpg")
    assert store.note_problem(IMAGE, "its file is gone")
    assert not store.note_problem(IMAGE, "its file is gone")
    [problem] = store.problems()
    assert (problem.sha256, problem.name, problem.sentence) == (IMAGE, "a.jpg", "its file is gone")
    assert store.next_image("Bob", without={IMAGE}) is None
    store.present("Bob", IMAGE)
    assert store.problems() == []
    assert store.note_problem(IMAGE, "its file is gone") and len(store.problems()) == 1
