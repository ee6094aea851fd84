"""Raters, studies, ratings and what becomes of them: plain Python, SQLite and statistics.

The public face, all that other rooms use. Scores and ratings travel with their scale; ratings are on `RATING_SCALE`,
the five-point ACR scale 1 (bad), 2 (poor), 3 (fair), 4 (good), 5 (excellent), fractions allowed.
Whatever goes wrong is an `AnnotationError` whose text is one sentence to show as it is.

Opening
    open_annotations(data_dir: str | Path) -> Annotations
        Creates the folder and its database where missing, brings an older one up to date, refuses a newer one.
        The object holds no connection: share it between threads, or open as many as you like.

Annotations (every `rater` is a name as typed; upper and lower case make no difference)
    present(rater: str, sha256: str, *, browser: str | None = None, study: str = DEFAULT_STUDY) -> Presentation
        Keeps that an image is being shown to a rater. Its unguessable `key` is what the page's events carry, so that a rating
        goes to the rater and the image that were on screen. `browser` is a hash that stands for the browser.
    presentation(key: str, *, browser: str | None = None) -> Presentation
        What was presented under a key in this browser.
    rate(key: str, value: float, *, browser: str | None = None, image: bytes | None = None, suffix: str | None = None,
         name: str | None = None) -> Rating
        Keeps the rating of a presentation; `image`, `suffix`, `name` as below, for an image that nobody has rated.
        A presentation has one rating: sent again, the first is returned. Look at the returned `Rating.seen`: it is "nothing"
        (blind) unless a score of the image was shown before, to the rater or in the browser.
    record_rating(rater: str, image: bytes | str, value: float, *, suffix: str | None = None,
                  shown: ShownScore | None = None, study: str | None = DEFAULT_STUDY, name: str | None = None,
                  browser: str | None = None) -> Rating
        Keeps one rating with a presentation of its own and, if new, the image and the rater: all of it or nothing.
        `image` is the file's bytes (then `suffix` says of what kind: "jpg", ".png", ...) or the sha256 of a kept image.
        Kinds: jpg, png, webp, gif, bmp, tiff, avif, heic and their other spellings (jpeg, jfif, tif, ...). At most 256 MiB.
        `shown` is the score that the rater had seen. A second rating of a rater of an image supersedes the first by itself.
        `name` is what a new image's file was called, for the export: the last part of a path, kept once, shown to no rater.
        The image joins the end of `study`, so that others get it to rate; study=None (the Score tab's "I disagree")
        keeps it out of every queue.
    note_exposures(shown: Iterable[tuple[str, ShownScore]], *, place: str, browser: str | None = None,
                   rater: str | None = None) -> None
        Keeps that scores of images (by sha256) are being shown, before they leave the server: whoever saw them is not blind.
    note_problem(sha256: str, sentence: str) -> bool
        Keeps that an image cannot be shown to raters, for the owner; False where that is known already.
    problems() -> list[ImageProblem]
        The images that could not be shown when it was last tried.
    next_image(rater: str, study: str = DEFAULT_STUDY, pending: Iterable[str] = (), without: Collection[str] = ())
        -> str | None
        sha256 of the first image that this rater has not rated: first `pending`, the sha256 of uploads that the page
        still holds and that nobody has rated, then the study in its order, but for those `without` which it has to do.
    progress(rater: str, study: str = DEFAULT_STUDY, pending: Iterable[str] = ()) -> Progress
        How many of those images the rater has rated, and of how many.
    image_path(sha256: str) -> Path | None
        Where a kept image lies (absolute); None for an image that nobody has rated.
    image_files() -> list[Path]
        Where all kept images lie.
    added_by(browser: str | None, rater: str | None = None) -> dict[str, Path]
        sha256 and path of the images that a browser, or a rater whose name is proven, added.
    take_back(sha256: str, *, browser: str | None, rater: str | None = None) -> None
        The file of an image goes, for whoever added it; ratings and hash stay, marked, and count in no MOS.
    finish_taking_back() -> None
        Deletes what a crash left of such files.
    hold_open() -> sqlite3.Connection
        Makes writing often faster for as long as it is open.
    journal_mode() -> str
        "wal", or "delete" where the file system allows no WAL: annotations/database.py.
    kept(sha256s: Iterable[str]) -> set[str]
        Those of these images that somebody has rated.
    current_rating(rater: str, sha256: str) -> Rating | None
        The rater's latest rating of an image: what a change of mind would supersede.
    ratings_of(rater: str) -> list[Rating]
        The rater's latest rating of each image, oldest first.
    counts() -> Counts
        How many ratings, raters and images there are.
    summaries(include_revealed: bool = False) -> list[ImageSummary]
        Per rated image its MOS.

Values (frozen dataclasses)
    ShownScore(model: str, revision: str, score: float, scale: tuple[float, float])
    Presentation(id: int, key: str, rater: str, sha256: str, study: str | None, seen: str)
    ImageProblem(sha256: str, name: str | None, sentence: str, created_at: str)
    Rating(id: int, rater: str, sha256: str, value: float, scale: tuple[float, float], seen: str,
           shown: ShownScore | None, study: str | None, supersedes: int | None, created_at: str)
        # created_at: ISO 8601, UTC; shown: the score seen before it, so None where seen is "nothing" (in databases of version 2
        # and before, a blind rating has the score that was revealed after it)
    Progress(done: int, total: int)
    Counts(ratings: int, blind: int, revealed: int, raters: int, images: int)
        # every rating ever given, superseded ones too; ratings = blind + revealed
    ImageSummary(sha256: str, path: Path, opinion: Opinion, name: str | None, ratings: tuple[tuple[int, float], ...])
    Opinion(mos: float, std: float | None, n: int, interval: tuple[float, float] | None)
        # sample std and 95 % interval of the mean; both None for a single rating
    MosRecord(image: Path, sha256: str, mos: float, std: float | None, n: int, name: str | None,
              ratings: tuple[tuple[int, float], ...])
        # image: absolute path; name: what its file was called when it was added, None where that is not known;
        # ratings: the n ratings, each with its rater's number, which stands for the rater without naming them

Functions
    collect_mos(data_dir: str | Path, include_revealed: bool = False) -> list[MosRecord]
        What fine-tuning and export read, in order of sha256. Empty without ratings; creates and changes nothing.
    opinion(ratings: Sequence[float]) -> Opinion
        MOS, sample standard deviation, count and 95 % interval of at least one rating.
    image_sha256(data: bytes) -> str
        The name under which an image is kept.
    clean_name(name: str) -> str
        A rater's name trimmed and normalised; raises AnnotationError for one that cannot be used.

Blind figures count each rater's latest blind rating: what somebody thinks after seeing the score never replaces it.
With include_revealed each rater's latest rating counts, blind or not. Either way each rater counts once per image.
"""

from annotations.collect import MosRecord, collect_mos
from annotations.errors import AnnotationError
from annotations.images import image_sha256
from annotations.migrations import DEFAULT_STUDY
from annotations.mos import Opinion, opinion
from annotations.raters import clean_name
from annotations.records import Counts, ImageProblem, ImageSummary, Presentation, Progress, Rating, ShownScore
from annotations.scale import RATING_SCALE
from annotations.store import Annotations, open_annotations

__all__ = [
    "DEFAULT_STUDY",
    "RATING_SCALE",
    "AnnotationError",
    "Annotations",
    "Counts",
    "ImageProblem",
    "ImageSummary",
    "MosRecord",
    "Opinion",
    "Presentation",
    "Progress",
    "Rating",
    "ShownScore",
    "clean_name",
    "collect_mos",
    "image_sha256",
    "open_annotations",
    "opinion",
]
