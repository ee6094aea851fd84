"""Everything that people said about images, under one data folder."""

import sqlite3
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from sqlite_utils import Database

from annotations import database, queries
from annotations.errors import AnnotationError
from annotations.images import check_size, clean_file_name, clean_suffix, image_sha256, kept_image, relative_path
from annotations.migrations import DEFAULT_STUDY
from annotations.raters import clean_name
from annotations.recording import (
    Opinion,
    presented,
    record_exposure,
    record_image,
    record_opinion,
    record_presentation,
    record_problem,
    record_rating,
)
from annotations.records import Counts, ImageProblem, ImageSummary, Presentation, Progress, Rating, ShownScore
from annotations.scale import clean_value
from annotations.withdrawals import added_by, check_not_withdrawn, record_addition, withdraw, withdrawn


def open_annotations(data_dir: str | Path) -> "Annotations":
    """The annotations under a data folder, which is created where missing and brought up to date where older.

    Raises AnnotationError when the folder cannot be written, or its database is broken or from a newer version.
    """
    folder = Path(data_dir).absolute()
    database.create_or_migrate(folder)
    return Annotations(folder)


class Annotations:
    """Ratings and their images; get one from `open_annotations`.

    Holds no connection, so any number of threads may share it. Every method raises AnnotationError when the database
    cannot be used (broken, newer, read-only, disk full, busy for too long), and then nothing was changed.
    """

    def __init__(self, data_dir: Path) -> None:
        self._database = data_dir / database.FILE_NAME
        self._images = data_dir / "images"

    def present(
        self, rater: str, sha256: str, *, browser: str | None = None, study: str = DEFAULT_STUDY
    ) -> Presentation:
        """Keeps that an image is being shown to a rater in a browser (a hash that stands for it), for `rate`.

        Raises AnnotationError for an unusable name or an unknown study.
        """
        with database.writing(self._database) as db:
            return record_presentation(db, rater, sha256, study, browser)

    def presentation(self, key: str, *, browser: str | None = None) -> Presentation:
        """What was presented under a key; raises AnnotationError when there is no such thing in this browser."""
        with database.reading(self._database) as db:
            return presented(db, key, browser)

    def rate(
        self,
        key: str,
        value: float,
        *,
        browser: str | None = None,
        image: bytes | None = None,
        suffix: str | None = None,
        name: str | None = None,
    ) -> Rating:
        """Keeps the rating of what was presented under `key` in this browser: rater and image are those of the presentation.

        `image`, `suffix` and `name` are as in `record_rating`, and needed for an image that is not kept yet. It is blind unless
        a score of the image was shown, before now, to the rater or in the browser. A presentation has one rating: sent again,
        the first is returned. Raises AnnotationError for another browser's key, an unusable value or an image that is lacking.
        """
        value = clean_value(value)
        if image is None:
            with database.writing(self._database) as db:
                given = presented(db, key, browser)
                _check_kept(db, given.sha256)
                return record_rating(db, given, value, browser)
        if self.presentation(key, browser=browser).sha256 != image_sha256(image):
            raise AnnotationError("This is not the image that was presented: press Start rating again.")
        return self._with_image(
            image, suffix, name, lambda db: record_rating(db, presented(db, key, browser), value, browser)
        )

    def record_rating(
        self,
        rater: str,
        image: bytes | str,
        value: float,
        *,
        suffix: str | None = None,
        shown: ShownScore | None = None,
        study: str | None = DEFAULT_STUDY,
        name: str | None = None,
        browser: str | None = None,
    ) -> Rating:
        """Keeps one rating of 1..5 with a presentation of its own and, if new, the image and the rater: all of it or nothing.

        `image` is the file's bytes, with the `suffix` of their format, or the sha256 of a kept image. `name` is what a new
        image's file is called: for the export, shown to no rater. `shown` is the model's score that the rater saw before; the
        same rating of the same score is kept once. A rating of an image that the rater has rated supersedes the earlier one.
        With a study the image joins the end of its queue.

        Raises AnnotationError for an unusable name, value, image, suffix or study.
        """
        sha256 = image if isinstance(image, str) else image_sha256(image)
        given = Opinion(clean_name(rater), sha256, clean_value(value), shown, study, browser)
        if isinstance(image, str):
            with database.writing(self._database) as db:
                _check_kept(db, sha256)
                return record_opinion(db, given)
        return self._with_image(image, suffix, name, lambda db: record_opinion(db, given))

    def _with_image(
        self, data: bytes, suffix: str | None, name: str | None, record: Callable[[Database], Rating]
    ) -> Rating:
        """Keeps an image file with what `record` keeps: both or neither."""
        check_size(data)
        suffix, name, sha256 = clean_suffix(suffix), clean_file_name(name), image_sha256(data)
        with database.writing(self._database) as db:
            check_not_withdrawn(db, sha256)
            # An image that came under another suffix before stays the one file it is.
            path = self._images / (queries.image_file(db, sha256) or relative_path(sha256, suffix))
            with kept_image(self._images, data, path):
                new = record_image(db, sha256, suffix, len(data), name)
                rating = record(db)
                if new:
                    record_addition(db, sha256, rating.id)
                db.commit()
        return rating

    def note_exposures(
        self,
        shown: Iterable[tuple[str, ShownScore]],
        *,
        place: str,
        browser: str | None = None,
        rater: str | None = None,
    ) -> None:
        """Keeps that scores of images (by sha256) are being shown to a rater, in a browser, or both: they are not blind to them
        any more. To be called before the scores leave the server. Without `rater` it is who was last presented something in
        the browser. `place` is where: "score", "compare", ...
        """
        with database.writing(self._database) as db:
            for sha256, score in shown:
                record_exposure(db, sha256, score, place, browser, rater)

    def note_problem(self, sha256: str, sentence: str) -> bool:
        """Keeps that an image cannot be shown to raters, and why, for the owner; False where that is known already."""
        with database.writing(self._database) as db:
            return record_problem(db, sha256, sentence)

    def problems(self) -> list[ImageProblem]:
        """The images that could not be shown when it was last tried, oldest first."""
        with database.reading(self._database) as db:
            return queries.open_problems(db)

    def next_image(
        self, rater: str, study: str = DEFAULT_STUDY, pending: Iterable[str] = (), without: Collection[str] = ()
    ) -> str | None:
        """The sha256 of the first image without a rating of this rater: `pending` uploads first, then the study in order.

        None when all are rated but those `without` which it has to do. Raises AnnotationError for an unusable name or an
        unknown study.
        """
        queue, rated = self._queue(rater, study, pending)
        return next((sha256 for sha256 in queue if sha256 not in rated and sha256 not in without), None)

    def progress(self, rater: str, study: str = DEFAULT_STUDY, pending: Iterable[str] = ()) -> Progress:
        """How many images of that queue this rater has rated; raises AnnotationError as `next_image` does."""
        queue, rated = self._queue(rater, study, pending)
        return Progress(done=sum(sha256 in rated for sha256 in queue), total=len(queue))

    def _queue(self, rater: str, study: str, pending: Iterable[str]) -> tuple[list[str], set[str]]:
        with database.reading(self._database) as db:
            # A pending upload that somebody else has rated meanwhile is in the study too, and still one image.
            queue = dict.fromkeys([*pending, *queries.study_images(db, study)])
            return list(queue), queries.rated_images(db, rater)

    def image_path(self, sha256: str) -> Path | None:
        """Where a kept image lies (absolute), or None when nobody has rated it."""
        with database.reading(self._database) as db:
            path = queries.image_file(db, sha256)
        return None if path is None else self._images / path

    def image_files(self) -> list[Path]:
        """Where all kept images lie (absolute), in order of sha256."""
        with database.reading(self._database) as db:
            return [self._images / path for path in queries.image_files(db)]

    def added_by(self, browser: str | None, rater: str | None = None) -> dict[str, Path]:
        """Images (sha256, path) that were added in a browser, or by a rater whose name is proven, the newest first."""
        with database.reading(self._database) as db:
            return {sha256: self._images / path for sha256, path in added_by(db, browser, rater).items()}

    def take_back(self, sha256: str, *, browser: str | None, rater: str | None = None) -> None:
        """Delete the file of an image for whoever added it, as `added_by` tells; the row and the ratings stay, marked, and count in no
        MOS. Raises AnnotationError for an image that somebody else added."""
        with database.writing(self._database) as db:
            path = self._images / withdraw(db, sha256, browser, rater)
            db.commit()
        with database.sentences(self._database):
            path.unlink(missing_ok=True)

    def finish_taking_back(self) -> None:
        """Delete the files of images that were taken back whose deletion a crash prevented."""
        with database.reading(self._database) as db:
            paths = withdrawn(db)
        with database.sentences(self._database):
            for path in paths:
                (self._images / path).unlink(missing_ok=True)

    def hold_open(self) -> sqlite3.Connection:
        """What makes writing often faster for as long as it is open. See database.hold_open."""
        return database.hold_open(self._database)

    def journal_mode(self) -> str:
        """The database's journal, as annotations/database.py says: "wal" or "delete"."""
        with database.reading(self._database) as db:
            return db.journal_mode

    def kept(self, sha256s: Iterable[str]) -> set[str]:
        """Those of these images that are kept, because somebody has rated them."""
        with database.reading(self._database) as db:
            return {sha256 for sha256 in sha256s if queries.image_file(db, sha256) is not None}

    def current_rating(self, rater: str, sha256: str) -> Rating | None:
        """The rater's latest rating of an image; raises AnnotationError for an unusable name."""
        with database.reading(self._database) as db:
            return queries.latest_rating(db, rater, sha256)

    def ratings_of(self, rater: str) -> list[Rating]:
        """The rater's latest rating of each image, oldest first; raises AnnotationError for an unusable name."""
        with database.reading(self._database) as db:
            return queries.latest_ratings(db, rater)

    def counts(self) -> Counts:
        """How many ratings, raters and images there are."""
        with database.reading(self._database) as db:
            return queries.count(db)

    def summaries(self, include_revealed: bool = False) -> list[ImageSummary]:
        """MOS of every rated image in order of sha256; each rater counts once.

        Counts each rater's latest blind rating, or with include_revealed the latest rating of either kind.
        """
        with database.reading(self._database) as db:
            return queries.summarise(db, self._images, include_revealed)


def _check_kept(db: Database, sha256: str) -> None:
    if queries.image_file(db, sha256) is None:
        raise AnnotationError(f"No image {sha256!r} is kept: hand over its file with the first rating.")
