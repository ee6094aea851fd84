"""What a rater of a study is shown next, and the rating of it, within a transaction that the caller holds.

A showing is one image at one place of a rater's order. It has one presentation, and further ones where the rater undoes it or goes on in
another browser; its latest rating counts. A page may ask for the image after the one on screen, to have it in time: it is presented then.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlite_utils import Database

from annotations.errors import AnnotationError, NameTaken, NotOpen, NotPresented
from annotations.queries import exposure, study_id, version_id
from annotations.raters import clean_name, name_key
from annotations.recording import insert, rater_id_of, score_columns
from annotations.records import NOTHING, SCORE
from annotations.studies import places
from annotations.studies.definition import Definition
from annotations.studies.lifecycle import latest_definition, state_of
from annotations.studies.order import generator, session_kinds, to_repeat


@dataclass(frozen=True)
class Showing:
    """An image as it is shown to a rater. `key` is what the page's events carry; `kind` (training, test, repeat, gold, trap) and
    `explanation` are for the server only until it is rated. `place` counts from 1 within the session, which has `length` places; both are 0
    for training images."""

    key: str
    rater: str
    study: str
    sha256: str
    kind: str
    session: int
    place: int
    length: int
    explanation: str | None


@dataclass(frozen=True)
class Presented:
    """What was presented under a key. `rated`: it was rated under this key; `explanation` is for afterwards."""

    rater: str
    study: str
    sha256: str
    rated: bool
    explanation: str | None


@dataclass(frozen=True)
class StudyRating:
    """A rating as it was kept; `created_at` is ISO 8601 in UTC, `supersedes` the id of the one that was undone."""

    id: int
    rater: str
    sha256: str
    value: float
    seen: str
    supersedes: int | None
    created_at: str


@dataclass(frozen=True)
class _Shown:
    """The first presentation of a showing, and whether it has a rating."""

    id: int
    key: str
    image: str
    kind: str
    browser: str | None
    rated: bool


@dataclass(frozen=True)
class _Turn:
    """A rater in the latest version of a study, with its images of each kind, and all that was shown so far."""

    definition: Definition
    study: int
    version: int
    rater: int
    name: str
    counts: dict[str, int]
    shown: list[_Shown]

    def session(self, before: int | None = None) -> tuple[int, int, list[str]]:
        """Number of the session (from 0), places of it that were shown, and the kinds of all its places: now, or when the showing of id
        `before` came."""
        shown = [one for one in self.shown if before is None or one.id < before]
        main = [one.kind for one in shown if one.kind != "training"]
        number = start = 0
        while True:
            earlier = main[:start]
            left = {kind: max(self.counts.get(kind, 0) - earlier.count(kind), 0) for kind in ("test", "gold", "trap")}
            some = left["test"] + min(left["gold"], 2) + min(left["trap"], 1)
            length = max(1, min(self.definition.session_length, round(some / (1 - self.definition.repeats))))
            rng = generator(self.definition.seed, self.study, self.rater, number)
            kinds = session_kinds(rng, length, left["gold"], left["trap"], self.definition.repeats)
            if start + length > len(main) or not some:
                return number, len(main) - start, kinds
            number, start = number + 1, start + length

    def waiting(self) -> list[_Shown]:
        """What was shown last and is not rated: the image on screen and the one ahead."""
        rated = [place for place, one in enumerate(self.shown, 1) if one.rated]
        return self.shown[max(rated, default=0) :]


def show(
    db: Database,
    study: str,
    rater: str,
    browser: str | None,
    now: float,
    without: Collection[str] = (),
    ahead: bool = False,
) -> tuple[Showing, ...]:
    """What a rater is shown now: what is on screen and not rated yet, else the next image; empty when there is nothing left.

    `now`: seconds since 1970; `without`: images that cannot be shown; `ahead`: the image after it as well, where the session goes on, so
    that the page has it before it is due. It holds its place too. Raises AnnotationError for an unusable name and a study that is not open.
    """
    definition = _check_open(db, study)
    turn = _turn(db, definition, rater)
    places.release_expired(db, turn.version, now)
    showings: list[Showing] = []
    for one in turn.waiting():
        if len(showings) <= ahead and one.image not in without and _may_go_on(db, turn, one):
            key = one.key if one.browser == browser else _present(db, turn, one.image, one.kind, browser, one.id)[1]
            showings.append(_hold(db, turn, one, key, now))
    while len(showings) <= ahead and (
        not showings or showings[-1].place < showings[-1].length or not showings[-1].place
    ):
        found = _next_image(db, turn, {one.image for one in turn.shown} | set(without))
        if found is None:
            break
        image, kind = found
        number, key = _present(db, turn, image, kind, browser, None)
        turn.shown.append(_Shown(number, key, image, kind, browser, False))
        showings.append(_hold(db, turn, turn.shown[-1], key, now))
    return tuple(showings)


def check_name(db: Database, study: str, rater: str, browser: str | None, link: str | None) -> None:
    """Raises NameTaken where somebody rates this study under a typed name already, in other browsers only, and `link`, which is the key of
    something that was presented to them, does not show that it is the same person."""
    shown = db.execute(
        "SELECT count(*), coalesce(sum(browser IS ? OR presentations.key = ?), 0) FROM presentations "
        "JOIN raters ON raters.id = presentations.rater WHERE name_key = ? AND presentations.study = ?",
        [browser, link, name_key(rater), study_id(db, study)],
    ).fetchone()
    if shown[0] and not shown[1]:
        raise NameTaken(
            f"Somebody rates here as {clean_name(rater)!r} already, in another browser: choose another name, or open "
            "the link that the page gave you there."
        )


def presented(db: Database, key: str, browser: str | None) -> Presented:
    """What was presented under a key in this browser; raises NotPresented for any other."""
    given = _given(db, key, browser)
    name = db.execute("SELECT name FROM raters WHERE id = ?", [given["rater"]]).fetchone()[0]
    sql = "SELECT explanation FROM study_images WHERE version = ? AND image = ?"
    explanation = next((row[0] for row in db.execute(sql, [given["version"], given["image"]])), None)
    rated = bool(_ratings(db, "ratings.presentation = ?", given["id"]))
    return Presented(name, given["study_name"], given["image"], rated, explanation)


def rate(
    db: Database, key: str, value: float, browser: str | None, seconds: float | None = None, screen: str | None = None
) -> StudyRating:
    """Keeps the rating of what was presented under a key in this browser; sent again, the first one is returned.

    `seconds` from showing to rating and `screen` (sizes and zoom) are as the page measured them. Raises AnnotationError for another
    browser's key, a value off the study's scale, and a study that is not open.
    """
    given = _given(db, key, browser)
    definition = _check_open(db, given["study_name"])
    value = definition.scale.clean(value)
    if kept := _ratings(db, "ratings.presentation = ?", given["id"]):
        return kept[0]
    first = given["showing"] or given["id"]
    earlier = _ratings(db, "ratings.showing = ?", first)
    seen = exposure(db, given["rater"], browser, given["image"])
    row = {
        "presentation": given["id"],
        "showing": first,
        "image": given["image"],
        "rater": given["rater"],
        "seen": SCORE if seen else NOTHING,
        "value": value,
        "scale_low": definition.scale.low,
        "scale_high": definition.scale.high,
        "seconds": seconds,
        "screen": screen,
        "supersedes": earlier[0].id if earlier else None,
    }
    insert(db, "ratings", row | (score_columns(seen) if seen else {}))
    if given["kind"] == "test" and not earlier:
        places.keep(db, version_id(db, given["study"]), given["image"], first)
    return _ratings(db, "ratings.presentation = ?", given["id"])[0]


def undo(db: Database, study: str, rater: str, browser: str | None, key: str | None) -> Showing | None:
    """Shows the image once more that was rated under `key` or, where it is on screen and not rated, before that (None: nothing is on
    screen); None where there is none.

    Its new rating will supersede the earlier one. Raises AnnotationError as `show_next` does.
    """
    definition = _check_open(db, study)
    turn = _turn(db, definition, rater)
    given = _given(db, key, browser) if key else None
    if given and given["rater"] != turn.rater:
        raise NotPresented("This image was not presented to this rater: press Start rating again.")
    current = (given["showing"] or given["id"]) if given else None
    if given and _ratings(db, "ratings.presentation = ?", given["id"]):
        current += 1
    before = [one for one in turn.shown if one.rated and one.kind != "training" and (not current or one.id < current)]
    if not before:
        return None
    last = before[-1]
    return _showing(db, turn, last, _present(db, turn, last.image, last.kind, browser, last.id)[1])


def _check_open(db: Database, study: str) -> Definition:
    definition, state = latest_definition(db, study), state_of(db, study)
    if definition is None:
        raise AnnotationError(f"{study!r} is the ready-made study of the page: press Start rating there.")
    if state != "open":
        said = {"draft": "is not open yet", "paused": "is paused", "closed": "is closed"}[state]
        raise NotOpen(f"The study {definition.title!r} {said}: ask its owner. What you rated is kept.")
    return definition


def _turn(db: Database, definition: Definition, rater: str) -> _Turn:
    study, number = study_id(db, definition.study), rater_id_of(db, rater)
    sql = """
        SELECT id, key, image, kind, browser, EXISTS (SELECT 1 FROM ratings WHERE ratings.showing = presentations.id)
        FROM presentations WHERE rater = ? AND study = ? AND showing IS NULL ORDER BY id
    """
    shown = [_Shown(*row[:5], bool(row[5])) for row in db.execute(sql, [number, study])]
    name = db.execute("SELECT name FROM raters WHERE name_key = ?", [name_key(rater)]).fetchone()[0]
    version = version_id(db, study)
    return _Turn(definition, study, version, number, name, _counts(db, version), shown)


def _counts(db: Database, version: int) -> dict[str, int]:
    """Images of each kind in a version."""
    specials = "SELECT kind, count(*) FROM study_images WHERE version = ? AND kind != 'test' GROUP BY kind"
    counts = dict(db.execute(specials, [version]).fetchall())
    last = db.execute("SELECT max(position) FROM study_images WHERE version = ?", [version]).fetchone()[0]
    return counts | {"test": last - sum(counts.values())}


def _hold(db: Database, turn: _Turn, one: _Shown, key: str, now: float) -> Showing:
    if one.kind == "test":
        places.hold(db, turn.version, one.image, one.id, now)
    return _showing(db, turn, one, key)


def _may_go_on(db: Database, turn: _Turn, last: _Shown) -> bool:
    if last.kind == "test":
        return places.has_place(db, turn.version, last.image, turn.definition.ratings_per_image, last.id)
    sql = "SELECT 1 FROM study_images WHERE version = ? AND image = ?"
    return db.execute(sql, [turn.version, last.image]).fetchone() is not None


def _next_image(db: Database, turn: _Turn, seen: set[str]) -> tuple[str, str] | None:
    """Image and kind. What the session's plan asks for is left to later where there is none of it now."""
    number, place, kinds = turn.session()
    if not place and (training := _special(db, turn, "training", seen)):
        return training, "training"
    rng = generator(turn.definition.seed, turn.study, turn.rater, number, place)
    main = [one for one in turn.shown if one.kind != "training"][-place:] if place else []
    waiting = turn.waiting()  # what is on screen will be rated by then
    tests = [one.image for one in main if one.kind == "test" and (one.rated or one in waiting)]
    repeated = {one.image for one in main if one.kind == "repeat"}

    def find(kind: str) -> str | None:
        if kind == "test":
            return places.choose_image(db, turn.version, turn.definition.ratings_per_image, seen, rng)
        return to_repeat(rng, tests, repeated) if kind == "repeat" else _special(db, turn, kind, seen, rng)

    planned = kinds[place] if place < len(kinds) else "test"
    due = [kind for kind in ("repeat", "gold", "trap") if kinds.count(kind) > sum(one.kind == kind for one in main)]
    for kind in dict.fromkeys([planned, "test", *due]):
        if image := find(kind):
            return image, kind
    return None


def _special(db: Database, turn: _Turn, kind: str, seen: set[str], rng=None) -> str | None:
    """A training image in the definition's order, or a gold or trapping image at random, that the rater has not seen."""
    if not turn.counts.get(kind):
        return None
    sql = "SELECT image FROM study_images WHERE version = ? AND kind = ? AND kind != 'test' ORDER BY position"
    unseen = [row[0] for row in db.execute(sql, [turn.version, kind]) if row[0] not in seen]
    return (rng.choice(unseen) if rng else unseen[0]) if unseen else None


def _present(
    db: Database, turn: _Turn, image: str, kind: str, browser: str | None, showing: int | None
) -> tuple[int, str]:
    """Keeps a presentation; returns its id and key."""
    before = db["presentations"].count_where("rater = ? AND study = ?", [turn.rater, turn.study])
    key = secrets.token_hex(16)
    row = {
        "key": key,
        "study": turn.study,
        "version": turn.version,
        "image": image,
        "rater": turn.rater,
        "browser": browser,
        "position": before + 1,
        "kind": kind,
        "showing": showing,
        "seen": SCORE if exposure(db, turn.rater, browser, image) else NOTHING,
    }
    return insert(db, "presentations", row), key


def _showing(db: Database, turn: _Turn, one: _Shown, key: str) -> Showing:
    sql = "SELECT explanation FROM study_images WHERE version = ? AND image = ?"
    explanation = next((row[0] for row in db.execute(sql, [turn.version, one.image])), None)
    number, place, kinds = turn.session(before=one.id)
    place, length = (0, 0) if one.kind == "training" else (place + 1, len(kinds))
    return Showing(key, turn.name, turn.definition.study, one.image, one.kind, number, place, length, explanation)


def _given(db: Database, key: str, browser: str | None) -> dict:
    sql = (
        "SELECT presentations.*, studies.name AS study_name FROM presentations "
        "JOIN studies ON studies.id = presentations.study WHERE key = ? AND presentations.version NOT NULL"
    )
    row = next(iter(db.query(sql, [key])), None)
    if row is None or row["browser"] != browser:
        raise NotPresented("This image was not presented in this browser: press Start rating again.")
    return row


def _ratings(db: Database, where: str, number: int) -> list[StudyRating]:
    """Newest first."""
    sql = (
        "SELECT ratings.id, raters.name, image, value, seen, supersedes, ratings.created_at FROM ratings "
        f"JOIN raters ON raters.id = rater WHERE {where} ORDER BY ratings.id DESC"
    )
    return [StudyRating(*row) for row in db.execute(sql, [number])]
