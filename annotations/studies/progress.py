"""How far a study is."""

from dataclasses import dataclass
from pathlib import Path

from annotations import database
from annotations.errors import AnnotationError
from annotations.queries import study_id, version_id
from annotations.studies.lifecycle import latest_definition, state_of


@dataclass(frozen=True)
class StudyProgress:
    """Counts of a study. `places` is how many ratings its test images need in all, `taken` how many of them there are (an image with more
    than it needs counts as full), `held` how many images are on raters' screens now or lately."""

    study: str
    version: int
    state: str
    images: int
    short: int
    places: int
    taken: int
    held: int
    raters: int
    ratings: int

    def __str__(self) -> str:
        return (
            f"{self.study}: version {self.version}, {self.state}; {self.ratings} ratings by {self.raters} raters; "
            f"{self.taken} of {self.places} places taken, {self.held} held; {self.short} of {self.images} images short of ratings"
        )


def last_change(data_dir: Path) -> tuple[int, int, int]:
    """The ids of the last rating, decision and version of all studies: while they stay, so does every report."""
    with database.reading(data_dir / database.FILE_NAME) as db:
        tables = ("ratings", "decisions", "study_versions")
        rating, decision, version = (db.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0 for table in tables)
    return rating, decision, version


def study_progress(data_dir: Path, study: str) -> StudyProgress:
    """Raises AnnotationError for an unknown study and the ready-made one."""
    with database.reading(data_dir / database.FILE_NAME) as db:
        number = study_id(db, study)
        definition = latest_definition(db, study)
        if definition is None:
            raise AnnotationError(f"{study!r} is the ready-made study of the page: export.py has its figures.")
        version, needed = version_id(db, number), definition.ratings_per_image
        images, short, taken = db.execute(
            "SELECT count(*), coalesce(sum(taken < :needed), 0), coalesce(sum(min(taken, :needed)), 0) "
            "FROM places WHERE version = :version",
            {"needed": needed, "version": version},
        ).fetchone()
        held = db.execute("SELECT count(*) FROM leases WHERE version = ?", [version]).fetchone()[0]
        raters, ratings = db.execute(
            "SELECT count(DISTINCT shown.rater), count(*) FROM ratings JOIN presentations AS shown ON shown.id = ratings.showing "
            "WHERE shown.study = ?",
            [number],
        ).fetchone()
        latest = db.execute("SELECT number FROM study_versions WHERE id = ?", [version]).fetchone()[0]
        state = state_of(db, study)
    return StudyProgress(study, latest, state, images, short, images * needed, taken - held, held, raters, ratings)
