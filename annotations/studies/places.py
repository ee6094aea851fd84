"""Who has a place among the raters of a test image: those who rated it, and those who were shown it and may still rate it.

A place that was given and not used comes back when its lease expires. Both tables can be counted anew from presentations and ratings.
"""

import random
from collections.abc import Iterable

from sqlite_utils import Database

LEASE = 30 * 60.0  # seconds for which a place is held for a rater who was shown the image
FEW = 200  # images: so many are looked at one by one


def count_places(db: Database, study: int, version: int) -> None:
    """The places of a study's latest version, from all its ratings; those of earlier versions are forgotten, and nobody holds one."""
    for table in ("leases", "places"):
        db.execute(f"DELETE FROM {table} WHERE version IN (SELECT id FROM study_versions WHERE study = ?)", [study])
    db.execute(
        """
        INSERT INTO places (version, image, taken)
        SELECT version, study_images.image, coalesce(rated.raters, 0) FROM study_images LEFT JOIN (
            SELECT shown.image, count(DISTINCT shown.rater) AS raters
            FROM presentations AS shown JOIN ratings ON ratings.showing = shown.id
            WHERE shown.study = :study AND shown.kind = 'test' GROUP BY shown.image
        ) AS rated ON rated.image = study_images.image
        WHERE version = :version AND kind = 'test'
        """,
        {"study": study, "version": version},
    )


def free_unused(db: Database, study: int, version: int, unused: Iterable[int]) -> None:
    """Gives back the places of ratings that are not used (by their ids), until the study's next version counts anew."""
    db.execute("CREATE TEMP TABLE unused (showing INTEGER PRIMARY KEY, image TEXT)")
    db.conn.executemany(
        "INSERT OR IGNORE INTO unused SELECT showing, image FROM ratings WHERE id = ?", ((number,) for number in unused)
    )
    db.execute(
        """
        UPDATE places SET taken = (
            SELECT count(DISTINCT shown.rater) FROM presentations AS shown
            WHERE shown.image = places.image AND shown.study = :study AND shown.kind = 'test'
              AND EXISTS (SELECT 1 FROM ratings WHERE showing = shown.id) AND shown.id NOT IN (SELECT showing FROM unused)
        ) + (SELECT count(*) FROM leases WHERE leases.version = :version AND leases.image = places.image)
        WHERE version = :version AND image IN (SELECT image FROM unused)
        """,
        {"study": study, "version": version},
    )


def release_expired(db: Database, version: int, now: float) -> None:
    """Gives back the places that were held for somebody until before `now` (seconds since 1970)."""
    expired = {"version": version, "now": now}
    rows = db.execute("SELECT presentation, image FROM leases WHERE version = :version AND expires < :now", expired)
    for presentation, image in rows.fetchall():
        db.execute("DELETE FROM leases WHERE presentation = ?", [presentation])
        db.execute("UPDATE places SET taken = taken - 1 WHERE version = ? AND image = ?", [version, image])


def hold(db: Database, version: int, image: str, showing: int, now: float) -> None:
    """Takes a place for a showing, or holds it longer."""
    renewed = db.execute("UPDATE leases SET expires = ? WHERE presentation = ?", [now + LEASE, showing])
    if not renewed.rowcount:
        db.execute("UPDATE places SET taken = taken + 1 WHERE version = ? AND image = ?", [version, image])
        db.execute("INSERT INTO leases VALUES (?, ?, ?, ?)", [showing, version, image, now + LEASE])


def keep(db: Database, version: int, image: str, showing: int) -> None:
    """The place of a showing that is being rated for the first time: it stays taken, even where its lease had expired."""
    if not db.execute("DELETE FROM leases WHERE presentation = ?", [showing]).rowcount:
        db.execute("UPDATE places SET taken = taken + 1 WHERE version = ? AND image = ?", [version, image])


def has_place(db: Database, version: int, image: str, needed: int, showing: int) -> bool:
    """Whether a showing may go on: it holds its place, or there is a free one."""
    if db.execute("SELECT 1 FROM leases WHERE presentation = ?", [showing]).fetchone():
        return True
    sql = "SELECT 1 FROM places WHERE version = ? AND image = ? AND taken < ?"
    return db.execute(sql, [version, image, needed]).fetchone() is not None


def choose_image(db: Database, version: int, needed: int, seen: set[str], rng: random.Random) -> str | None:
    """A test image with a free place that is not in `seen`: one of those with the fewest places taken.

    None where there is none. Among more than FEW images it is one of a stretch of the index that starts at a random sha256: no list of a
    hundred thousand is made, and since hashes lie evenly, each is about equally likely.
    """
    taken = -1
    while True:
        sql = "SELECT min(taken) FROM places WHERE version = ? AND taken > ? AND taken < ?"
        taken = db.execute(sql, [version, taken, needed]).fetchone()[0]
        if taken is None:
            return None
        stretch = "SELECT image FROM places WHERE version = ? AND taken = ? AND image >= ? ORDER BY image LIMIT ?"
        most = FEW + len(seen)
        found = [row[0] for row in db.execute(stretch, [version, taken, "", most])]
        unseen = [image for image in found if image not in seen]
        if len(found) == most:
            start = f"{rng.getrandbits(256):064x}"
            further = db.execute(stretch, [version, taken, start, most])
            unseen = [row[0] for row in further if row[0] not in seen] or unseen
        if unseen:
            return rng.choice(unseen)
