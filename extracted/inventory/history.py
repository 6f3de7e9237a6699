"""The history: the events that others have told this service, whole, in the order in which they came.

What this service tells itself is in its outbox; both together are what the catalogue is projected from. An event is
kept in the transaction that keeps its id (`handling`), also one that was skipped because an import had read it.

A history may have holes, and says so: events that were handled by a release that kept ids only (`bodiless`), and
events from before an import that nobody has told us yet (`expected`).
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from extracted.inventory.events import Event

LATER_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS history (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        event TEXT NOT NULL,
        kept_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    )""",
    "CREATE TABLE IF NOT EXISTS bodiless (id TEXT PRIMARY KEY) WITHOUT ROWID",
    # Of what a source had told when it was imported: how many events have not come yet.
    """CREATE TABLE IF NOT EXISTS expected (
        source TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        missing INTEGER NOT NULL
    ) WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of the history: where it stands, the event as JSON, and when it came."""

    position: int
    event: str
    kept_at: str


@dataclass(frozen=True, slots=True)
class Holes:
    """What the history lacks, as far as is known. `missing` is None when nobody has counted what should be there."""

    bodiless: int
    missing: int | None
    sources: int


def keep(db: sqlite3.Connection, event: Event) -> None:
    """Keep an event that came for the first time, as a part of the transaction of the caller."""
    _insert(db, event)
    db.execute(
        "UPDATE expected SET missing = missing - 1 WHERE source = ? AND sequence >= ? AND missing > 0",
        (event.source, event.sequence),
    )


def keep_body(db: sqlite3.Connection, event: Event) -> None:
    """Keep an event that has come before, if only its id was kept then; a part of the caller's transaction."""
    if db.execute("DELETE FROM bodiless WHERE id = ?", (event.id,)).rowcount:
        _insert(db, event)


def expect(db: sqlite3.Connection, source: str, sequence: int, missing: int) -> None:
    """Note how many events of a source, up to a number, are still to come."""
    db.execute(
        """INSERT INTO expected (source, sequence, missing) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET (sequence, missing) = (excluded.sequence, excluded.missing)""",
        (source, sequence, missing),
    )


def after(db: sqlite3.Connection, position: int, most: int) -> Iterator[Kept]:
    """Give the first events after a position, in order."""
    rows = db.execute(
        "SELECT position, event, kept_at FROM history WHERE position > ? ORDER BY position LIMIT ?",
        (position, most),
    )
    return (Kept(*row) for row in rows)


def count_after(db: sqlite3.Connection, position: int) -> int:
    """Count the events after a position."""
    row: tuple[int] = db.execute("SELECT count(*) FROM history WHERE position > ?", (position,)).fetchone()
    return row[0]


def holes(db: sqlite3.Connection, sources: int) -> Holes:
    """Say what is known to be lacking; `sources` were imported from."""
    (bodiless,) = db.execute("SELECT count(*) FROM bodiless").fetchone()
    counted, missing = db.execute("SELECT count(*), coalesce(sum(missing), 0) FROM expected").fetchone()
    return Holes(bodiless, missing if counted == sources else None, sources)


def _insert(db: sqlite3.Connection, event: Event) -> None:
    db.execute("INSERT INTO history (id, event) VALUES (?, ?)", (event.id, event.told))
