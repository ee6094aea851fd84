"""The training data of fine-tuning: what is held out, how much each MOS counts, a check that there are enough, a hash. No torch."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from model.common.errors import DataError
from model.common.scale import Scale
from model.datasets.rated import RatedImage
from model.scoring.assessment import Failure

MIN_IMAGES = 8  # fewer are not enough to learn from
HELD_OUT_SHARE = 0.2
MIN_HELD_OUT = 3  # a correlation of two points is always 1 or -1
MIN_RATERS = 3  # of fewer, holding one out would cost a half of the ratings
FIVE = Scale(1.0, 5.0)
# On this scale: the standard deviation of one rating about its MOS, and of the MOS about the best scorer.
RATING_STD, UNEXPLAINED_STD = 0.8, 0.3
PRIOR = 4  # ratings' worth of trust in RATING_STD beside an image's own spread


@dataclass(frozen=True)
class Split:
    """Positions of the images to train on and of the held-out images, both ascending. own: the images of data
    sets with a split of their own, the unused ones too. raters: whose ratings are held out, too."""

    train: list[int]
    held_out: list[int]
    own: frozenset[int] = frozenset()
    raters: frozenset[str] = frozenset()


def split(digests: Sequence[str], seen_before: Sequence[str] = (), rated: Sequence[RatedImage] = ()) -> Split:
    """Hold out the test part of each data set that has one (else its validation part; what is in no split's training part is not used), and
    of all other images a fifth, at least three: those with the smallest SHA-256.

    This is as good as random, and repeatable. Images of one content (RatedImage.content) stay together. Images that a resumed adapter was
    trained on (`seen_before`) are never held out, since figures on them would be too optimistic; so fewer than three images, or none, may
    be held out.
    """
    seen, parts = set(seen_before), defaultdict(set)
    for record in rated:
        parts[record.dataset].add(record.split)
    tested = {
        name: "test" if "test" in found else "validation"
        for name, found in parts.items()
        if found & {"test", "validation"}
    }
    train, held_out, own, others = [], set(), set(), []
    for position in range(len(digests)):
        record = rated[position] if rated else None
        if record is None or record.dataset not in tested:
            others.append(position)
            continue
        own.add(position)
        if record.split == tested[record.dataset] and digests[position] not in seen:
            held_out.add(position)
        elif record.split == "training":
            train.append(position)

    def content(position: int) -> str:
        shared = rated[position].content if rated else ""
        return hashlib.sha256(shared.encode()).hexdigest() if shared else digests[position]

    groups = defaultdict(list)
    for position in others:
        groups[content(position)].append(position)
    count = max(MIN_HELD_OUT, round(HELD_OUT_SHARE * len(others))) if others else 0
    for _, members in sorted(groups.items()):
        if count > 0 and not any(digests[position] in seen for position in members):
            held_out.update(members)
            count -= len(members)
    train += [position for position in others if position not in held_out]
    raters = held_out_raters([rated[n] for n in train] if rated else [])
    return Split(sorted(train), sorted(held_out), frozenset(own), raters)


def held_out_raters(rated: Sequence[RatedImage]) -> frozenset[str]:
    """A fifth of the raters, at least one: those with the smallest SHA-256 among who gave at most half of the ratings. None where
    fewer than MIN_RATERS rated, or the others rated fewer than MIN_IMAGES images."""
    given = Counter(rater for record in rated for rater, _ in record.ratings)
    if len(given) < MIN_RATERS:
        return frozenset()
    order = sorted(given, key=lambda rater: hashlib.sha256(rater.encode()).hexdigest())
    chosen = frozenset(
        [r for r in order if 2 * given[r] <= given.total()][: max(1, round(HELD_OUT_SHARE * len(given)))]
    )
    left = sum(not record.ratings or any(rater not in chosen for rater, _ in record.ratings) for record in rated)
    return chosen if left >= MIN_IMAGES else frozenset()


def without_raters(record: RatedImage, raters: Collection[str]) -> RatedImage | None:
    """The image with the MOS of all but these raters; None where only they rated it. One whose single ratings are not known
    is not changed."""
    return record.rated_by(lambda rater: rater not in raters) if record.ratings and raters else record


def taught(rated: Sequence[RatedImage], parts: Split) -> tuple[list[int], list[RatedImage]]:
    """The positions that are trained on, and these images with the MOS of the raters who are not held out."""
    found = {n: record for n in parts.train if (record := without_raters(rated[n], parts.raters))}
    return list(found), list(found.values())


def by_held_out_raters(
    rated: Sequence[RatedImage], held_out: Sequence[int], raters: Collection[str]
) -> tuple[list[int], list[RatedImage]]:
    """Those of the held-out images that the held-out raters rated, and these images with these raters' MOS."""
    found = {n: record for n in held_out if (record := rated[n].rated_by(lambda rater: rater in raters))}
    return list(found), list(found.values())


def reliability(rated: Sequence[RatedImage]) -> list[float]:
    """How much each MOS counts, 1 on the average: the inverse of its variance about what could be learned.

    That is the variance of one rating divided by their number n, plus that of the MOS about the best scorer. The variance of one rating is
    the usual one, weighted as PRIOR ratings would be, together with the image's own: of two or three ratings, the spread alone says
    little. An image without n counts as one with one rating.
    """
    if not rated:
        return []
    weights = []
    for record in rated:
        low, high = record.scale or FIVE
        unit = (FIVE.high - FIVE.low) / (high - low)
        n, spread = record.n or 1, RATING_STD**2
        if record.std is not None and n > 1:
            spread = (PRIOR * spread + (n - 1) * (unit * record.std) ** 2) / (PRIOR + n - 1)
        weights.append(1 / (spread / n + UNEXPLAINED_STD**2))
    mean = sum(weights) / len(weights)
    return [weight / mean for weight in weights]


def check_enough(count: int, failures: Sequence[Failure] = ()) -> None:
    """Raises DataError when `count` readable images are too few to learn from; the message names the first unreadable image."""
    if count >= MIN_IMAGES:
        return
    unread = (
        f" ({len(failures)} more cannot be read, such as {failures[0].image}: {failures[0].error})" if failures else ""
    )
    raise DataError(
        f"{count} rated images are too few to learn from{unread}: rate at least {MIN_IMAGES}, better 50 or more, and run this again."
    )


def data_hash(rated: Sequence[RatedImage], digests: Sequence[str]) -> str:
    """SHA-256 over the images' digests with their MOS, std, n and scale; independent of order and paths."""
    rows = sorted([digest, r.mos, r.std, r.n, *r.scale] for r, digest in zip(rated, digests, strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
