"""One study with a definition, as the page, the commands and other programs use it."""

import time
from collections.abc import Callable, Collection
from pathlib import Path

from sqlite_utils import Database

from annotations import database, queries
from annotations.errors import AnnotationError, NotPresented
from annotations.queries import study_id, version_id
from annotations.studies import answers, places, showing
from annotations.studies.definition import Definition
from annotations.studies.lifecycle import (
    StudyImage,
    latest_definition,
    set_state,
    state_of,
    study_names,
    version_files,
    version_images,
)
from annotations.studies.showing import Presented, Showing, StudyRating


def list_studies(data_dir: Path) -> list[str]:
    """The names of the studies with a definition, oldest first."""
    with database.reading(data_dir / database.FILE_NAME) as db:
        return study_names(db)


class Study:
    """The study of this name under a data folder that `open_annotations` has brought up to date.

    Holds no connection: share it between threads. Every method raises AnnotationError where the study is unknown or the database cannot
    be used, and then nothing was changed. `clock` gives seconds since 1970.
    """

    def __init__(self, data_dir: Path, name: str, clock: Callable[[], float] = time.time) -> None:
        self.name, self.data_dir, self._clock = name, data_dir, clock
        self._database = data_dir / database.FILE_NAME

    def definition(self) -> Definition:
        """Of the latest version."""
        with database.reading(self._database) as db:
            found = latest_definition(db, self.name)
        if found is None:
            raise AnnotationError(f"{self.name!r} is the ready-made study of the page: it has no definition.")
        return found

    def images(self) -> list[StudyImage]:
        """Of the latest version, in the definition's order."""
        with database.reading(self._database) as db:
            return version_images(db, self.name)

    def image_paths(self) -> dict[str, Path]:
        """Where the images of the latest version lie (absolute), by their sha256; without those that were taken back."""
        with database.reading(self._database) as db:
            return {sha256: self.data_dir / "images" / path for sha256, path in version_files(db, self.name).items()}

    def state(self) -> str:
        """draft, open, paused or closed."""
        with database.reading(self._database) as db:
            return state_of(db, self.name)

    def set_state(self, state: str) -> None:
        """Opens, pauses or closes the study."""
        with database.writing(self._database) as db:
            set_state(db, self.name, state)

    def reopen_short(self) -> int:
        """Opens the study for the images that have too few ratings that are used: the places of those that are left out are given again.
        Returns how many images that are."""
        with database.reading(self._database) as db:
            found = answers.read_answers(db, self.name)
            number = study_id(db, self.name)
        unused = [one.rating for one in found.answers if one.kind == "test" and one.left_out]
        with database.writing(self._database) as db:
            version = version_id(db, number)
            places.free_unused(db, number, version, unused)
            set_state(db, self.name, "open")
            sql = "SELECT count(*) FROM places WHERE version = ? AND taken < ?"
            return db.execute(sql, [version, found.definition.ratings_per_image]).fetchone()[0]

    def show_next(self, rater: str, *, browser: str | None = None, without: Collection[str] = ()) -> Showing | None:
        """What the rater is shown now; None when nothing is left. See showing.show."""
        with database.writing(self._database) as db:
            return next(iter(showing.show(db, self.name, rater, browser, self._clock(), without)), None)

    def show_two(self, rater: str, *, browser: str | None = None, without: Collection[str] = ()) -> tuple[Showing, ...]:
        """The same, and the image after it where there is one in the session, for a page that loads it ahead."""
        with database.writing(self._database) as db:
            return showing.show(db, self.name, rater, browser, self._clock(), without, ahead=True)

    def enter(
        self, rater: str, link: str | None, *, browser: str | None = None, without: Collection[str] = ()
    ) -> tuple[Showing, ...]:
        """`show_two` for a rater whose name is typed and proves nothing; raises NameTaken, see showing.check_name."""
        with database.writing(self._database) as db:
            showing.check_name(db, self.name, rater, browser, link)
            return showing.show(db, self.name, rater, browser, self._clock(), without, ahead=True)

    def presented(self, key: str, *, browser: str | None = None) -> Presented:
        """What was presented under a key in this browser. See showing.presented."""
        with database.reading(self._database) as db:
            return self._presented(db, key, browser)

    def presented_image(self, key: str, *, browser: str | None = None) -> tuple[Presented, Path | None]:
        """`presented`, and where the image lies (absolute); None for one that was taken back since."""
        with database.reading(self._database) as db:
            found = self._presented(db, key, browser)
            path = queries.image_file(db, found.sha256)
        return found, path and self.data_dir / "images" / path

    def _presented(self, db: Database, key: str, browser: str | None) -> Presented:
        found = showing.presented(db, key, browser)
        if found.study != self.name:
            raise NotPresented("This image was not presented in this study: press Start rating again.")
        return found

    def rate(
        self,
        key: str,
        value: float,
        *,
        browser: str | None = None,
        seconds: float | None = None,
        screen: str | None = None,
    ) -> StudyRating:
        """Keeps the rating of what was presented under a key. See showing.rate."""
        with database.writing(self._database) as db:
            return showing.rate(db, key, value, browser, seconds, screen)

    def answer(
        self,
        key: str,
        value: float,
        check: Callable[[Presented], None],
        *,
        browser: str | None = None,
        seconds: float | None = None,
        screen: str | None = None,
        without: Collection[str] = (),
    ) -> tuple[Presented, StudyRating, tuple[Showing, ...]]:
        """`presented`, `rate` and `show_two` at once: all of it is kept, or nothing. `check` is asked first, and raises for one who may not
        rate what was presented under the key."""
        with database.writing(self._database) as db:
            given = self._presented(db, key, browser)
            check(given)
            kept = showing.rate(db, key, value, browser, seconds, screen)
            following = showing.show(db, self.name, given.rater, browser, self._clock(), without, ahead=True)
        return given, kept, following

    def undo(self, rater: str, *, browser: str | None = None, key: str | None = None) -> Showing | None:
        """Shows the image once more that was rated before what is on screen under `key`. See showing.undo."""
        with database.writing(self._database) as db:
            return showing.undo(db, self.name, rater, browser, key)

    def decide(self, rater: str, used: bool, reason: str, *, rating: int | None = None) -> None:
        """The owner uses, or leaves out, the ratings of a rater or one of them. See answers.decide."""
        with database.writing(self._database) as db:
            answers.decide(db, self.name, rater, rating, used, reason)

    def image_path(self, sha256: str) -> Path:
        """Where an image of the study lies (absolute). Raises AnnotationError if whoever added it took it back."""
        with database.reading(self._database) as db:
            path = queries.image_file(db, sha256)
        if path is None:
            raise AnnotationError("This image was taken back by whoever added it: go on to the next one.")
        return self.data_dir / "images" / path
