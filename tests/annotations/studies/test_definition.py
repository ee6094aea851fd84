"""The YAML file of a study: what it says, and the sentence for what it should not."""

import pytest

from annotations import AnnotationError
from annotations.studies.definition import ACR_LABELS, Special, parse

WHOLE = """\
study: holiday
title: Holiday photos
question: How good is the technical quality?
scale: continuous
labels: [awful, fine, superb]
images: [photos, more.csv]
ratings_per_image: 20
session_length: 50
instructions: |
  Take your time.
  Do not zoom.
training:
  - image: extra/sharp.jpg
    explanation: Everything in focus.
gold:
  - image: extra/blurred.jpg
    accept: [0, 40]
traps:
  - {image: extra/choose.png, accept: 25}
repeats: 0.1
blind: true
reveal: false
seed: 7
"""


def test_every_field_is_read():
    found = parse(WHOLE, "a.yaml")
    assert (found.study, found.title, found.images) == ("holiday", "Holiday photos", ("photos", "more.csv"))
    assert (found.scale.kind, found.scale.low, found.scale.high, found.scale.labels) == (
        "continuous",
        0,
        100,
        ("awful", "fine", "superb"),
    )
    assert (found.ratings_per_image, found.session_length, found.repeats, found.seed) == (20, 50, 0.1, 7)
    assert (found.blind, found.reveal, found.instructions) == (True, False, "Take your time.\nDo not zoom.")
    assert found.training == (Special("extra/sharp.jpg", 13, explanation="Everything in focus."),)
    assert found.gold == (Special("extra/blurred.jpg", 16, accept=(0, 40)),)
    assert found.traps == (Special("extra/choose.png", 19, accept=(25, 25)),)


def test_three_fields_are_enough():
    found = parse("study: a\nquestion: How good?\nimages: photos\n", "a.yaml")
    assert (found.title, found.scale.kind, found.scale.labels) == ("a", "acr", ACR_LABELS)
    assert (found.ratings_per_image, found.repeats, found.blind, found.reveal) == (15, 0.08, True, False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("study: holiday", "study: Holiday photos", "line 1: study must be of a-z"),
        ("study: holiday", "stdy: holiday", "line 1: there is no field 'stdy' here"),
        ("study: holiday\n", "", "line 1: study is lacking"),
        ("scale: continuous", "scale: stars", "line 4: scale must be one of acr, continuous, not 'stars'"),
        ("scale: continuous", "scale: acr", "line 5: labels must be five"),
        ("images: [photos, more.csv]", "images: 3", "line 6: images must be text or a list of texts, not '3'"),
        ("ratings_per_image: 20", "ratings_per_image: many", "line 7: ratings_per_image must be a whole number"),
        ("ratings_per_image: 20", "ratings_per_image: true", "line 7: ratings_per_image must be a whole number"),
        ("session_length: 50", "session_length: 0", "line 8: session_length must be a whole number from 1"),
        ("session_length: 50", "ratings_per_image: 5", "line 8: ratings_per_image is given twice"),
        ("accept: [0, 40]", "accept: [40, 0]", "line 17: accept must be a number from 0 to 100 or a list of two"),
        ("accept: 25", "accept: 250", "line 19: accept must be a number from 0 to 100"),
        ("repeats: 0.1", "repeats: .nan", "line 20: repeats must be a number from 0 to 0.5"),
        ("blind: true", "blind: 2", "line 21: blind must be true or false, not '2'"),
        ("reveal: false", "reveal: true", "line 22: reveal needs `repeats: 0`"),
        ("seed: 7", "seed: seven", "line 23: seed must be a whole number"),
        ("seed: 7", "seed: 2026-13-45", "line 23: seed has a value that cannot be read"),
        ("  - image: extra/sharp.jpg", "  - picture: extra/sharp.jpg", "line 13: there is no field 'picture' here"),
        ("- {image: extra/choose.png, accept: 25}", "- extra/choose.png", "line 19: fields are expected here"),
        ("seed: 7", "seed: [", "this is not YAML"),
        (WHOLE, "", "is empty"),
        (WHOLE, "- a list\n", "line 1: fields are expected here"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_line_and_field(old, new, said):
    with pytest.raises(AnnotationError) as refused:
        parse(WHOLE.replace(old, new), "a.yaml")
    assert said in str(refused.value) and str(refused.value).startswith("a.yaml")
    assert "\n" not in str(refused.value)
