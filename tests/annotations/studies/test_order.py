"""What kind of image comes at which place."""

from collections import Counter

import pytest

from annotations.studies.order import generator, session_kinds, to_repeat


@pytest.mark.parametrize("length", [1, 2, 3, 7, 25, 100])
@pytest.mark.parametrize(("gold", "traps", "repeats"), [(0, 0, 0.0), (5, 3, 0.08), (1, 1, 0.5), (9, 0, 0.2)])
def test_a_session_starts_with_a_test_and_repeats_late(length, gold, traps, repeats):
    for rater in range(20):
        kinds = session_kinds(generator(1, 2, rater, 0), length, gold, traps, repeats)
        assert len(kinds) == length and kinds[0] == "test"
        assert kinds.count("repeat") == min(round(length * repeats), length // 2)
        assert "repeat" not in kinds[: (length + 1) // 2]
        assert kinds.count("gold") <= min(gold, 2) and kinds.count("trap") <= min(traps, 1)
        if length >= 25 and repeats < 0.3:
            assert (kinds.count("gold"), kinds.count("trap")) == (min(gold, 2), min(traps, 1))


def test_the_seed_decides_for_each_rater_study_and_session():
    def plan(*who: int) -> list[str]:
        return session_kinds(generator(*who), 50, 2, 1, 0.08)

    assert plan(1, 2, 3, 0) == plan(1, 2, 3, 0)
    assert (
        len({tuple(plan(*who)) for who in [(1, 2, 3, 0), (9, 2, 3, 0), (1, 9, 3, 0), (1, 2, 9, 0), (1, 2, 3, 9)]}) == 5
    )


def test_gold_images_come_anywhere_but_first():
    places = Counter(session_kinds(generator(0, 0, rater, 0), 10, 1, 0, 0.0).index("gold") for rater in range(900))
    assert sorted(places) == list(range(1, 10))
    assert min(places.values()) > 50  # 100 are expected, with a standard deviation of 9.4


def test_a_repeat_is_of_the_first_half_and_no_image_is_repeated_twice():
    rng, repeated = generator(0, 0, 0, 0), set()
    for _ in range(3):
        image = to_repeat(rng, list("abcde"), repeated)
        assert image in "abc" and image not in repeated
        repeated.add(image)
    assert to_repeat(rng, list("abcde"), repeated) is None
    assert to_repeat(rng, [], set()) is None
