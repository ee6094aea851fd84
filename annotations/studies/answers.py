"""The ratings of a study as they stand: of each showing the one that counts, and why others are left out."""

from dataclasses import dataclass, replace

import numpy as np
from sqlite_utils import Database

from annotations.errors import AnnotationError
from annotations.queries import study_id, version_id
from annotations.raters import name_key
from annotations.recording import insert
from annotations.records import NOTHING
from annotations.statistics.ratings import Ratings
from annotations.statistics.screening import outliers, screen_bt500, straight_lines
from annotations.studies.definition import Definition
from annotations.studies.lifecycle import latest_definition

ROWS = """
    SELECT ratings.id, ratings.showing, raters.name AS rater, shown.image, shown.kind, ratings.value, ratings.seen, ratings.seconds,
           ratings.screen, ratings.created_at, inside.kind AS kind_now, inside.low, inside.high, imports.name AS source
    FROM ratings JOIN presentations AS shown ON shown.id = ratings.showing JOIN raters ON raters.id = ratings.rater
    LEFT JOIN imported ON imported.rating = ratings.id LEFT JOIN imports ON imports.id = imported.source
    LEFT JOIN study_images AS inside ON inside.version = :version AND inside.image = shown.image
    WHERE shown.study = :study ORDER BY ratings.id
"""
BY_THE_OWNER = "the owner: "


@dataclass(frozen=True)
class Answer:
    """The rating of one showing that counts. `kind` is that of the showing; `right`: whether a gold or trapping image was rated as it is to
    be; `left_out`: why it is not used for the MOS, None where it is; `source`: the file that it was imported from."""

    rating: int
    rater: str
    image: str
    kind: str
    value: float
    seconds: float | None
    screen: str | None
    created_at: str
    right: bool | None
    left_out: str | None
    source: str | None = None


@dataclass(frozen=True)
class Answers:
    """All answers of a study, in the order of their ids, and per rater why they are not accepted (None: they are)."""

    definition: Definition
    answers: list[Answer]
    raters: dict[str, str | None]

    def used(self) -> list[Answer]:
        """Those that the MOS is made of."""
        return [answer for answer in self.answers if answer.left_out is None]


def as_arrays(answers: list[Answer], raters: list[str], images: list[str]) -> Ratings:
    """Answers as arrays of indices into `raters` and `images`."""
    of_rater, of_image = ({name: n for n, name in enumerate(names)} for names in (raters, images))
    return Ratings(
        np.array([of_rater[one.rater] for one in answers], np.intp),
        np.array([of_image[one.image] for one in answers], np.intp),
        np.array([one.value for one in answers], float),
        len(raters),
        len(images),
    )


def read_answers(db: Database, study: str) -> Answers:
    """The answers of a study, screened by its rules and its owner's decisions; raises AnnotationError for a study without definition.

    In order: what was no test, what is not in the latest version, what was rated after seeing the score of a blind study; raters who
    missed a trapping or gold image or draw a straight line; raters whom BT.500 rejects; single outliers. The owner's latest decision about
    a rating, else about its rater, goes before all but the first three.
    """
    definition = latest_definition(db, study)
    if definition is None:
        raise AnnotationError(
            f"{study!r} is the ready-made study of the page: `python -m annotations.export` has its MOS."
        )
    number = study_id(db, study)
    rows = db.query(ROWS, {"study": number, "version": version_id(db, number)})
    latest: dict[int, dict] = {}
    for row in rows:
        # What is thought after the reveal does not replace what was thought before.
        if not (definition.blind and row["seen"] != NOTHING and row["showing"] in latest):
            latest[row["showing"]] = row
    answers = [_answer(row, definition) for row in latest.values()]
    of_raters, of_ratings = _decisions(db, number)
    refused = _refused_raters(answers, definition)
    for rater, (used, reason) in of_raters.items():
        if rater in refused:
            refused[rater] = None if used else BY_THE_OWNER + reason
    answers = [
        replace(one, left_out=refused[one.rater]) if not one.left_out and refused[one.rater] else one for one in answers
    ]
    answers = _screened(answers, {rater for rater, (used, _) in of_raters.items() if used})
    return Answers(definition, [_decided(one, of_ratings) for one in answers], refused)


def decide(db: Database, study: str, rater: str, rating: int | None, used: bool, reason: str) -> None:
    """Keeps that the owner leaves out, or uses, all ratings of a rater or one of them; raises AnnotationError for unknown ones."""
    number = study_id(db, study)
    known = db.execute("SELECT id FROM raters WHERE name_key = ?", [name_key(rater)]).fetchone()
    sql = "SELECT 1 FROM ratings JOIN presentations AS shown ON shown.id = ratings.showing WHERE study = ? AND ratings.rater = ?"
    given = [number, known[0]] if known else []
    if not known or not db.execute(f"{sql} LIMIT 1", given).fetchone():
        raise AnnotationError(f"{rater!r} has rated nothing in the study {study!r}.")
    if rating is not None and not db.execute(f"{sql} AND ratings.id = ?", [*given, rating]).fetchone():
        raise AnnotationError(f"{rater!r} has no rating {rating} in the study {study!r}.")
    row = {"study": number, "rater": known[0], "rating": rating, "used": int(used), "reason": reason[:500]}
    insert(db, "decisions", row)


def _answer(row: dict, definition: Definition) -> Answer:
    kind, right, left_out = row["kind"], None, None
    if row["low"] is not None and kind in ("gold", "trap"):
        right = row["low"] <= row["value"] <= row["high"]
    if kind != "test":
        left_out = f"{kind} image"
    elif row["kind_now"] != "test":
        left_out = "not a test image of the latest version"
    elif definition.blind and row["seen"] != NOTHING:
        left_out = "the model's score was seen before"
    fields = ("rater", "image", "kind", "value", "seconds", "screen", "created_at", "source")
    return Answer(rating=row["id"], right=right, left_out=left_out, **{name: row[name] for name in fields})


def _refused_raters(answers: list[Answer], definition: Definition) -> dict[str, str | None]:
    """Why raters are not accepted, by the rules of P.910 for crowds."""
    raters = list(dict.fromkeys(one.rater for one in answers))
    tests = [one for one in answers if one.left_out is None]
    lines = straight_lines(
        as_arrays(tests, raters, list({one.image for one in tests})), definition.scale.low, definition.scale.high
    )
    refused: dict[str, str | None] = {
        rater: "rates nearly all images alike (variance below .15)" if line else None
        for rater, line in zip(raters, lines, strict=True)
    }
    for kind, what in (("gold", "gold"), ("trap", "trapping")):
        for rater in {one.rater for one in answers if one.kind == kind and one.right is False}:
            refused[rater] = f"missed a {what} image"
    return refused


def _screened(answers: list[Answer], spared: set[str]) -> list[Answer]:
    """Leaves out the ratings of raters whom BT.500 rejects, then single outliers among the rest. `spared`: the owner uses these raters."""
    for what in (
        "rejected by the screening of BT.500",
        "more than 3.29 standard deviations from the mean of its image",
    ):
        tests = [one for one in answers if one.left_out is None]
        raters = list(dict.fromkeys(one.rater for one in tests))
        ratings = as_arrays(tests, raters, list(dict.fromkeys(one.image for one in tests)))
        if what.startswith("rejected"):
            wrong = screen_bt500(ratings)[ratings.rater] & np.array([one.rater not in spared for one in tests], bool)
        else:
            wrong = outliers(ratings)
        names = {one.rating for one, bad in zip(tests, wrong, strict=True) if bad}
        answers = [replace(one, left_out=what) if one.rating in names else one for one in answers]
    return answers


def _decided(one: Answer, decisions: dict[int, tuple[bool, str]]) -> Answer:
    used, reason = decisions.get(one.rating, (None, ""))
    if used is None or one.kind != "test":
        return one
    return replace(one, left_out=None if used else BY_THE_OWNER + reason)


def _decisions(db: Database, study: int) -> tuple[dict[str, tuple[bool, str]], dict[int, tuple[bool, str]]]:
    """The owner's latest decisions about raters by name, and about ratings by id."""
    sql = "SELECT name, rating, used, reason FROM decisions JOIN raters ON raters.id = rater WHERE study = ? ORDER BY decisions.id"
    of_raters, of_ratings = {}, {}
    for rater, rating, used, reason in db.execute(sql, [study]):
        if rating is None:
            of_raters[rater] = (bool(used), reason)
        else:
            of_ratings[rating] = (bool(used), reason)
    return of_raters, of_ratings
