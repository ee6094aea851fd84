"""The tables of annotations.db, grown step by step by sqlite-utils' own Migrations.

A step that has been released is never edited: a change is a new function below the last one, which also raises
`user_version` to the number of steps.
"""

from sqlite_utils import Database, Migrations

migrations = Migrations("annotations")

DEFAULT_STUDY = "default"


@migrations()
def m001_raters_studies_ratings(db: Database) -> None:
    """Everything that a first blind rating needs."""
    for statement in TABLES:
        db.execute(statement)
    for statement in append_only_triggers():
        db.execute(statement)
    db.execute(
        "INSERT INTO studies (name, created_at) VALUES (?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))", [DEFAULT_STUDY]
    )
    db.execute("PRAGMA user_version = 1")


@migrations()
def m002_names_of_images(db: Database) -> None:
    """What the file was called when it was added; NULL for images from before this step, and where nobody said."""
    db.execute("ALTER TABLE images ADD COLUMN name TEXT CHECK (length(name) BETWEEN 1 AND 255)")
    db.execute("PRAGMA user_version = 2")


TABLES = (
    """
    CREATE TABLE raters (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
        name_key TEXT NOT NULL UNIQUE,  -- the name in NFKC, case folded
        created_at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE studies (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        name TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE images (
        sha256 TEXT PRIMARY KEY NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
        suffix TEXT NOT NULL CHECK (suffix IN ('jpg', 'png', 'webp', 'gif', 'bmp', 'tiff', 'avif')),
        bytes INTEGER NOT NULL CHECK (bytes > 0),
        created_at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE study_images (
        study INTEGER NOT NULL REFERENCES studies (id),
        image TEXT NOT NULL REFERENCES images (sha256),
        position INTEGER NOT NULL CHECK (position > 0),  -- place in the queue, from 1
        PRIMARY KEY (study, image),
        UNIQUE (study, position)
    ) STRICT
    """,
    """
    CREATE TABLE presentations (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        study INTEGER REFERENCES studies (id),  -- NULL: shown outside any study, on the Score tab
        image TEXT NOT NULL REFERENCES images (sha256),
        rater INTEGER NOT NULL REFERENCES raters (id),
        position INTEGER NOT NULL CHECK (position > 0),  -- the how-manieth showing to this rater in this study, from 1
        kind TEXT NOT NULL CHECK (kind IN ('training', 'test', 'repeat', 'gold')),
        seen TEXT NOT NULL CHECK (seen IN ('nothing', 'score')),
        created_at TEXT NOT NULL,
        UNIQUE (id, image, rater, seen)  -- what a rating refers to
    ) STRICT
    """,
    """
    CREATE TABLE ratings (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        presentation INTEGER NOT NULL UNIQUE,
        image TEXT NOT NULL,
        rater INTEGER NOT NULL,
        seen TEXT NOT NULL,
        value REAL NOT NULL CHECK (value BETWEEN scale_low AND scale_high),
        scale_low REAL NOT NULL DEFAULT 1.0 CHECK (scale_low = 1.0),
        scale_high REAL NOT NULL DEFAULT 5.0 CHECK (scale_high = 5.0),
        model TEXT,
        revision TEXT,
        score REAL,
        score_low REAL,
        score_high REAL,
        supersedes INTEGER UNIQUE CHECK (supersedes < id),
        created_at TEXT NOT NULL,
        UNIQUE (id, image, rater),  -- what a later rating supersedes
        FOREIGN KEY (presentation, image, rater, seen) REFERENCES presentations (id, image, rater, seen),
        FOREIGN KEY (supersedes, image, rater) REFERENCES ratings (id, image, rater),
        CHECK ((model IS NULL) = (score IS NULL) AND (revision IS NULL) = (score IS NULL)
               AND (score_low IS NULL) = (score IS NULL) AND (score_high IS NULL) = (score IS NULL)),
        CHECK (score_low < score_high),
        CHECK (seen = 'nothing' OR score IS NOT NULL)
    ) STRICT
    """,
    # A rater's votes on an image form one chain: one first vote here, and `supersedes` is unique.
    "CREATE UNIQUE INDEX ratings_first_vote ON ratings (rater, image) WHERE supersedes IS NULL",
    "CREATE INDEX ratings_by_image ON ratings (image, rater)",
    "CREATE INDEX presentations_by_rater ON presentations (rater, study)",
)

# For each table what makes a new row collide with a kept one. INSERT OR REPLACE would delete that row, and a connection
# without recursive_triggers would do so past the DELETE trigger: the collision itself has to be refused.
COLLISIONS = {
    "raters": "id = NEW.id OR name_key = NEW.name_key",
    "studies": "id = NEW.id OR name = NEW.name",
    "images": "sha256 = NEW.sha256",
    "presentations": "id = NEW.id",
    "ratings": (
        "id = NEW.id OR presentation = NEW.presentation OR supersedes = NEW.supersedes"
        " OR (supersedes IS NULL AND NEW.supersedes IS NULL AND rater = NEW.rater AND image = NEW.image)"
    ),
}


def append_only_triggers() -> list[str]:
    """CREATE TRIGGER statements of m001: no UPDATE, no DELETE, no replacing INSERT on the tables of COLLISIONS."""
    statements = []
    for table, collision in COLLISIONS.items():
        refusal = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        statements += [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refusal}",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refusal}",
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {collision}) {refusal}",
        ]
    return statements
