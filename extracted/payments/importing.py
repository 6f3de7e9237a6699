"""Filling the service's database from the monolith's, again and again if wanted.

Rows that are new are added, rows that have changed are brought up to date, and nothing is ever removed,
for the monolith removes nothing either. The monolith may go on working meanwhile: it is read in one transaction.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from extracted.payments import handling
from extracted.payments.database import UnusableDatabase, open_database
from shop_events import arrivals, deliveries, outbox
from shop_events.transactions import transaction

MONOLITH_ID = 0x53484F50  # what the monolith writes into its file's header


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did to one table."""

    table: str
    added: int
    changed: int
    unchanged: int

    def __str__(self) -> str:
        return f"{self.table}: {self.added} added, {self.changed} changed, {self.unchanged} unchanged"


@dataclass(frozen=True, slots=True)
class _Copy:
    table: str
    select: str
    upsert: str


_COPIES = (
    _Copy(
        "accounts",
        "SELECT account_id FROM accounts",
        "INSERT INTO accounts (account_id) VALUES (?) ON CONFLICT DO NOTHING",
    ),
    _Copy(
        "payments",
        """SELECT payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at
        FROM payments""",
        """INSERT INTO payments
        (payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET
            (account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at)
            = (excluded.account_id, excluded.order_id, excluded.method, excluded.amount_cents,
               excluded.tax_cents, excluded.refunded_cents, excluded.taken_at)
        WHERE (account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at)
            IS NOT (excluded.account_id, excluded.order_id, excluded.method, excluded.amount_cents,
                    excluded.tax_cents, excluded.refunded_cents, excluded.taken_at)""",
    ),
)


def import_from(source: Path, database: Path) -> list[Imported]:
    """Bring the service's database up to date, wholly or not at all. Raises UnusableDatabase."""
    with closing(open_monolith(source)) as monolith:
        for answer in _ask(
            monolith, source
        ):  # so that a file which is not the monolith's leaves no trace in ours
            answer.close()
        with closing(open_database(database)) as db:
            try:
                with transaction(db):
                    # Only now, for no event may have its effect between the moment that is read and the end.
                    look_anew(monolith)
                    answers, told = _ask(monolith, source), told_by(monolith)
                    _check_told(db, monolith, database)
                    if told is not None:
                        handling.note_import(db, *told)
                    return [_store(db, copy, rows) for copy, rows in zip(_COPIES, answers, strict=True)]
            except sqlite3.Error as error:
                raise UnusableDatabase(f"cannot import {source} into {database}: {error}") from error


def _check_told(db: sqlite3.Connection, monolith: sqlite3.Connection, database: Path) -> None:
    """What this service has done and the monolith does not know, an import would undo. Raises UnusableDatabase."""
    source = outbox.source(db)
    given_up = arrivals.count_from(monolith, source) if _has(monolith, "dead_arrivals") else 0
    # Consumers may be others than the monolith, or want some types only, so it is asked itself too.
    untaken = max(deliveries.untaken(db) + given_up, outbox.last(db) - _taken(monolith, source))
    if untaken:
        detail = f"it has {untaken} events of its own that the monolith has not taken"
        raise UnusableDatabase(f"cannot import into {database}: {detail}")


def _taken(monolith: sqlite3.Connection, source: str | None) -> int:
    """Count what has had its effect in the monolith."""
    if not _has(monolith, "handled"):
        return 0
    row: tuple[int] = monolith.execute("SELECT count(*) FROM handled WHERE source = ?", (source,)).fetchone()
    return row[0]


def open_monolith(path: Path) -> sqlite3.Connection:
    """Open the monolith's database to read all of it at one moment. Raises UnusableDatabase."""
    if not path.is_file():
        raise UnusableDatabase(f"cannot read {path}: there is no such file")
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"cannot read {path}: {error}") from error
    try:
        db.execute("BEGIN")
        if db.execute("PRAGMA application_id").fetchone() != (MONOLITH_ID,):
            raise UnusableDatabase(f"cannot read {path}: it is not the database of the monolith")
    except (sqlite3.Error, UnusableDatabase) as error:
        db.close()
        if isinstance(error, UnusableDatabase):
            raise
        raise UnusableDatabase(f"cannot read {path}: {error}") from error
    return db


def look_anew(monolith: sqlite3.Connection) -> None:
    """Read from now on what the monolith's database holds at this moment; no answer may be open."""
    monolith.execute("COMMIT")
    monolith.execute("BEGIN")


def _ask(monolith: sqlite3.Connection, path: Path) -> list[sqlite3.Cursor]:
    try:
        return [monolith.execute(copy.select) for copy in _COPIES]
    except sqlite3.Error as error:
        raise UnusableDatabase(f"cannot import {path}: {error}") from error


def told_by(monolith: sqlite3.Connection) -> tuple[str, int] | None:
    """Who tells the monolith's events, and the number of its last one; None for a file from before there were any."""
    if not _has(monolith, "outbox_source"):
        return None
    source = outbox.source(monolith)
    return None if source is None else (source, outbox.last(monolith))


def _has(monolith: sqlite3.Connection, table: str) -> bool:
    """Say whether there is a table; a monolith of an older release lacks some."""
    row = monolith.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return row is not None


def _store(db: sqlite3.Connection, copy: _Copy, rows: sqlite3.Cursor) -> Imported:
    rows_before, writes_before = _count(db, copy.table), db.total_changes
    db.executemany(copy.upsert, rows)
    rows_after = _count(db, copy.table)
    added = rows_after - rows_before
    changed = db.total_changes - writes_before - added
    return Imported(copy.table, added, changed, rows_before - changed)


def _count(db: sqlite3.Connection, table: str) -> int:
    row: tuple[int] = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    return row[0]
