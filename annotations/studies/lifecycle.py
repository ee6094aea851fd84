"""A study from its file into the database: versions, and the states draft, open, paused and closed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from annotations import database
from annotations.errors import AnnotationError
from annotations.images import clean_file_name, clean_suffix, image_sha256, kept_image, relative_path
from annotations.queries import image_file, study_id, version_id
from annotations.recording import insert, record_image
from annotations.studies.definition import Definition, Special, parse
from annotations.studies.places import count_places
from annotations.studies.sources import Source, find_sources
from annotations.withdrawals import check_not_withdrawn

STATES = ("draft", "open", "paused", "closed")
BATCH = 50  # image files that are kept in one transaction: raters of other studies wait for no more


@dataclass(frozen=True)
class StudyImage:
    """An image of a study by its sha256; `name` is its path within the study's folder, table or zip."""

    sha256: str
    kind: str
    name: str
    accept: tuple[float, float] | None = None
    explanation: str | None = None


@dataclass(frozen=True)
class NewVersion:
    """What `keep_study` did: the version's number, how many images it has of each kind, and the names of files that were left out
    because another one has the same content."""

    study: str
    number: int
    state: str
    images: dict[str, int]
    copies: list[str]


def keep_study(data_dir: Path, file: Path) -> NewVersion:
    """Keeps the study that a YAML file defines, as a draft, or its next version where there is one; with its images.

    Raises AnnotationError for a file that is not a definition, images that cannot be read, and a version whose question, scale, seed or
    blindness differs from those under which ratings were given.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{file} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    definition = parse(text, str(file))
    path = data_dir / database.FILE_NAME
    with database.reading(path) as db:
        _check_unchanged(db, definition)
    named = list(_named(definition, file))
    images: dict[str, StudyImage] = {}
    copies = []
    for first in range(0, len(named), BATCH):
        for image in _keep_images(data_dir, named[first : first + BATCH]):
            if image.sha256 in images and images[image.sha256].kind != image.kind:
                other = images[image.sha256]
                raise AnnotationError(
                    f"{file}: {image.name} ({image.kind}) and {other.name} ({other.kind}) are the same image: use it once."
                )
            if image.sha256 in images:
                copies.append(image.name)
            images.setdefault(image.sha256, image)
    with database.writing(path) as db:
        _check_unchanged(db, definition)
        number = _insert_version(db, definition, text, list(images.values()))
        state = state_of(db, definition.study)
    kinds = [image.kind for image in images.values()]
    return NewVersion(
        definition.study, number, state, {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}, copies
    )


def set_state(db: Database, study: str, state: str) -> None:
    """The owner opens, pauses or closes a study; raises AnnotationError for an unknown study and the ready-made one."""
    number = study_id(db, study)
    if latest_definition(db, study) is None:
        raise AnnotationError(f"{study!r} is the ready-made study of the page: it is always open.")
    insert(db, "study_states", {"study": number, "state": state})


def state_of(db: Database, study: str) -> str:
    """One of STATES; raises AnnotationError for an unknown study."""
    sql = "SELECT state FROM study_states WHERE study = ? ORDER BY id DESC LIMIT 1"
    return db.execute(sql, [study_id(db, study)]).fetchone()[0]


def latest_definition(db: Database, study: str) -> Definition | None:
    """The definition of a study's latest version; None for the ready-made one. Raises AnnotationError for an unknown study."""
    sql = "SELECT definition FROM study_versions WHERE id = ?"
    text = db.execute(sql, [version_id(db, study_id(db, study))]).fetchone()[0]
    return None if text is None else parse(text, f"the definition of {study}")


def version_images(db: Database, study: str) -> list[StudyImage]:
    """The images of a study's latest version, in order."""
    sql = (
        "SELECT image, kind, coalesce(name, image) AS name, low, high, explanation FROM study_images "
        "WHERE version = ? ORDER BY position"
    )
    return [
        StudyImage(image, kind, name, None if low is None else (low, high), explanation)
        for image, kind, name, low, high, explanation in db.execute(sql, [version_id(db, study_id(db, study))])
    ]


def version_files(db: Database, study: str) -> dict[str, Path]:
    """The paths below the images folder of the latest version's images by their sha256, in order, without those that were taken back."""
    sql = (
        "SELECT sha256, suffix FROM study_images JOIN images ON sha256 = image "
        "WHERE version = ? AND image NOT IN (SELECT image FROM withdrawals) ORDER BY position"
    )
    return {row[0]: relative_path(*row) for row in db.execute(sql, [version_id(db, study_id(db, study))])}


def study_names(db: Database) -> list[str]:
    """The studies with a definition, oldest first."""
    sql = (
        "SELECT name FROM studies WHERE id IN (SELECT study FROM study_versions WHERE definition NOT NULL) ORDER BY id"
    )
    return [row[0] for row in db.execute(sql)]


def _named(definition: Definition, file: Path) -> Iterator[tuple[Source, str, Special | None]]:
    """Every image file that a definition names: its source, its kind and what the definition says about it. A file that is named as
    training, gold or trapping image is none to test, though it lies in the same folder."""
    base, special_files = file.absolute().parent, set()
    specials = []
    for kind, named in definition.specials().items():
        for special in named:
            try:
                (source,) = find_sources(special.image, base)
            except (AnnotationError, ValueError) as error:
                raise AnnotationError(f"{file}, line {special.line}: {special.image} is not one image file.") from error
            special_files.add(source.path.resolve())
            specials.append((source, kind, special))
    yield from specials
    tests = [source for place in definition.images for source in find_sources(place, base)]
    yield from ((one, "test", None) for one in tests if one.member or one.path.resolve() not in special_files)


def _keep_images(data_dir: Path, some: list[tuple[Source, str, Special | None]]) -> list[StudyImage]:
    """Some image files into the data folder, each whole; those that are kept already stay as they are."""
    folder, images = data_dir / "images", []
    files = [source.read() for source, _, _ in some]
    with database.writing(data_dir / database.FILE_NAME) as db:
        for data, (source, kind, special) in zip(files, some, strict=True):
            sha256, suffix = image_sha256(data), clean_suffix(source.suffix)
            check_not_withdrawn(db, sha256)
            with kept_image(folder, data, folder / (image_file(db, sha256) or relative_path(sha256, suffix))):
                record_image(db, sha256, suffix, len(data), clean_file_name(source.name))
            accept, explanation = (special.accept, special.explanation) if special else (None, None)
            images.append(StudyImage(sha256, kind, source.name, accept, explanation or None))
    return images


def _check_unchanged(db: Database, definition: Definition) -> None:
    """Raises AnnotationError where a study that has been shown to somebody would become another one."""
    known = db.execute("SELECT id FROM studies WHERE name = ?", [definition.study]).fetchone()
    if known is None:
        return
    earlier = latest_definition(db, definition.study)
    if earlier is None:
        raise AnnotationError(f"{definition.study!r} is the ready-made study of the page: choose another name.")
    if state_of(db, definition.study) == "closed":
        raise AnnotationError(f"The study {definition.study!r} is closed: open it first, or choose another name.")
    if not db.execute("SELECT 1 FROM presentations WHERE study = ? LIMIT 1", known).fetchone():
        return
    for name in ("question", "scale", "seed", "blind", "reveal"):
        if getattr(earlier, name) != getattr(definition, name):
            raise AnnotationError(
                f"The study {definition.study!r} has been shown to raters, so its {name} stays as it is: "
                "give the changed study another name."
            )


def _insert_version(db: Database, definition: Definition, text: str, images: list[StudyImage]) -> int:
    known = db.execute("SELECT id FROM studies WHERE name = ?", [definition.study]).fetchone()
    study = known[0] if known else insert(db, "studies", {"name": definition.study})
    if not known:
        insert(db, "study_states", {"study": study, "state": "draft"})
    number = 1 + db.execute("SELECT count(*) FROM study_versions WHERE study = ?", [study]).fetchone()[0]
    version = insert(db, "study_versions", {"study": study, "number": number, "definition": text})
    db.conn.executemany(
        "INSERT INTO study_images (version, position, image, kind, name, low, high, explanation) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (version, position, one.sha256, one.kind, one.name[-1000:], *(one.accept or (None, None)), one.explanation)
            for position, one in enumerate(images, 1)
        ],
    )
    count_places(db, study, version)
    return number
