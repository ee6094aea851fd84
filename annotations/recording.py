"""One vote into the database, within a transaction that the caller holds."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlite_utils import Database

from annotations.errors import AnnotationError
from annotations.queries import latest_rating, study_id
from annotations.raters import name_key
from annotations.records import NOTHING, SCORE, Rating, ShownScore
from annotations.scale import RATING_SCALE


@dataclass(frozen=True)
class Vote:
    """What somebody gave, checked in itself: the cleaned name, a value on RATING_SCALE, what was seen."""

    rater: str
    sha256: str
    value: float
    seen: str
    shown: ShownScore | None
    study: str | None


def check_seen(seen: str, shown: ShownScore | None) -> None:
    """Raises AnnotationError when what the rater had seen is not said properly."""
    if seen not in (NOTHING, SCORE):
        raise AnnotationError(f"What the rater had seen must be {NOTHING!r} or {SCORE!r}, not {seen!r}.")
    if seen == SCORE and shown is None:
        raise AnnotationError("A rating given after seeing a score needs that score: score the image first.")


def record_image(db: Database, sha256: str, suffix: str, size: int, name: str | None) -> None:
    """The row of an image file of `size` bytes that was called `name`, unless it is there."""
    if not db.execute("SELECT 1 FROM images WHERE sha256 = ?", [sha256]).fetchone():
        db["images"].insert({"sha256": sha256, "suffix": suffix, "bytes": size, "name": name, "created_at": _now()})


def record_vote(db: Database, vote: Vote) -> Rating:
    """Rater, place in the study, presentation and rating of a kept image; returns the rating as it was kept."""
    earlier = latest_rating(db, vote.rater, vote.sha256)
    seen, shown = vote.seen, vote.shown
    if earlier and earlier.shown:
        # Whoever has once been shown a score of this image is not blind to it any more.
        seen, shown = SCORE, shown or earlier.shown
    study = None if vote.study is None else study_id(db, vote.study)
    if study is not None:
        _join_study(db, study, vote.sha256)
    rater = _rater_id(db, vote.rater)
    presentation = _insert(
        db,
        "presentations",
        {
            "study": study,
            "image": vote.sha256,
            "rater": rater,
            "position": _next_position(db, rater, study),
            "kind": "test",
            "seen": seen,
        },
    )
    rating = {
        "presentation": presentation,
        "image": vote.sha256,
        "rater": rater,
        "seen": seen,
        "value": vote.value,
        "scale_low": RATING_SCALE[0],
        "scale_high": RATING_SCALE[1],
        "supersedes": earlier.id if earlier else None,
    }
    _insert(db, "ratings", rating | _score_columns(shown))
    return latest_rating(db, vote.rater, vote.sha256)


def _score_columns(shown: ShownScore | None) -> dict:
    if shown is None:
        return {}
    return {
        "model": shown.model,
        "revision": shown.revision,
        "score": shown.score,
        "score_low": shown.scale[0],
        "score_high": shown.scale[1],
    }


def _rater_id(db: Database, name: str) -> int:
    row = db.execute("SELECT id FROM raters WHERE name_key = ?", [name_key(name)]).fetchone()
    return row[0] if row else _insert(db, "raters", {"name": name, "name_key": name_key(name)})


def _join_study(db: Database, study: int, sha256: str) -> None:
    db.execute(
        """
        INSERT INTO study_images (study, image, position)
        SELECT :study, :image, 1 + (SELECT coalesce(max(position), 0) FROM study_images WHERE study = :study)
        WHERE NOT EXISTS (SELECT 1 FROM study_images WHERE study = :study AND image = :image)
        """,
        {"study": study, "image": sha256},
    )


def _next_position(db: Database, rater: int, study: int | None) -> int:
    return 1 + db["presentations"].count_where("rater = ? AND study IS ?", [rater, study])


def _insert(db: Database, table: str, row: dict) -> int:
    return db[table].insert(row | {"created_at": _now()}).last_pk


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
