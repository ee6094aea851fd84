"""Questions to the database, each within a connection that the caller holds."""

from itertools import groupby
from pathlib import Path
from statistics import fmean

from sqlite_utils import Database

from annotations.errors import AnnotationError
from annotations.images import relative_path
from annotations.mos import opinion
from annotations.raters import name_key
from annotations.records import NOTHING, SCORE, Counts, ImageSummary, Rating, ShownScore
from annotations.scale import onto_rating_scale

RATINGS = """
    SELECT ratings.*, raters.name AS rater_name, studies.name AS study_name
    FROM ratings
    JOIN raters ON raters.id = ratings.rater
    JOIN presentations ON presentations.id = ratings.presentation
    LEFT JOIN studies ON studies.id = presentations.study
    WHERE raters.name_key = :rater
      AND NOT EXISTS (SELECT 1 FROM ratings AS later WHERE later.supersedes = ratings.id)
"""

# Ids grow with time and a rater's votes on an image form one chain, so the largest id is the latest vote. The blind
# figures take the latest blind one: what is thought after the reveal does not replace it.
COUNTED_VOTES = """
    SELECT ratings.image, images.suffix, images.name, value, model, score, score_low, score_high
    FROM ratings JOIN images ON images.sha256 = ratings.image
    WHERE ratings.id IN (SELECT max(id) FROM ratings WHERE seen IN (:nothing, :revealed) GROUP BY rater, image)
    ORDER BY ratings.image, ratings.id
"""


def latest_rating(db: Database, rater: str, sha256: str) -> Rating | None:
    """The vote of a rater on an image that nothing supersedes."""
    rows = db.query(RATINGS + "AND ratings.image = :image", {"rater": name_key(rater), "image": sha256})
    return next(map(_rating, rows), None)


def latest_ratings(db: Database, rater: str) -> list[Rating]:
    """A rater's vote on each image that nothing supersedes, oldest first."""
    return [_rating(row) for row in db.query(RATINGS + "ORDER BY ratings.id", {"rater": name_key(rater)})]


def rated_images(db: Database, rater: str) -> set[str]:
    """The sha256 of every image on which the rater has a vote, blind or not."""
    sql = "SELECT image FROM ratings JOIN raters ON raters.id = ratings.rater WHERE name_key = ?"
    return {row[0] for row in db.execute(sql, [name_key(rater)])}


def study_id(db: Database, name: str) -> int:
    """The id of a study; raises AnnotationError when there is none of that name."""
    row = db.execute("SELECT id FROM studies WHERE name = ?", [name]).fetchone()
    if row is None:
        raise AnnotationError(f"There is no study named {name!r}: choose one that exists.")
    return row[0]


def study_images(db: Database, name: str) -> list[str]:
    """The sha256 of a study's images in the order of its queue; raises AnnotationError for an unknown study."""
    sql = "SELECT image FROM study_images WHERE study = ? ORDER BY position"
    return [row[0] for row in db.execute(sql, [study_id(db, name)])]


def image_file(db: Database, sha256: str) -> Path | None:
    """The path of a kept image below the images folder."""
    row = db.execute("SELECT suffix FROM images WHERE sha256 = ?", [sha256]).fetchone()
    return relative_path(sha256, row[0]) if row else None


def count(db: Database) -> Counts:
    """How many votes, raters and images there are."""
    return Counts(
        ratings=db["ratings"].count,
        blind=db["ratings"].count_where("seen = ?", [NOTHING]),
        revealed=db["ratings"].count_where("seen = ?", [SCORE]),
        raters=db["raters"].count,
        images=db["images"].count,
    )


def summarise(db: Database, images: Path, include_revealed: bool) -> list[ImageSummary]:
    """MOS and shown scores of each image, in order of sha256, with paths below the folder `images`."""
    seen = {"nothing": NOTHING, "revealed": SCORE if include_revealed else NOTHING}
    votes = list(db.query(COUNTED_VOTES, seen))
    return [
        ImageSummary(
            sha256=sha256,
            path=images / relative_path(sha256, suffix),
            opinion=opinion([vote["value"] for vote in group]),
            scores=_mean_scores(group),
            name=name,
        )
        for (sha256, suffix, name), rows in groupby(
            votes, key=lambda vote: (vote["image"], vote["suffix"], vote["name"])
        )
        for group in [list(rows)]
    ]


def _mean_scores(votes: list[dict]) -> dict[str, float]:
    scores: dict[str, list[float]] = {}
    for vote in votes:
        if vote["model"] is not None:
            score = onto_rating_scale(vote["score"], (vote["score_low"], vote["score_high"]))
            scores.setdefault(vote["model"], []).append(score)
    return {model: fmean(values) for model, values in scores.items()}


def _rating(row: dict) -> Rating:
    shown = None
    if row["model"] is not None:
        shown = ShownScore(row["model"], row["revision"], row["score"], (row["score_low"], row["score_high"]))
    return Rating(
        id=row["id"],
        rater=row["rater_name"],
        sha256=row["image"],
        value=row["value"],
        scale=(row["scale_low"], row["scale_high"]),
        seen=row["seen"],
        shown=shown,
        study=row["study_name"],
        supersedes=row["supersedes"],
        created_at=row["created_at"],
    )
