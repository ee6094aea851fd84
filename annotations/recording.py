"""Presentations, exposures and ratings into the database, within a transaction that the caller holds."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlite_utils import Database

from annotations.errors import AnnotationError
from annotations.queries import (
    exposure,
    latest_rating,
    open_problems,
    presentation_by_key,
    rating_of,
    study_id,
    version_id,
)
from annotations.raters import clean_name, name_key
from annotations.records import NOTHING, SCORE, Presentation, Rating, ShownScore
from annotations.scale import RATING_SCALE


@dataclass(frozen=True)
class Opinion:
    """A rating that nothing was presented for by this program: the rater's name, the image, a value on RATING_SCALE, the score that
    was seen before it, and where."""

    rater: str
    sha256: str
    value: float
    shown: ShownScore | None
    study: str | None
    browser: str | None


def record_image(db: Database, sha256: str, suffix: str, size: int, name: str | None) -> bool:
    """The row of an image file of `size` bytes that was called `name`; False where it is there already."""
    if db.execute("SELECT 1 FROM images WHERE sha256 = ?", [sha256]).fetchone():
        return False
    db["images"].insert({"sha256": sha256, "suffix": suffix, "bytes": size, "name": name, "created_at": timestamp()})
    return True


def record_presentation(db: Database, rater: str, sha256: str, study: str | None, browser: str | None) -> Presentation:
    """That an image is shown to a rater, and whether its score was shown to this rater, or in this browser, before."""
    rater_id, study_number = rater_id_of(db, rater), None if study is None else study_id(db, study)
    row = {
        "key": secrets.token_hex(16),
        "study": study_number,
        "image": sha256,
        "rater": rater_id,
        "browser": browser,
        "position": 1 + db["presentations"].count_where("rater = ? AND study IS ?", [rater_id, study_number]),
        "kind": "test",
        "seen": SCORE if exposure(db, rater_id, browser, sha256) else NOTHING,
    }
    number = insert(db, "presentations", row)
    return Presentation(number, row["key"], clean_name(rater), sha256, study, row["seen"])


def record_rating(
    db: Database, given: Presentation, value: float, browser: str | None, shown: ShownScore | None = None
) -> Rating:
    """The rating of what was presented, whose image is kept. `shown` is the score seen before it, where no exposure says so.

    One presentation has one rating: the second time, the first one is returned.
    """
    if already := rating_of(db, given.id):
        return already
    rater = rater_id_of(db, given.rater)
    earlier, shown = latest_rating(db, given.rater, given.sha256), shown or exposure(db, rater, browser, given.sha256)
    if given.study is not None:
        _join_study(db, study_id(db, given.study), given.sha256)
    rating = {
        "presentation": given.id,
        "image": given.sha256,
        "rater": rater,
        "seen": SCORE if shown else NOTHING,
        "value": value,
        "scale_low": RATING_SCALE[0],
        "scale_high": RATING_SCALE[1],
        "supersedes": earlier.id if earlier else None,
    }
    insert(db, "ratings", rating | (score_columns(shown) if shown else {}))
    return rating_of(db, given.id)


def record_opinion(db: Database, given: Opinion) -> Rating:
    """A rating with its presentation and, if a score was seen, the exposure. The same rating of the same score is not kept twice."""
    if given.shown:
        earlier = latest_rating(db, given.rater, given.sha256)
        if earlier and (earlier.value, earlier.shown, earlier.study) == (given.value, given.shown, given.study):
            return earlier
        record_exposure(db, given.sha256, given.shown, "rating", given.browser, given.rater)
    presentation = record_presentation(db, given.rater, given.sha256, given.study, given.browser)
    return record_rating(db, presentation, given.value, given.browser, given.shown)


def record_exposure(
    db: Database, sha256: str, shown: ShownScore, place: str, browser: str | None, rater: str | None
) -> None:
    """That a score was shown, unless it is the one shown there last. Without a name, the rater is who rated last in the browser."""
    if rater is not None:
        rater_id = rater_id_of(db, rater)
    else:
        sql = "SELECT rater FROM presentations WHERE browser = ? ORDER BY id DESC LIMIT 1"
        rater_id = next((row[0] for row in db.execute(sql, [browser])), None)
    where, whom = "image = :image AND rater IS :rater AND browser IS :browser", {"rater": rater_id, "browser": browser}
    last = db["exposures"].rows_where(where, whom | {"image": sha256}, order_by="id DESC", limit=1)
    row = {"image": sha256} | whom | score_columns(shown)
    if not any(row.items() <= known.items() for known in last):
        insert(db, "exposures", row | {"place": place})


def record_problem(db: Database, sha256: str, sentence: str) -> bool:
    """That an image cannot be shown; False where just that is known already."""
    if any((known.sha256, known.sentence) == (sha256, sentence) for known in open_problems(db)):
        return False
    after = db.execute("SELECT coalesce(max(id), 0) FROM presentations").fetchone()[0]
    insert(db, "image_problems", {"image": sha256, "sentence": sentence, "after": after})
    return True


def presented(db: Database, key: str, browser: str | None) -> Presentation:
    """The presentation of this key, in this browser; raises AnnotationError for any other."""
    found = presentation_by_key(db, key)
    if found is None or found[1] != browser:
        raise AnnotationError("This image was not presented in this browser: press Start rating again.")
    return found[0]


def score_columns(shown: ShownScore) -> dict:
    """The columns of a rating or an exposure that hold a score."""
    return {
        "model": shown.model,
        "revision": shown.revision,
        "score": shown.score,
        "score_low": shown.scale[0],
        "score_high": shown.scale[1],
    }


def rater_id_of(db: Database, name: str) -> int:
    """The id of a rater, who is new where the name is."""
    row = db.execute("SELECT id FROM raters WHERE name_key = ?", [name_key(name)]).fetchone()
    return row[0] if row else insert(db, "raters", {"name": clean_name(name), "name_key": name_key(name)})


def _join_study(db: Database, study: int, sha256: str) -> None:
    db.execute(
        """
        INSERT INTO study_images (version, image, position)
        SELECT :version, :image, 1 + (SELECT coalesce(max(position), 0) FROM study_images WHERE version = :version)
        WHERE NOT EXISTS (SELECT 1 FROM study_images WHERE version = :version AND image = :image)
        """,
        {"version": version_id(db, study), "image": sha256},
    )


def insert(db: Database, table: str, row: dict) -> int:
    """Keeps a row with the time of now; returns its id."""
    row = row | {"created_at": timestamp()}
    # Plain SQL: the insert of sqlite-utils inspects the table first, which showed among the largest costs of a rating in a profile.
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    return db.execute(sql, list(row.values())).lastrowid


def timestamp() -> str:
    """Now, as every row has it: ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
