"""What became of a study's ratings: figures for the whole study, its images and its raters."""

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotations import database
from annotations.queries import study_id, version_id
from annotations.statistics.agreement import (
    Components,
    Retest,
    SplitHalf,
    alpha_without_each,
    krippendorff_alpha,
    split_half,
    test_retest,
    variance_components,
)
from annotations.statistics.habits import habits_in_words
from annotations.statistics.opinions import opinions, raters_needed, sos_parameter
from annotations.statistics.ratings import Ratings
from annotations.statistics.recovery import recover
from annotations.studies.answers import Answer, Answers, as_arrays, read_answers


@dataclass(frozen=True)
class ImageFigures:
    """MOS with sample standard deviation, count and 95 % interval, and the MOS recovered by P.910 Annex E; None where there are too few
    ratings. `name` is the image's path within the study's files."""

    name: str
    sha256: str
    mos: float | None
    std: float | None
    n: int
    low: float | None
    high: float | None
    recovered: float | None
    recovered_low: float | None
    recovered_high: float | None


@dataclass(frozen=True)
class RaterFigures:
    """Of one rater: ratings of test images and how many of them are used; bias and inconsistency (None without used ratings);
    Krippendorff's α of all others; right answers to gold and trapping images as "1/2"; the median time in seconds; why the rater is not
    accepted, None for an accepted one; what stands out in the way in which they answer (statistics/habits.py), which leaves nothing out."""

    rater: str
    ratings: int
    used: int
    bias: float | None
    inconsistency: float | None
    alpha_without: float | None
    gold: str
    traps: str
    seconds: float | None
    refused: str | None
    habits: str | None


@dataclass(frozen=True)
class Report:
    """Figures of a study; those that need more ratings are None. `needed` is the number of raters for which the 95 % interval of a MOS with
    the typical standard deviation is an eighth of the scale wide (half a point of five). `per_image` is how many ratings an image is to
    have, `by_hour` counts all ratings by the hour in UTC, as in "2025-03-01T09"."""

    study: str
    question: str
    scale: tuple[float, float]
    ratings: int
    used: int
    raters: int
    accepted: int
    alpha: float | None
    components: Components | None
    retest: Retest | None
    halves: SplitHalf | None
    sos: float | None
    std: float | None
    needed: int | None
    per_image: int
    by_hour: dict[str, int]
    images: list[ImageFigures]
    by_rater: list[RaterFigures]
    left_out: list[Answer]


def make_report(data_dir: Path, study: str) -> Report:
    """The report of a study; raises AnnotationError for an unknown one and the ready-made one."""
    return report_and_ratings(data_dir, study)[0]


def report_and_ratings(data_dir: Path, study: str) -> tuple[Report, Ratings]:
    """The report, and the ratings that are used: raters and images are indices into its lists."""
    with database.reading(data_dir / database.FILE_NAME) as db:
        found = read_answers(db, study)
        version = version_id(db, study_id(db, study))
        sql = "SELECT image, name FROM study_images WHERE version = ? AND kind = 'test' ORDER BY position"
        names = dict(db.execute(sql, [version]).fetchall())
    used, raters = found.used(), list(found.raters)
    ratings = as_arrays(used, raters, list(names))
    plain, fitted, scale = opinions(ratings), recover(ratings), found.definition.scale
    several = plain.n > 1
    std = float(np.sqrt(np.mean(plain.std[several] ** 2))) if several.any() else None
    first, second = _repeats(found)
    without, by_rater = alpha_without_each(ratings), defaultdict(list)
    for one in found.answers:
        by_rater[one.rater].append(one)
    report = Report(
        study=study,
        question=found.definition.question,
        scale=(scale.low, scale.high),
        ratings=sum(one.kind == "test" for one in found.answers),
        used=len(used),
        raters=len(raters),
        accepted=sum(reason is None for reason in found.raters.values()),
        alpha=krippendorff_alpha(ratings),
        components=variance_components(ratings),
        retest=test_retest(first, second),
        halves=split_half(ratings),
        sos=sos_parameter(plain.mos, plain.std, scale.low, scale.high),
        std=std,
        needed=None if std is None else raters_needed(std, (scale.high - scale.low) / 8),
        per_image=found.definition.ratings_per_image,
        by_hour=dict(sorted(Counter(one.created_at[:13] for one in found.answers).items())),
        images=[
            ImageFigures(
                names[image] or image,
                image,
                _number(plain.mos[n]),
                _number(plain.std[n]),
                int(plain.n[n]),
                *(_number(plain.mos[n] + sign * plain.half[n]) for sign in (-1, 1)),
                *(_number(fitted.mos[n] + sign * fitted.half[n]) for sign in (0, -1, 1)),
            )
            for n, image in enumerate(names)
        ],
        by_rater=[
            _rater(rater, by_rater[rater], found.raters[rater], fitted.bias[n], fitted.inconsistency[n], without[n])
            for n, rater in enumerate(raters)
        ],
        left_out=[one for one in found.answers if one.left_out and one.kind == "test"],
    )
    return report, ratings


def _rater(
    rater: str, mine: list[Answer], refused: str | None, bias: float, inconsistency: float, without: float
) -> RaterFigures:
    tests = [one for one in mine if one.kind == "test"]
    seconds = [one.seconds for one in mine if one.seconds is not None]

    def hits(kind: str) -> str:
        right = [one.right for one in mine if one.kind == kind and one.right is not None]
        return f"{sum(right)}/{len(right)}"

    return RaterFigures(
        rater,
        len(tests),
        sum(one.left_out is None for one in tests),
        _number(bias),
        _number(inconsistency),
        _number(without),
        hits("gold"),
        hits("trap"),
        statistics.median(seconds) if seconds else None,
        refused,
        habits_in_words([one.seconds for one in mine], [one.value for one in mine]),
    )


def _repeats(found: Answers) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second ratings of images that accepted raters were shown twice."""
    first = {(one.rater, one.image): one.value for one in found.answers if one.kind == "test"}
    pairs = [
        (first[one.rater, one.image], one.value)
        for one in found.answers
        if one.kind == "repeat" and found.raters[one.rater] is None and (one.rater, one.image) in first
    ]
    return (np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs]))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
