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
    for statement in append_only_triggers(COLLISIONS):
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


@migrations()
def m003_presentations_when_shown_and_exposures(db: Database) -> None:
    """A presentation is written when the image is shown, before it is kept, under a key that the page's events carry; every score
    that somebody was shown is an exposure; the kinds of image are no longer listed in the database.

    Needs foreign keys off, as SQLite asks of a step that rebuilds tables (https://sqlite.org/lang_altertable.html#otheralter).
    """
    for table, (definition, columns, values) in REBUILT.items():
        db.execute(f"CREATE TABLE rebuilt_{table} {definition}")
        db.execute(f"INSERT INTO rebuilt_{table} ({columns}) SELECT {values} FROM {table} ORDER BY rowid")
        db.execute(f"DROP TABLE {table}")
        db.execute(f"ALTER TABLE rebuilt_{table} RENAME TO {table}")
    for statement in (*INDEXES, *NEW_TABLES, *append_only_triggers(COLLISIONS_OF_M003), EARLIER_EXPOSURES):
        db.execute(statement)
    db.execute("PRAGMA user_version = 3")


@migrations()
def m004_studies_with_a_definition(db: Database) -> None:
    """Studies have versions with a definition and images of several kinds; a showing may be repeated or undone, so that a rater may have
    several chains of ratings on one image; scales other than 1 to 5; decisions of the study's owner. Rebuilds tables as m003 does."""
    for statement in TABLES_OF_STUDIES:
        db.execute(statement)
    db.execute("INSERT INTO study_versions (study, number, created_at) SELECT id, 1, created_at FROM studies")
    db.execute("INSERT INTO study_states (study, state, created_at) SELECT id, 'open', created_at FROM studies")
    for table, (definition, columns, values) in REBUILT_FOR_STUDIES.items():
        db.execute(f"CREATE TABLE rebuilt_{table} {definition}")
        db.execute(f"INSERT INTO rebuilt_{table} ({columns}) SELECT {values} FROM {table} ORDER BY rowid")
        db.execute(f"DROP TABLE {table}")
        db.execute(f"ALTER TABLE rebuilt_{table} RENAME TO {table}")
    for statement in (*INDEXES_FOR_STUDIES, *append_only_triggers(COLLISIONS_OF_M004)):
        db.execute(statement)
    db.execute("PRAGMA user_version = 4")


@migrations()
def m005_additions_and_withdrawals(db: Database) -> None:
    """With which rating an image came, which says who added it; images that whoever added them took back. So far every image came with
    its first rating."""
    db.execute(
        "CREATE TABLE additions (image TEXT PRIMARY KEY NOT NULL REFERENCES images (sha256), "
        "rating INTEGER NOT NULL REFERENCES ratings (id), created_at TEXT NOT NULL) STRICT"
    )
    db.execute(
        "INSERT INTO additions (image, rating, created_at) SELECT image, id, created_at FROM ratings "
        "WHERE id IN (SELECT min(id) FROM ratings GROUP BY image)"
    )
    db.execute(
        "CREATE TABLE withdrawals (image TEXT PRIMARY KEY NOT NULL REFERENCES images (sha256), created_at TEXT NOT NULL) STRICT"
    )
    for statement in append_only_triggers(dict.fromkeys(("additions", "withdrawals"), "image = NEW.image")):
        db.execute(statement)
    db.execute("PRAGMA user_version = 5")


@migrations()
def m006_imported_ratings(db: Database) -> None:
    """Ratings that were given elsewhere, and the file that each came from."""
    db.execute(
        "CREATE TABLE imports (id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0), study INTEGER NOT NULL REFERENCES studies (id), "
        "name TEXT, sha256 TEXT NOT NULL, created_at TEXT NOT NULL) STRICT"
    )
    db.execute(
        "CREATE TABLE imported (rating INTEGER PRIMARY KEY REFERENCES ratings (id), source INTEGER NOT NULL REFERENCES imports (id)) STRICT"
    )
    for statement in append_only_triggers({"imports": "id = NEW.id", "imported": "rating = NEW.rating"}):
        db.execute(statement)
    db.execute("PRAGMA user_version = 6")


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
        position INTEGER NOT NULL CHECK (position > 0),  -- ordinal of this showing to this rater in this study, from 1
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


SHA256 = "length(image) = 64 AND image NOT GLOB '*[^0-9a-f]*'"
SUFFIX = "length(suffix) BETWEEN 2 AND 8 AND suffix NOT GLOB '*[^a-z0-9]*'"
RANDOM_KEY = "lower(hex(randomblob(16)))"

# Of each table of m001 that m003 rebuilds: its definition, its columns, and what fills them from the old table.
REBUILT = {
    "images": (
        f"""(
        sha256 TEXT PRIMARY KEY NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
        suffix TEXT NOT NULL CHECK ({SUFFIX}),
        bytes INTEGER NOT NULL CHECK (bytes > 0),
        created_at TEXT NOT NULL,
        name TEXT CHECK (length(name) BETWEEN 1 AND 255)
        ) STRICT""",
        "sha256, suffix, bytes, created_at, name",
        "sha256, suffix, bytes, created_at, name",
    ),
    "presentations": (
        f"""(
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        key TEXT NOT NULL UNIQUE CHECK (length(key) >= 16),  -- unguessable: who holds it was shown the image
        study INTEGER REFERENCES studies (id),  -- NULL: shown outside any study, on the Score tab
        image TEXT NOT NULL CHECK ({SHA256}),  -- in images once it is rated
        rater INTEGER NOT NULL REFERENCES raters (id),
        browser TEXT CHECK (length(browser) BETWEEN 1 AND 64),  -- a hash of the browser's token; NULL where not known
        position INTEGER NOT NULL CHECK (position > 0),  -- ordinal of this showing to this rater in this study, from 1
        kind TEXT NOT NULL CHECK (kind IN ('training', 'test', 'repeat', 'gold', 'trap')),
        seen TEXT NOT NULL CHECK (seen IN ('nothing', 'score')),  -- when it was shown; a rating has its own
        created_at TEXT NOT NULL,
        UNIQUE (id, image, rater)  -- what a rating refers to
        ) STRICT""",
        "id, key, study, image, rater, position, kind, seen, created_at",
        f"id, {RANDOM_KEY}, study, image, rater, position, kind, seen, created_at",
    ),
    "ratings": (
        """(
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        presentation INTEGER NOT NULL UNIQUE,
        image TEXT NOT NULL REFERENCES images (sha256),
        rater INTEGER NOT NULL,
        seen TEXT NOT NULL CHECK (seen IN ('nothing', 'score')),  -- before the rating
        value REAL NOT NULL CHECK (value BETWEEN scale_low AND scale_high),
        scale_low REAL NOT NULL DEFAULT 1.0 CHECK (scale_low = 1.0),
        scale_high REAL NOT NULL DEFAULT 5.0 CHECK (scale_high = 5.0),
        model TEXT,  -- with what follows, the score that was seen; before m003 a blind rating held the one revealed after it
        revision TEXT,
        score REAL,
        score_low REAL,
        score_high REAL,
        supersedes INTEGER UNIQUE CHECK (supersedes < id),
        created_at TEXT NOT NULL,
        UNIQUE (id, image, rater),  -- what a later rating supersedes
        FOREIGN KEY (presentation, image, rater) REFERENCES presentations (id, image, rater),
        FOREIGN KEY (supersedes, image, rater) REFERENCES ratings (id, image, rater),
        CHECK ((model IS NULL) = (score IS NULL) AND (revision IS NULL) = (score IS NULL)
               AND (score_low IS NULL) = (score IS NULL) AND (score_high IS NULL) = (score IS NULL)),
        CHECK (score_low < score_high),
        CHECK (seen = 'nothing' OR score IS NOT NULL)
        ) STRICT""",
        "id, presentation, image, rater, seen, value, scale_low, scale_high, model, revision, score, score_low, "
        "score_high, supersedes, created_at",
        "id, presentation, image, rater, seen, value, scale_low, scale_high, model, revision, score, score_low, "
        "score_high, supersedes, created_at",
    ),
}
INDEXES = (
    "CREATE UNIQUE INDEX ratings_first_vote ON ratings (rater, image) WHERE supersedes IS NULL",
    "CREATE INDEX ratings_by_image ON ratings (image, rater)",
    "CREATE INDEX presentations_by_rater ON presentations (rater, study)",
    "CREATE INDEX presentations_by_browser ON presentations (browser)",
    "CREATE INDEX presentations_by_image ON presentations (image)",
)
NEW_TABLES = (
    f"""
    CREATE TABLE exposures (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        image TEXT NOT NULL CHECK ({SHA256}),  -- in images only if it was rated
        rater INTEGER REFERENCES raters (id),
        browser TEXT CHECK (length(browser) BETWEEN 1 AND 64),
        place TEXT NOT NULL CHECK (length(place) BETWEEN 1 AND 20),  -- where the score was shown: score, compare, rate, ...
        model TEXT NOT NULL,
        revision TEXT NOT NULL,
        score REAL NOT NULL,
        score_low REAL NOT NULL,
        score_high REAL NOT NULL,
        created_at TEXT NOT NULL,
        CHECK (score_low < score_high),
        CHECK (rater IS NOT NULL OR browser IS NOT NULL)
    ) STRICT
    """,
    "CREATE INDEX exposures_by_rater ON exposures (rater, image)",
    "CREATE INDEX exposures_by_browser ON exposures (browser, image)",
    f"""
    CREATE TABLE image_problems (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        image TEXT NOT NULL CHECK ({SHA256}),
        sentence TEXT NOT NULL,  -- why it could not be shown to a rater
        after INTEGER NOT NULL,  -- the last presentation of any image before; one of this image since means that it can be shown
        created_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX image_problems_by_image ON image_problems (image)",
)
# Whose earlier ratings came with a score, seen before or revealed after, has been shown it.
EARLIER_EXPOSURES = """
    INSERT INTO exposures (image, rater, place, model, revision, score, score_low, score_high, created_at)
    SELECT image, rater, 'rating', model, revision, score, score_low, score_high, created_at
    FROM ratings WHERE model IS NOT NULL ORDER BY id
"""
COLLISIONS_OF_M003 = {
    "images": COLLISIONS["images"],
    "presentations": "id = NEW.id OR key = NEW.key",
    "ratings": COLLISIONS["ratings"],
    "exposures": "id = NEW.id",
    "image_problems": "id = NEW.id",
}

TABLES_OF_STUDIES = (
    """
    CREATE TABLE study_versions (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        study INTEGER NOT NULL REFERENCES studies (id),
        number INTEGER NOT NULL CHECK (number > 0),
        definition TEXT,  -- the YAML file as it was given; NULL: the ready-made study of the page, which takes images as they come
        created_at TEXT NOT NULL,
        UNIQUE (study, number)
    ) STRICT
    """,
    """
    CREATE TABLE study_states (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        study INTEGER NOT NULL REFERENCES studies (id),
        state TEXT NOT NULL CHECK (state IN ('draft', 'open', 'paused', 'closed')),  -- the latest row of a study holds
        created_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX study_states_by_study ON study_states (study)",
    """
    CREATE TABLE decisions (
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        study INTEGER NOT NULL REFERENCES studies (id),
        rater INTEGER NOT NULL REFERENCES raters (id),
        rating INTEGER REFERENCES ratings (id),  -- NULL: about all ratings of the rater in the study
        used INTEGER NOT NULL CHECK (used IN (0, 1)),  -- the latest row about a rater or a rating holds
        reason TEXT NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
        created_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX decisions_by_study ON decisions (study)",
    # The two tables below count what presentations and ratings say, and are not append-only.
    """
    CREATE TABLE places (
        version INTEGER NOT NULL REFERENCES study_versions (id),
        image TEXT NOT NULL,
        taken INTEGER NOT NULL CHECK (taken >= 0),  -- raters who rated the image, and those who hold it now
        PRIMARY KEY (version, image)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX places_by_taken ON places (version, taken, image)",
    """
    CREATE TABLE leases (
        presentation INTEGER PRIMARY KEY REFERENCES presentations (id),  -- shown and not rated yet
        version INTEGER NOT NULL,
        image TEXT NOT NULL,
        expires REAL NOT NULL,  -- seconds since 1970
        FOREIGN KEY (version, image) REFERENCES places (version, image)
    ) STRICT
    """,
    "CREATE INDEX leases_by_expiry ON leases (version, expires)",
)
REBUILT_FOR_STUDIES = {
    "study_images": (
        """(
        version INTEGER NOT NULL REFERENCES study_versions (id),
        position INTEGER NOT NULL CHECK (position > 0),  -- place in the definition's order, from 1
        image TEXT NOT NULL REFERENCES images (sha256),
        kind TEXT NOT NULL DEFAULT 'test' CHECK (kind IN ('training', 'test', 'gold', 'trap')),
        name TEXT CHECK (length(name) BETWEEN 1 AND 1000),  -- its path within the study's folder, table or zip
        low REAL,  -- the ratings that are right, of a gold or trapping image
        high REAL,
        explanation TEXT,  -- of a training image
        PRIMARY KEY (version, image),
        UNIQUE (version, position),
        CHECK ((kind IN ('gold', 'trap')) = (low IS NOT NULL) AND (low IS NULL) = (high IS NULL) AND low <= high),
        CHECK (explanation IS NULL OR kind = 'training')
        ) STRICT""",
        "version, position, image",
        "(SELECT id FROM study_versions WHERE study_versions.study = study_images.study), position, image",
    ),
    "presentations": (
        f"""(
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        key TEXT NOT NULL UNIQUE CHECK (length(key) >= 16),  -- unguessable: who holds it was shown the image
        study INTEGER REFERENCES studies (id),  -- NULL: shown outside any study, on the Score tab
        version INTEGER REFERENCES study_versions (id),  -- of the study; NULL in the ready-made one
        image TEXT NOT NULL CHECK ({SHA256}),  -- in images once it is rated, or in a study with a definition
        rater INTEGER NOT NULL REFERENCES raters (id),
        browser TEXT CHECK (length(browser) BETWEEN 1 AND 64),  -- a hash of the browser's token; NULL where not known
        position INTEGER NOT NULL CHECK (position > 0),  -- ordinal of this showing to this rater in this study, from 1
        kind TEXT NOT NULL CHECK (kind IN ('training', 'test', 'repeat', 'gold', 'trap')),
        showing INTEGER REFERENCES presentations (id),  -- the one that this shows once more: undone, or in another browser
        seen TEXT NOT NULL CHECK (seen IN ('nothing', 'score')),  -- when it was shown; a rating has its own
        created_at TEXT NOT NULL,
        UNIQUE (id, image, rater)  -- what a rating refers to
        ) STRICT""",
        "id, key, study, image, rater, browser, position, kind, seen, created_at",
        "id, key, study, image, rater, browser, position, kind, seen, created_at",
    ),
    "ratings": (
        """(
        id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
        presentation INTEGER NOT NULL UNIQUE,
        showing INTEGER REFERENCES presentations (id),  -- in a study with a definition: the first presentation of this showing
        image TEXT NOT NULL REFERENCES images (sha256),
        rater INTEGER NOT NULL,
        seen TEXT NOT NULL CHECK (seen IN ('nothing', 'score')),  -- before the rating
        value REAL NOT NULL CHECK (value BETWEEN scale_low AND scale_high),
        scale_low REAL NOT NULL DEFAULT 1.0,
        scale_high REAL NOT NULL DEFAULT 5.0 CHECK (scale_low < scale_high),
        seconds REAL CHECK (seconds >= 0),  -- from the showing of the image to the rating, as the page measured it
        screen TEXT CHECK (length(screen) BETWEEN 1 AND 200),  -- size of window and image and the zoom, as the page said
        model TEXT,  -- with what follows, the score that was seen; before m003 a blind rating held the one revealed after it
        revision TEXT,
        score REAL,
        score_low REAL,
        score_high REAL,
        supersedes INTEGER UNIQUE CHECK (supersedes < id),
        created_at TEXT NOT NULL,
        UNIQUE (id, image, rater),  -- what a later rating supersedes
        FOREIGN KEY (presentation, image, rater) REFERENCES presentations (id, image, rater),
        FOREIGN KEY (showing, image, rater) REFERENCES presentations (id, image, rater),
        FOREIGN KEY (supersedes, image, rater) REFERENCES ratings (id, image, rater),
        CHECK (showing IS NOT NULL OR (scale_low = 1.0 AND scale_high = 5.0)),
        CHECK ((model IS NULL) = (score IS NULL) AND (revision IS NULL) = (score IS NULL)
               AND (score_low IS NULL) = (score IS NULL) AND (score_high IS NULL) = (score IS NULL)),
        CHECK (score_low < score_high),
        CHECK (seen = 'nothing' OR score IS NOT NULL)
        ) STRICT""",
        REBUILT["ratings"][1],
        REBUILT["ratings"][2],
    ),
}
INDEXES_FOR_STUDIES = (
    # A rater's ratings of an image form one chain in the ready-made study, and one for each showing in the others.
    "CREATE UNIQUE INDEX ratings_first_vote ON ratings (rater, image) WHERE supersedes IS NULL AND showing IS NULL",
    "CREATE UNIQUE INDEX ratings_first_of_showing ON ratings (showing) WHERE supersedes IS NULL AND showing IS NOT NULL",
    "CREATE INDEX ratings_by_showing ON ratings (showing)",
    *INDEXES[1:],
    "CREATE INDEX study_images_of_kinds ON study_images (version, kind) WHERE kind != 'test'",
    "CREATE INDEX presentations_by_study ON presentations (study)",
    "CREATE INDEX presentations_by_showing ON presentations (showing)",
)
COLLISIONS_OF_M004 = {
    "study_versions": "id = NEW.id OR (study = NEW.study AND number = NEW.number)",
    "study_states": "id = NEW.id",
    "decisions": "id = NEW.id",
    "study_images": "version = NEW.version AND (image = NEW.image OR position = NEW.position)",
    "presentations": COLLISIONS_OF_M003["presentations"],
    "ratings": (
        "id = NEW.id OR presentation = NEW.presentation OR supersedes = NEW.supersedes"
        " OR (supersedes IS NULL AND NEW.supersedes IS NULL AND showing IS NULL AND NEW.showing IS NULL"
        " AND rater = NEW.rater AND image = NEW.image)"
        " OR (supersedes IS NULL AND NEW.supersedes IS NULL AND showing = NEW.showing)"
    ),
}


def append_only_triggers(collisions: dict[str, str]) -> list[str]:
    """CREATE TRIGGER statements: no UPDATE, no DELETE, no INSERT that would replace one of a table's rows, on each of the tables."""
    statements = []
    for table, collision in collisions.items():
        refusal = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        statements += [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refusal}",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refusal}",
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {collision}) {refusal}",
        ]
    return statements
