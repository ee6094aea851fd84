"""What raters of a study are shown, on a real database and from several threads."""

import sqlite3
import threading
from collections import Counter

import pytest

from annotations import AnnotationError, ShownScore, open_annotations
from annotations.errors import NameTaken, NotPresented
from annotations.studies.places import LEASE
from annotations.studies.study import Study

SPECIAL = """\
ratings_per_image: 4
session_length: 20
repeats: 0.2
training:
  - {image: t1.jpg, explanation: Sharp.}
  - {image: t2.jpg, explanation: Blurred.}
gold:
  - {image: g1.jpg, accept: [1, 2]}
  - {image: g2.jpg, accept: 5}
  - {image: g3.jpg, accept: 4}
traps:
  - {image: trap.png, accept: 2}
"""
FILES = ("t1.jpg", "t2.jpg", "g1.jpg", "g2.jpg", "g3.jpg", "trap.png")


def together(*works) -> list:
    """What several threads return that start at once; the first exception is raised."""
    barrier, results = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int, work) -> None:
        barrier.wait()
        try:
            results[number] = work()
        except Exception as error:  # handed on to the test below
            results[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def test_a_rater_sees_every_image_once_and_training_first_and_specials_among_the_rest(make_study, go_through):
    study = make_study(30, SPECIAL, FILES)
    shown = go_through(study, "Ann")
    kinds = [showing.kind for showing in shown]
    assert kinds[:2] == ["training", "training"] and kinds.count("training") == 2
    assert [showing.explanation for showing in shown[:3]] == ["Sharp.", "Blurred.", None]
    assert Counter(kinds) == Counter(test=30, training=2, gold=3, trap=1, repeat=kinds.count("repeat"))
    assert kinds.count("repeat") >= 6
    once = [showing.sha256 for showing in shown if showing.kind != "repeat"]
    assert len(once) == len(set(once)) == 36
    repeats = [(number, showing) for number, showing in enumerate(shown) if showing.kind == "repeat"]
    for number, showing in repeats:
        before = [n for n, other in enumerate(shown) if other.sha256 == showing.sha256 and n < number]
        assert len(before) == 1 and shown[before[0]].session == showing.session
        assert number - before[0] >= 3
    assert len({showing.sha256 for _, showing in repeats}) == len(repeats)


def test_places_within_a_session_count_up_to_its_length(make_study, go_through):
    shown = [one for one in go_through(make_study(30, SPECIAL, FILES), "Ann") if one.kind != "training"]
    for number in {one.session for one in shown}:
        session = [one for one in shown if one.session == number]
        assert [one.place for one in session] == list(range(1, len(session) + 1))
        assert {one.length for one in session} <= {len(session), len(session) + 1} and len(session) <= 20


def test_each_rater_has_an_order_of_their_own_and_the_realised_one_is_kept(make_study, go_through):
    study = make_study(12, "repeats: 0\n")
    orders = [[one.sha256 for one in go_through(study, rater)] for rater in ("Ann", "Bob", "Cid")]
    assert len({tuple(order) for order in orders}) == 3 and all(sorted(order) == sorted(orders[0]) for order in orders)
    connection = sqlite3.connect(study.data_dir / "annotations.db")
    kept = connection.execute("SELECT image FROM presentations WHERE rater = 1 ORDER BY position").fetchall()
    connection.close()
    assert [row[0] for row in kept] == orders[0]


def test_the_same_seed_gives_the_same_order_again(make_study, go_through, tmp_path):
    orders = []
    for place in ("first", "second"):
        study = make_study(15, SPECIAL + "seed: 5\n", FILES)
        orders.append([(one.sha256, one.kind) for one in go_through(study, "Ann")])
        study.data_dir.rename(tmp_path / place)
    assert orders[0] == orders[1]


def test_images_short_of_ratings_come_first(make_study, go_through):
    study = make_study(10, "ratings_per_image: 3\nrepeats: 0\n")
    first = {one.sha256 for one in go_through(study, "Ann", most=6)}
    second = [one.sha256 for one in go_through(study, "Bob")]
    assert set(second[:4]) == set(second) - first


def test_with_all_places_taken_there_is_nothing_left_for_others(make_study, go_through):
    study = make_study(5, "ratings_per_image: 2\nrepeats: 0\n")
    assert [len(go_through(study, rater)) for rater in ("Ann", "Bob", "Cid")] == [5, 5, 0]


def test_raters_who_ask_at_once_never_both_take_the_last_place(make_study):
    study = make_study(3, "ratings_per_image: 1\n")
    shown = together(*[lambda name=f"rater {n}": study.show_next(name, browser=name) for n in range(8)])
    given = [one.sha256 for one in shown if one]
    assert len(given) == len(set(given)) == 3


def test_many_raters_at_once_fill_every_place_exactly(make_study, go_through):
    study = make_study(6, "ratings_per_image: 3\nrepeats: 0\n")
    together(*[lambda name=f"rater {n}": go_through(study, name) for n in range(5)])
    connection = sqlite3.connect(study.data_dir / "annotations.db")
    rated = connection.execute("SELECT image, count(*), count(DISTINCT rater) FROM ratings GROUP BY image").fetchall()
    taken = connection.execute("SELECT DISTINCT taken FROM places").fetchall()
    connection.close()
    assert [row[1:] for row in rated] == [(3, 3)] * 6 and taken == [(3,)]


def test_a_place_that_was_not_used_is_given_to_another_when_its_lease_expires(make_study):
    study = make_study(1, "ratings_per_image: 1\n")
    ann = study.show_next("Ann", browser="a")
    assert study.show_next("Bob", browser="b") is None
    study.now += LEASE + 1
    bob = study.show_next("Bob", browser="b")
    assert bob.sha256 == ann.sha256
    assert study.show_next("Ann", browser="a") is None  # the place is Bob's now
    assert study.rate(ann.key, 2, browser="a").value == 2  # what somebody rated all the same is kept
    assert study.rate(bob.key, 4, browser="b").value == 4


def test_who_asks_again_holds_the_place_longer(make_study):
    study = make_study(1, "ratings_per_image: 1\n")
    first = study.show_next("Ann", browser="a")
    study.now += LEASE - 1
    assert study.show_next("Ann", browser="a") == first
    study.now += LEASE - 1
    assert study.show_next("Bob", browser="b") is None


def test_a_reload_and_another_device_go_on_with_the_same_image(make_study, go_through):
    study = make_study(8)
    go_through(study, "Ann", most=3)
    showing = study.show_next("Ann", browser="Ann")
    assert Study(study.data_dir, "one", lambda: study.now).show_next(" ANN ", browser="Ann") == showing
    phone = study.show_next("Ann", browser="phone")
    assert (phone.sha256, phone.place, phone.session) == (showing.sha256, showing.place, showing.session)
    assert phone.key != showing.key
    study.rate(phone.key, 4, browser="phone")
    assert study.show_next("Ann", browser="Ann").sha256 != showing.sha256


def test_two_tabs_of_one_rater_at_once_show_the_same_image(make_study):
    study = make_study(8)
    shown = together(*[lambda: study.show_next("Ann", browser="a")] * 4)
    assert len(set(shown)) == 1


def test_undo_shows_the_image_before_and_its_new_rating_supersedes(make_study, go_through):
    study = make_study(6, "repeats: 0\n")
    first, second = go_through(study, "Ann", most=2)
    third = study.show_next("Ann", browser="Ann")
    again = study.undo("Ann", browser="Ann", key=third.key)
    assert (again.sha256, again.place) == (second.sha256, second.place)
    before = study.undo("Ann", browser="Ann", key=again.key)
    assert (before.sha256, before.place) == (first.sha256, first.place)
    assert study.undo("Ann", browser="Ann", key=before.key) is None
    rating = study.rate(again.key, 5, browser="Ann")
    assert (rating.value, rating.supersedes) == (5, 2)
    assert study.show_next("Ann", browser="Ann") == third
    connection = sqlite3.connect(study.data_dir / "annotations.db")
    assert connection.execute("SELECT value FROM ratings ORDER BY id").fetchall() == [(3,), (3,), (5,)]
    assert connection.execute("SELECT sum(taken) FROM places").fetchone() == (3,)
    connection.close()


def test_a_rating_that_is_sent_again_is_kept_once(make_study):
    study = make_study(3)
    key = study.show_next("Ann", browser="a").key
    ratings = together(*[lambda value=value: study.rate(key, value, browser="a") for value in (1, 2, 3, 4)])
    assert len(set(ratings)) == 1 and open_annotations(study.data_dir).counts().ratings == 1


@pytest.mark.parametrize("value", [0, 6, 2.5, float("nan"), None, True, "3", "good"])
def test_what_is_off_the_scale_is_refused(make_study, value):
    study = make_study(3)
    key = study.show_next("Ann", browser="a").key
    with pytest.raises(AnnotationError, match="must be a whole number from 1 to 5"):
        study.rate(key, value, browser="a")
    assert open_annotations(study.data_dir).counts().ratings == 0


def test_a_continuous_scale_takes_any_number_of_its_own(make_study):
    study = make_study(3, "scale: continuous\n")
    showing = study.show_next("Ann", browser="a")
    assert study.rate(showing.key, 62.5, browser="a", seconds=3.2, screen="1280x720").value == 62.5
    assert study.show_next("Ann", browser="a").sha256 != showing.sha256


@pytest.mark.parametrize(("key", "browser"), [(None, "b"), ("0" * 32, "a"), ("", "a")])
def test_nobody_rates_or_undoes_what_was_not_presented_to_them(make_study, key, browser):
    study = make_study(3)
    key = study.show_next("Ann", browser="a").key if key is None else key
    with pytest.raises(AnnotationError, match="not presented in this browser"):
        study.rate(key, 3, browser=browser)
    ann = study.show_next("Ann", browser="a").key
    with pytest.raises(AnnotationError, match="not presented to this rater"):
        study.undo("Bob", browser="a", key=ann)


def test_ratings_of_a_study_are_none_of_the_ready_made_one_nor_of_another_study(make_study, go_through):
    one, two = make_study(4, name="one"), make_study(4, name="two")
    store = open_annotations(one.data_dir)
    go_through(one, "Ann")
    assert (store.summaries(), store.ratings_of("Ann"), store.next_image("Ann")) == ([], [], None)
    assert len(go_through(two, "Ann")) == 4
    sha256 = go_through(one, "Bob", most=1)[0].sha256
    store.record_rating("Bob", sha256, 2)
    assert [summary.opinion.mos for summary in store.summaries()] == [2.0]


def test_who_saw_the_score_is_not_blind(make_study):
    study = make_study(2)
    showing = study.show_next("Ann", browser="a")
    score = ShownScore("nano", "r1", 4.0, (1.0, 5.0))
    open_annotations(study.data_dir).note_exposures([(showing.sha256, score)], place="score", browser="a")
    assert study.rate(showing.key, 3, browser="a").seen == "score"
    assert study.rate(study.show_next("Ann", browser="a").key, 3, browser="a").seen == "nothing"


@pytest.mark.parametrize(
    ("state", "said"), [("draft", "not open yet"), ("paused", "is paused"), ("closed", "is closed")]
)
def test_a_study_that_is_not_open_shows_and_takes_nothing(make_study, state, said):
    study = make_study(2)
    key = study.show_next("Ann", browser="a").key
    study.set_state(state)
    for attempt in (lambda: study.show_next("Bob"), lambda: study.rate(key, 3, browser="a")):
        with pytest.raises(AnnotationError, match=said):
            attempt()
    study.set_state("open")
    assert study.rate(key, 3, browser="a").value == 3


def test_an_image_that_cannot_be_shown_is_passed_over(make_study):
    study = make_study(2, "repeats: 0\n")
    broken = study.show_next("Ann", browser="a")
    other = study.show_next("Ann", browser="a", without={broken.sha256})
    assert other.sha256 != broken.sha256
    study.rate(other.key, 3, browser="a")
    assert study.show_next("Ann", browser="a", without={broken.sha256}) is None


def test_a_new_version_with_more_images_goes_on_with_the_ratings_there_are(make_study, go_through):
    study = make_study(3, "ratings_per_image: 1\nrepeats: 0\n")
    go_through(study, "Ann", most=2)
    held = study.show_next("Ann", browser="Ann")
    study = make_study(5, "ratings_per_image: 1\nrepeats: 0\n")
    assert study.show_next("Ann", browser="Ann").key == held.key
    assert len(go_through(study, "Ann")) == 3
    assert study.show_next("Bob", browser="Bob") is None


def test_the_image_ahead_is_the_next_one_and_the_order_is_as_without(make_study, go_through, tmp_path):
    study = make_study(10, SPECIAL, FILES)
    alone = [(one.sha256, one.kind, one.session, one.place) for one in go_through(study, "Ann")]
    study.data_dir.rename(tmp_path / "first")
    study, shown, expected = make_study(10, SPECIAL, FILES), [], None
    while showings := study.show_two("Ann", browser="a"):
        now, *ahead = showings
        assert expected in (None, now)
        assert ahead or now.place == now.length or len(shown) == len(alone) - 1
        expected = next(iter(ahead), None)
        shown.append((now.sha256, now.kind, now.session, now.place))
        study.rate(now.key, 3, browser="a")
    assert shown == alone


def test_the_image_ahead_holds_its_place_and_a_reload_shows_both_again(make_study):
    study = make_study(2, "ratings_per_image: 1\nrepeats: 0\n")
    two = study.show_two("Ann", browser="a")
    assert len(two) == 2 and study.show_next("Bob", browser="b") is None
    assert study.show_two("Ann", browser="a") == two and study.show_next("Ann", browser="a") == two[0]
    study.now += LEASE + 1
    assert len(study.show_two("Bob", browser="b")) == 2 and study.show_two("Ann", browser="a") == ()


def test_undo_of_what_was_just_rated_shows_it_again(make_study):
    study = make_study(3, "repeats: 0\n")
    first, second = study.show_two("Ann", browser="a")
    study.rate(first.key, 2, browser="a")
    again = study.undo("Ann", browser="a", key=first.key)
    assert again.sha256 == study.undo("Ann", browser="a", key=second.key).sha256 == first.sha256
    assert study.rate(again.key, 4, browser="a").supersedes == 1
    assert study.show_two("Ann", browser="a")[0] == second


def test_a_typed_name_is_that_of_the_browser_that_came_with_it_first(make_study):
    study, other = make_study(5), make_study(5, name="other")
    first, _ = study.enter("Ann", None, browser="a")
    assert study.enter("ann", None, browser="a")[0] == first
    for link in (None, "", other.enter("Bob", None, browser="b")[0].key, study.enter("Bob", None, browser="b")[0].key):
        with pytest.raises(NameTaken, match="choose another name"):
            study.enter("Ann", link, browser="b")
    assert study.enter("Ann", first.key, browser="phone")[0].sha256 == first.sha256
    assert study.enter("Ann", None, browser="phone")[0].sha256 == first.sha256  # it has been shown something now


def test_what_was_presented_is_known_in_its_browser_and_study_only(make_study):
    study, other = make_study(3), make_study(3, name="other")
    key = study.enter("Ann", None, browser="a")[0].key
    assert (study.presented(key, browser="a").rater, study.presented(key, browser="a").rated) == ("Ann", False)
    study.rate(key, 3, browser="a")
    assert study.presented(key, browser="a").rated
    for where, browser in ((study, "b"), (other, "a")):
        with pytest.raises(NotPresented):
            where.presented(key, browser=browser)


def test_an_image_that_was_taken_back_is_one_sentence(make_study):
    study = make_study(1)
    store = open_annotations(study.data_dir)
    rated = store.record_rating("Ann", b"mine", 3.0, suffix="jpg", browser="a browser")
    assert study.image_path(rated.sha256).read_bytes() == b"mine"
    store.take_back(rated.sha256, browser="a browser")
    with pytest.raises(AnnotationError, match="was taken back by whoever added it: go on to the next one"):
        study.image_path(rated.sha256)
