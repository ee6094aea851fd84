"""Questions to the database, each within a connection that the caller holds."""

from itertools import groupby
from pathlib import Path

from sqlite_utils import Database

from annotations.errors import AnnotationError
from annotations.images import relative_path
from annotations.mos import opinion
from annotations.raters import name_key
from annotations.records import NOTHING, SCORE, Counts, ImageProblem, ImageSummary, Presentation, Rating, ShownScore

RATINGS = """
    SELECT ratings.*, raters.name AS rater_name, studies.name AS study_name
    FROM ratings
    JOIN raters ON raters.id = ratings.rater
    JOIN presentations ON presentations.id = ratings.presentation
    LEFT JOIN studies ON studies.id = presentations.study
"""
KEPT_IMAGES = "SELECT sha256, suffix FROM images WHERE sha256 NOT IN (SELECT image FROM withdrawals) ORDER BY sha256"
LATEST = """
    WHERE raters.name_key = :rater AND ratings.showing IS NULL
      AND NOT EXISTS (SELECT 1 FROM ratings AS later WHERE later.supersedes = ratings.id)
"""

PRESENTATIONS = """
    SELECT presentations.*, raters.name AS rater_name, studies.name AS study_name
    FROM presentations
    JOIN raters ON raters.id = presentations.rater
    LEFT JOIN studies ON studies.id = presentations.study
"""

# The latest of each image, unless it was shown to somebody afterwards.
OPEN_PROBLEMS = """
    SELECT image, images.name, sentence, problem.created_at
    FROM image_problems AS problem LEFT JOIN images ON images.sha256 = image
    WHERE problem.id IN (SELECT max(id) FROM image_problems GROUP BY image)
      AND NOT EXISTS (SELECT 1 FROM presentations AS shown
                      WHERE shown.image = problem.image AND shown.id > problem.after)
    ORDER BY problem.id
"""

# Ids grow with time and a rater's ratings of an image form one chain, so the largest id is the latest rating. The blind
# figures take the latest blind one: what is thought after the reveal does not replace it. Ratings of a showing belong to a
# study with a definition (annotations/studies/), which has its own rules.
COUNTED_RATINGS = """
    SELECT ratings.image, images.suffix, images.name, rater, value
    FROM ratings JOIN images ON images.sha256 = ratings.image
    WHERE ratings.image NOT IN (SELECT image FROM withdrawals)
      AND ratings.id IN (SELECT max(id) FROM ratings
                         WHERE seen IN (:nothing, :revealed) AND showing IS NULL GROUP BY rater, image)
    ORDER BY ratings.image, ratings.id
"""


def latest_rating(db: Database, rater: str, sha256: str) -> Rating | None:
    """A rater's current rating of an image."""
    rows = db.query(RATINGS + LATEST + "AND ratings.image = :image", {"rater": name_key(rater), "image": sha256})
    return next(map(_rating, rows), None)


def latest_ratings(db: Database, rater: str) -> list[Rating]:
    """A rater's current rating of each image, oldest first."""
    return [_rating(row) for row in db.query(RATINGS + LATEST + "ORDER BY ratings.id", {"rater": name_key(rater)})]


def rating_of(db: Database, presentation: int) -> Rating | None:
    """The rating given at a presentation."""
    return next(map(_rating, db.query(RATINGS + "WHERE ratings.presentation = ?", [presentation])), None)


def presentation_by_key(db: Database, key: str) -> tuple[Presentation, str | None] | None:
    """A presentation, and the browser in which the image was shown."""
    row = next(iter(db.query(PRESENTATIONS + "WHERE presentations.key = ?", [key])), None)
    if row is None:
        return None
    found = Presentation(row["id"], row["key"], row["rater_name"], row["image"], row["study_name"], row["seen"])
    return found, row["browser"]


def exposure(db: Database, rater: int | None, browser: str | None, sha256: str) -> ShownScore | None:
    """The latest score of an image that was shown to a rater, or in a browser."""
    sql = "SELECT * FROM exposures WHERE image = ? AND (rater = ? OR browser = ?) ORDER BY id DESC LIMIT 1"
    return next(map(_shown, db.query(sql, [sha256, rater, browser])), None)


def open_problems(db: Database) -> list[ImageProblem]:
    """The images that could not be shown to a rater when it was last tried, oldest first."""
    return [ImageProblem(*row) for row in db.execute(OPEN_PROBLEMS)]


def rated_images(db: Database, rater: str) -> set[str]:
    """The sha256 of every image that the rater has rated, blind or not."""
    sql = "SELECT image FROM ratings JOIN raters ON raters.id = ratings.rater WHERE name_key = ? AND showing IS NULL"
    return {row[0] for row in db.execute(sql, [name_key(rater)])}


def study_id(db: Database, name: str) -> int:
    """The id of a study; raises AnnotationError for an unknown name."""
    row = db.execute("SELECT id FROM studies WHERE name = ?", [name]).fetchone()
    if row is None:
        raise AnnotationError(f"There is no study named {name!r}: choose one that exists.")
    return row[0]


def version_id(db: Database, study: int) -> int:
    """The id of a study's latest version."""
    return db.execute("SELECT max(id) FROM study_versions WHERE study = ?", [study]).fetchone()[0]


def study_images(db: Database, name: str) -> list[str]:
    """The sha256 of a study's images in the order of its queue; raises AnnotationError for an unknown study."""
    sql = "SELECT image FROM study_images WHERE version = ? AND image NOT IN (SELECT image FROM withdrawals) ORDER BY position"
    return [row[0] for row in db.execute(sql, [version_id(db, study_id(db, name))])]


def image_file(db: Database, sha256: str) -> Path | None:
    """The path of a kept image below the images folder; None, too, for one that was taken back."""
    sql = "SELECT suffix FROM images WHERE sha256 = :image AND :image NOT IN (SELECT image FROM withdrawals)"
    row = db.execute(sql, {"image": sha256}).fetchone()
    return relative_path(sha256, row[0]) if row else None


def image_files(db: Database) -> list[Path]:
    """The paths of all kept images below the images folder, in order of sha256."""
    return [relative_path(*row) for row in db.execute(KEPT_IMAGES)]


def count(db: Database) -> Counts:
    """How many ratings, raters and images there are."""
    return Counts(
        ratings=db["ratings"].count,
        blind=db["ratings"].count_where("seen = ?", [NOTHING]),
        revealed=db["ratings"].count_where("seen = ?", [SCORE]),
        raters=db.execute("SELECT count(DISTINCT rater) FROM ratings").fetchone()[0],
        images=db["images"].count,
    )


def summarise(db: Database, images: Path, include_revealed: bool) -> list[ImageSummary]:
    """MOS of each image, in order of sha256, with paths below the folder `images`."""
    seen = {"nothing": NOTHING, "revealed": SCORE if include_revealed else NOTHING}
    ratings = list(db.query(COUNTED_RATINGS, seen))
    return [
        ImageSummary(
            sha256=sha256,
            path=images / relative_path(sha256, suffix),
            opinion=opinion([rating["value"] for rating in group]),
            name=name,
            ratings=tuple((rating["rater"], rating["value"]) for rating in group),
        )
        for (sha256, suffix, name), rows in groupby(
            ratings, key=lambda rating: (rating["image"], rating["suffix"], rating["name"])
        )
        for group in [list(rows)]
    ]


def _rating(row: dict) -> Rating:
    return Rating(
        id=row["id"],
        rater=row["rater_name"],
        sha256=row["image"],
        value=row["value"],
        scale=(row["scale_low"], row["scale_high"]),
        seen=row["seen"],
        shown=_shown(row) if row["model"] is not None else None,
        study=row["study_name"],
        supersedes=row["supersedes"],
        created_at=row["created_at"],
    )


def _shown(row: dict) -> ShownScore:
    return ShownScore(row["model"], row["revision"], row["score"], (row["score_low"], row["score_high"]))
