"""Everything that people said about images, under one data folder."""

from collections.abc import Iterable
from pathlib import Path

from annotations import database, queries
from annotations.errors import AnnotationError
from annotations.images import check_size, clean_file_name, clean_suffix, image_sha256, kept_image, relative_path
from annotations.migrations import DEFAULT_STUDY
from annotations.raters import clean_name
from annotations.recording import Vote, check_seen, record_image, record_vote
from annotations.records import NOTHING, Counts, ImageSummary, Progress, Rating, ShownScore
from annotations.scale import clean_value


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

    def record_rating(
        self,
        rater: str,
        image: bytes | str,
        value: float,
        *,
        seen: str = NOTHING,
        suffix: str | None = None,
        shown: ShownScore | None = None,
        study: str | None = DEFAULT_STUDY,
        name: str | None = None,
    ) -> Rating:
        """Keeps one vote of 1..5 with its presentation and, if new, the image and the rater: all of it or nothing.

        `image` is the file's bytes, with the `suffix` of their format, or the sha256 of a kept image. `name` is what a new
        image's file is called: for the export, shown to no rater. A vote on an
        image that the rater has rated supersedes the earlier one, and counts as given after seeing the score when any
        earlier vote came with one. With a study the image joins the end of its queue.

        Raises AnnotationError for an unusable name, value, image, suffix, study or account of what was seen.
        """
        check_seen(seen, shown)
        sha256 = image if isinstance(image, str) else image_sha256(image)
        vote = Vote(clean_name(rater), sha256, clean_value(value), seen, shown, study)
        if isinstance(image, str):
            with database.writing(self._database) as db:
                if queries.image_file(db, sha256) is None:
                    raise AnnotationError(f"No image {sha256!r} is kept: hand over its file with the first rating.")
                return record_vote(db, vote)
        check_size(image)
        return self._record_with_image(vote, image, clean_suffix(suffix), clean_file_name(name))

    def _record_with_image(self, vote: Vote, data: bytes, suffix: str, name: str | None) -> Rating:
        with database.writing(self._database) as db:
            # An image that came under another suffix before stays the one file it is.
            path = self._images / (queries.image_file(db, vote.sha256) or relative_path(vote.sha256, suffix))
            with kept_image(self._images, data, path):
                record_image(db, vote.sha256, suffix, len(data), name)
                rating = record_vote(db, vote)
                db.commit()
        return rating

    def next_image(self, rater: str, study: str = DEFAULT_STUDY, pending: Iterable[str] = ()) -> str | None:
        """The sha256 of the first image without a vote of this rater: `pending` uploads first, then the study in order.

        None when all are rated. Raises AnnotationError for an unusable name or an unknown study.
        """
        queue, rated = self._queue(rater, study, pending)
        return next((sha256 for sha256 in queue if sha256 not in rated), None)

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

    def current_rating(self, rater: str, sha256: str) -> Rating | None:
        """The rater's latest vote on an image; raises AnnotationError for an unusable name."""
        with database.reading(self._database) as db:
            return queries.latest_rating(db, rater, sha256)

    def ratings_of(self, rater: str) -> list[Rating]:
        """The rater's latest vote on each image, oldest first; raises AnnotationError for an unusable name."""
        with database.reading(self._database) as db:
            return queries.latest_ratings(db, rater)

    def counts(self) -> Counts:
        """How many votes, raters and images there are."""
        with database.reading(self._database) as db:
            return queries.count(db)

    def summaries(self, include_revealed: bool = False) -> list[ImageSummary]:
        """MOS and shown scores of every rated image in order of sha256, one vote a rater and image.

        Counts each rater's latest blind vote, or with include_revealed the latest vote of either kind.
        """
        with database.reading(self._database) as db:
            return queries.summarise(db, self._images, include_revealed)
