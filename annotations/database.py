"""The one place that opens annotations.db.

Every operation opens its own connection and closes it: safe with any thread and any number of processes.

The journal is a write-ahead log (WAL) where the file system allows that: readers and a writer do not wait for each other. WAL needs memory
that processes share through a file, which network and FUSE mounts often lack (https://sqlite.org/wal.html#noshm); there it is a rollback
journal (DELETE), with which one operation at a time has the file.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from annotations.errors import AnnotationError, StorageError
from annotations.migrations import migrations

FILE_NAME = "annotations.db"
# How long one operation waits for another process to finish writing, in seconds.
PATIENCE = 20.0
# Primary result codes by which a file system that cannot share memory shows in the first transaction of a WAL.
NO_SHARED_MEMORY = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL)
_TURNS: dict[Path, threading.Lock] = {}
_TURNS_LOCK = threading.Lock()
# (set, step) of all that this version can apply.
KNOWN_STEPS = {(migrations.name, step.name) for step in migrations.pending(Database(memory=True))}


def create_or_migrate(data_dir: Path) -> None:
    """Brings `<data_dir>/annotations.db` into being or up to date, or leaves it as it is.

    Raises AnnotationError for a folder that cannot be written and for a database from a newer version, which is only
    read and stays as it was.
    """
    path = data_dir / FILE_NAME
    if data_dir.exists() and not data_dir.is_dir():
        raise AnnotationError(f"{data_dir} is a file, and a folder is needed: choose another with --data-dir.")
    with sentences(path):
        data_dir.mkdir(parents=True, exist_ok=True)
        if path.exists() and journal_mode(path) is not None:
            with reading(path) as db:
                if not migrations.pending(db):
                    return
        fit_journal(path)
        with _connection(path) as db:
            # A step may rebuild tables that others refer to; whether all is well is asked once it is done.
            db.execute("PRAGMA foreign_keys = OFF")
            # The lock comes before the look at what is pending: of two processes that open a fresh folder, one migrates
            # and the other finds it done.
            with _immediate(db):
                _refuse_newer(db, path)
                migrations.apply(db)
                if db.execute("PRAGMA foreign_key_check").fetchone():
                    raise AnnotationError(
                        f"{path} holds rows that refer to nothing: restore a copy of it, then try again."
                    )


def journal_mode(path: Path) -> str | None:
    """ "wal" or "delete"; None for a WAL in a place that has none, say a folder that was moved there. Raises sqlite3.Error."""
    try:
        with _connection(path, _mode(path)) as db:
            if db.journal_mode == "wal" and _mode(path) == "rw":
                with _immediate(db):  # needs the shared memory, unlike reading
                    pass
            return db.journal_mode
    except sqlite3.OperationalError as error:
        if _result(error) in NO_SHARED_MEMORY and _mode(path) == "rw" and _is_wal(path):
            return None
        raise


def fit_journal(path: Path) -> None:
    """Give a database, which is made where missing, the journal that its file system allows, found out by trying."""
    try:
        with _connection(path) as db:
            _enable_wal(db)
            with _immediate(db):  # needs the shared memory, unlike the switch
                return
    except sqlite3.OperationalError as error:
        if _result(error) not in NO_SHARED_MEMORY:
            raise
    with _connection(path, exclusive=True) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        with _immediate(db):
            return


def _is_wal(path: Path) -> bool:
    """What the file's header says (https://sqlite.org/fileformat.html#file_format_version_numbers)."""
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\2\2"


def _mode(path: Path) -> str:
    """How to open the file for reading: what a process that was killed left in its journal can only be put right by one who may write."""
    as_user = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    return "rw" if all(os.access(place, os.W_OK, **as_user) for place in (path, path.parent)) else "ro"


@contextmanager
def reading(path: Path) -> Iterator[Database]:
    """A read-only view of one moment of the database; raises AnnotationError when it is newer, broken or unreadable."""
    with sentences(path), _connection(path, _mode(path)) as db:
        db.execute("PRAGMA query_only = ON")
        db.execute("BEGIN")
        _refuse_newer(db, path)
        yield db


@contextmanager
def writing(path: Path) -> Iterator[Database]:
    """A transaction that holds the write lock from its first line: all of it is kept, or nothing.

    Whoever also writes files may call `db.commit()` as the last thing within, to take them back if it is refused.
    Raises AnnotationError when the database is newer, broken, read-only, busy for more than PATIENCE or the disk full.
    """
    with _turn(path), sentences(path), _connection(path) as db, _immediate(db):
        _refuse_newer(db, path)
        yield db


def hold_open(path: Path) -> sqlite3.Connection:
    """A connection that does nothing, for a program that writes often: whenever the last one closes, SQLite copies the log into the
    database and deletes it, which costs more than a rating (https://sqlite.org/wal.html#ckpt). May be closed by any thread."""
    with sentences(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False)
        connection.execute("PRAGMA user_version").fetchone()  # only now is the file open
        return connection


def _turn(path: Path) -> threading.Lock:
    """Who writes now among this process's threads: they wait for each other here, where they are woken. SQLite has each look again after
    a while, and with many at it some look in vain until PATIENCE is over."""
    with _TURNS_LOCK:
        return _TURNS.setdefault(path, threading.Lock())


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """Turns what SQLite and the file system raise within into StorageErrors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(_sentence(error, path)) from error
    except OSError as error:
        raise StorageError(
            f"{error.filename or path.parent} cannot be written ({error.strerror or error}): nothing was saved; free "
            "some space, make the folder writable, or choose another with --data-dir."
        ) from error


@contextmanager
def _connection(path: Path, mode: str = "rwc", exclusive: bool = False) -> Iterator[Database]:
    """exclusive: nobody else may use the file; a WAL then needs no shared memory."""
    # isolation_level=None: transactions begin and end where this file says so, not where the driver guesses.
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    try:
        if exclusive:  # before anything looks into the file
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        db = Database(connection, recursive_triggers=True, execute_plugins=False)
        db.execute("PRAGMA foreign_keys = ON")
        # FULL: a rating that was acknowledged survives a power cut as well as a crash.
        db.execute("PRAGMA synchronous = FULL")
        yield db
    finally:
        connection.close()


@contextmanager
def _immediate(db: Database) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.commit()
    except BaseException:
        db.rollback()
        raise


def _enable_wal(db: Database) -> None:
    # The switch needs the file for itself and, unlike everything else, does not wait for it.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return db.enable_wal()
        except sqlite3.OperationalError as error:
            if _result(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _refuse_newer(db: Database, path: Path) -> None:
    applied = set()
    if db[migrations.migrations_table].exists():
        rows = db.query(f"SELECT migration_set, name FROM {migrations.migrations_table}")
        applied = {(row["migration_set"], row["name"]) for row in rows}
    user_version = db.execute("PRAGMA user_version").fetchone()[0]
    if applied - KNOWN_STEPS or user_version > len(KNOWN_STEPS):
        raise AnnotationError(
            f"{path} was written by a newer version of Q-Scorer Studio: it was left as it is; update this program "
            "or choose another folder with --data-dir."
        )


def _result(error: sqlite3.Error) -> int:
    """The primary result code: the low byte. The rest says more than is needed here (https://sqlite.org/rescode.html)."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _sentence(error: sqlite3.Error, path: Path) -> str:
    code = _result(error)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return f"The disk that holds {path} is full or failing: nothing was saved; free some space and try again."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"{path} cannot be opened for writing: make its folder writable or choose another with --data-dir."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"Another process kept {path} busy for {PATIENCE:.0f} s: nothing was saved; try again."
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"{path} is not a sound database: put it aside or restore a copy of it, then try again."
    return f"The database {path} refused: {error}."
