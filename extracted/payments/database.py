"""The service's own database file: opening it, and knowing it for ours."""

import sqlite3
from pathlib import Path

from extracted.payments import handling
from shop_events import arrivals, deliveries, outbox, sent
from shop_events.transactions import transaction

APPLICATION_ID = 0x50415953  # "PAYS", in the header of the file: https://www.sqlite.org/fileformat.html
SCHEMA = (
    # Payments need no more of an account than that it exists.
    "CREATE TABLE accounts (account_id INTEGER PRIMARY KEY)",
    """CREATE TABLE payments (
        payment_id INTEGER PRIMARY KEY,
        account_id INTEGER NOT NULL,
        order_id INTEGER NOT NULL,
        method TEXT NOT NULL,
        amount_cents INTEGER NOT NULL,
        tax_cents INTEGER NOT NULL,
        refunded_cents INTEGER NOT NULL,
        taken_at TEXT NOT NULL
    )""",
    "CREATE INDEX payments_of_account ON payments (account_id)",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
# What was added when there were databases already: to an old file as to a new one.
LATER_SCHEMA = (
    # The first answer to every key: see `idempotency`.
    """CREATE TABLE IF NOT EXISTS answers (
        key TEXT PRIMARY KEY,
        request TEXT NOT NULL,
        status INTEGER NOT NULL,
        body TEXT NOT NULL,
        given_at REAL NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS answers_by_age ON answers (given_at)",
    # A payment that was refunded before it was taken: it will not be taken any more.
    """CREATE TABLE IF NOT EXISTS cancelled (
        payment_id INTEGER PRIMARY KEY,
        order_id INTEGER NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS payments_of_order ON payments (order_id)",
    *handling.LATER_SCHEMA,
    *outbox.LATER_SCHEMA,
    *deliveries.LATER_SCHEMA,
    *sent.LATER_SCHEMA,
    *arrivals.LATER_SCHEMA,
)
BUSY_SECONDS = 5.0


class UnusableDatabase(Exception):
    """A database file cannot be opened, or is not what it should be; the text is one line."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database, a new and empty one where there is no file yet. Raises UnusableDatabase.

    Any thread may use the connection, one at a time.
    """
    try:
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"cannot open the database {path}: {error}") from error
    try:
        _prepare(db)
    except (sqlite3.Error, UnusableDatabase) as error:
        db.close()
        raise UnusableDatabase(f"cannot use the database {path}: {error}") from error
    return db


def open_existing(path: Path) -> sqlite3.Connection:
    """Open a database that the service has made already. Raises UnusableDatabase."""
    if not path.is_file():
        raise UnusableDatabase(f"cannot open the database {path}: there is no such file")
    return open_database(path)


def _prepare(db: sqlite3.Connection) -> None:
    if not _is_new(db):
        _check_ours(db)
    db.execute("PRAGMA journal_mode = WAL")
    with transaction(db):
        if _is_new(db):  # asked again under the lock: another process may have been first
            for statement in SCHEMA:
                db.execute(statement)
        _check_ours(db)
        for statement in LATER_SCHEMA:
            db.execute(statement)


def _is_new(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def _check_ours(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise UnusableDatabase("it is not a database of the payments service")
