"""Images that whoever added them took back: the file goes; the row with its hash, and the ratings, stay."""

from pathlib import Path

from sqlite_utils import Database

from annotations.errors import AnnotationError
from annotations.images import relative_path
from annotations.raters import name_key
from annotations.recording import timestamp

ADDED = """
    SELECT images.sha256, images.suffix FROM additions
    JOIN images ON images.sha256 = additions.image
    JOIN ratings ON ratings.id = additions.rating
    JOIN presentations ON presentations.id = ratings.presentation
    JOIN raters ON raters.id = ratings.rater
    WHERE images.sha256 NOT IN (SELECT image FROM withdrawals)
      AND (presentations.browser = :browser OR raters.name_key = :rater)
    ORDER BY ratings.id DESC
"""


def record_addition(db: Database, sha256: str, rating: int) -> None:
    """That a new image came with a rating: its rater, or the browser in which it was given, added it."""
    db["additions"].insert({"image": sha256, "rating": rating, "created_at": timestamp()})


def added_by(db: Database, browser: str | None, rater: str | None) -> dict[str, Path]:
    """The kept images that a browser, or a rater whose name is proven, added, the newest first: sha256 and path below the images folder."""
    found = db.execute(ADDED, {"browser": browser, "rater": name_key(rater) if rater else None})
    return {sha256: relative_path(sha256, suffix) for sha256, suffix in found}


def withdraw(db: Database, sha256: str, browser: str | None, rater: str | None) -> Path:
    """Mark an image as taken back; returns the path of its file, which is to go. Raises AnnotationError when somebody else added it."""
    path = added_by(db, browser, rater).get(sha256)
    if path is None:
        raise AnnotationError("This is not an image that you added: only who added one can take it back.")
    db["withdrawals"].insert({"image": sha256, "created_at": timestamp()})
    return path


def withdrawn(db: Database) -> list[Path]:
    """The paths below the images folder of all images that were taken back."""
    sql = "SELECT sha256, suffix FROM images JOIN withdrawals ON withdrawals.image = sha256"
    return [relative_path(*row) for row in db.execute(sql)]


def check_not_withdrawn(db: Database, sha256: str) -> None:
    """Raises AnnotationError for an image that was taken back: it is not kept again."""
    if db.execute("SELECT 1 FROM withdrawals WHERE image = ?", [sha256]).fetchone():
        raise AnnotationError("This image was taken back by whoever added it, and is not kept again: rate another.")
