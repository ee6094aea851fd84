"""A study as a rater goes through it."""

import pytest

from annotations import AnnotationError, Progress, image_sha256, open_annotations

IMAGES = [b"a", b"b", b"c", b"d"]
NAMES = [image_sha256(image) for image in IMAGES]


@pytest.fixture
def study(store):
    """The default study after Ann has rated her four uploads."""
    for image in IMAGES:
        store.record_rating("Ann", image, 3, suffix="jpg")
    return store


def test_what_one_rater_rated_is_there_for_the_next_in_the_same_order(study):
    for done, name in enumerate(NAMES):
        assert study.next_image("Bob") == name
        assert study.progress("Bob") == Progress(done, 4)
        study.record_rating("Bob", name, 4)
    assert study.next_image("Bob") is None
    assert study.progress("Bob") == Progress(4, 4)


def test_a_returning_rater_goes_on_where_they_stopped(study, data_dir):
    study.record_rating("Bob", NAMES[0], 4)
    study.record_rating("Bob", NAMES[1], 4)
    reopened = open_annotations(data_dir)
    assert reopened.next_image(" BOB ") == NAMES[2]
    assert reopened.progress("bob") == Progress(2, 4)
    assert reopened.next_image("Cid") == NAMES[0]


def test_uploads_that_the_page_still_holds_come_first_and_count(study):
    uploads = [image_sha256(b"new"), NAMES[3]]
    assert study.next_image("Bob", pending=uploads) == uploads[0]
    assert study.progress("Bob", pending=uploads) == Progress(0, 5)
    study.record_rating("Bob", b"new", 2, suffix="png")
    assert study.next_image("Bob", pending=uploads) == NAMES[3]
    assert study.progress("Bob", pending=uploads) == Progress(1, 5)


def test_a_disagreement_on_the_score_tab_joins_no_queue(study, shown):
    other = study.record_rating("Ann", b"private", 1, suffix="jpg", shown=shown, study=None)
    assert study.progress("Bob") == Progress(0, 4)
    assert study.image_path(other.sha256).exists()


def test_who_has_disagreed_with_a_score_is_not_asked_blind(study, shown):
    study.record_rating("Bob", NAMES[0], 1, shown=shown, study=None)
    assert study.next_image("Bob") == NAMES[1]


def test_an_unknown_study_or_nameless_rater_is_one_sentence(study):
    with pytest.raises(AnnotationError, match="no study named"):
        study.next_image("Bob", study="nowhere")
    with pytest.raises(AnnotationError, match="Please give a name"):
        study.progress("")
