"""The database file: opening it, and knowing it for ours."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from legacy_monolith import (
    accounts,
    catalogue,
    inbox,
    order_keys,
    orders,
    passwords,
    payments,
    progress,
    saga_log,
    sessions,
    stock,
)
from legacy_monolith.errors import UnusableDatabase
from shop_events import arrivals, deliveries, outbox, sent
from shop_events.transactions import transaction

APPLICATION_ID = 0x53484F50  # "SHOP", in the header of the file: https://www.sqlite.org/fileformat.html
SCHEMA = (*catalogue.SCHEMA, *stock.SCHEMA, *accounts.SCHEMA, *payments.SCHEMA, *orders.SCHEMA)
# What was added when there were databases already: to an old file as to a new one.
LATER_SCHEMA = (
    *(*stock.LATER_SCHEMA, *accounts.LATER_SCHEMA, *orders.LATER_SCHEMA, *saga_log.LATER_SCHEMA),
    *order_keys.LATER_SCHEMA,
    *(*passwords.SCHEMA, *sessions.SCHEMA, *progress.SCHEMA),
    *(*outbox.LATER_SCHEMA, *deliveries.LATER_SCHEMA, *inbox.LATER_SCHEMA),
    *(*sent.LATER_SCHEMA, *arrivals.LATER_SCHEMA),
)
BUSY_SECONDS = 2.0
CLEAN = 1  # the version of a file that has nothing in it that was deleted


def open_writer(path: Path, fill: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """Open the database for writing. A new file gets the schema and whatever `fill` puts in.

    Any thread may use the connection, one at a time. Raises UnusableDatabase.
    """
    try:
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"cannot open the database {path}: {error}") from error
    try:
        _prepare(db, path, fill)
    except sqlite3.Error as error:
        db.close()
        raise UnusableDatabase(f"cannot use the database {path}: {error}") from error
    except BaseException:
        db.close()
        raise
    return db


def open_existing(path: Path) -> sqlite3.Connection:
    """Open a database that a shop has made already, for writing. Raises UnusableDatabase."""
    if not path.is_file():
        raise UnusableDatabase(f"cannot open the database {path}: there is no such file")
    return open_writer(path, _stay_empty)


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the database, which exists by now, for reading beside the writer."""
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    db.execute("PRAGMA query_only = ON")
    return db


def _prepare(db: sqlite3.Connection, path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    if not _is_new(db):
        _check_ours(db, path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # an order that was confirmed survives a power cut
    db.execute("PRAGMA foreign_keys = ON")
    # What is deleted is gone: overwritten in the file, and cut off the log when that begins anew.
    db.execute("PRAGMA secure_delete = ON")
    db.execute("PRAGMA journal_size_limit = 0")
    with transaction(db):
        if _is_new(db):  # asked again under the lock: another process may have been first
            for statement in SCHEMA:
                db.execute(statement)
            _bring_up_to_date(db)
            fill(db)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {CLEAN}")
        _check_ours(db, path)
        _bring_up_to_date(db)
        _begin_history(db)
        if saga_log.sweep_cards(db):
            db.execute("PRAGMA user_version = 0")
    if db.execute("PRAGMA user_version").fetchone() != (CLEAN,):
        _clean(db)


def _clean(db: sqlite3.Connection) -> None:
    """Write the file anew: earlier releases overwrote nothing, so free room in it may hold cards."""
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute(f"PRAGMA user_version = {CLEAN}")


def _bring_up_to_date(db: sqlite3.Connection) -> None:
    for statement in LATER_SCHEMA:
        db.execute(statement)


def _begin_history(db: sqlite3.Connection) -> None:
    """Let the events begin with what there is; what was before them, of the seed too, is the past."""
    if outbox.begin(db, "shop"):
        catalogue.tell_everything(db)
        stock.tell_everything(db)


def _stay_empty(db: sqlite3.Connection) -> None:
    raise sqlite3.DatabaseError("it is empty")


def _is_new(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def _check_ours(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise UnusableDatabase(f"cannot use the database {path}: it is not a database of the shop")
