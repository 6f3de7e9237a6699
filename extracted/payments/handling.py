"""What becomes of an event that is told to this service: handled once, however often it comes.

The id of an event is kept in the transaction of its effect, so there is never one without the other. Events that
were told before the import read the monolith's database are in what it has read, and are skipped.
"""

import sqlite3
from typing import Literal

from extracted.payments import following
from extracted.payments.events import Event
from extracted.payments.problems import NotReady
from shop_events.transactions import transaction

LATER_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS handled (
        id TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('handled', 'skipped')),
        at TEXT NOT NULL,
        handled_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ) WITHOUT ROWID""",
    # How far the events of a source were in what an import has read.
    """CREATE TABLE IF NOT EXISTS imported (
        source TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL
    ) WITHOUT ROWID""",
)

Outcome = Literal["handled", "skipped", "known"]


def handle(db: sqlite3.Connection, event: Event) -> Outcome:
    """Let an event have its effect, if it has not had it. Raises NotReady before an import, Refused: 409."""
    with transaction(db):
        if db.execute("SELECT 1 FROM handled WHERE id = ?", (event.id,)).fetchone():
            return "known"
        imported = through(db, event.source)
        if imported is None:
            raise NotReady(f"nothing was imported from {event.source} yet")
        outcome: Outcome = "skipped" if event.sequence <= imported else "handled"
        db.execute(
            "INSERT INTO handled (id, source, sequence, outcome, at) VALUES (?, ?, ?, ?, ?)",
            (event.id, event.source, event.sequence, outcome, event.at),
        )
        if outcome == "handled":
            following.follow(db, event.body)
        return outcome


def through(db: sqlite3.Connection, source: str) -> int | None:
    """Say up to which event of a source the import has read; None when there was none."""
    row: tuple[int] | None = db.execute(
        "SELECT sequence FROM imported WHERE source = ?", (source,)
    ).fetchone()
    return row[0] if row else None


def count_after(db: sqlite3.Connection, source: str, sequence: int) -> int:
    """Count the events of a source after a number that have had their effect."""
    row: tuple[int] = db.execute(
        "SELECT count(*) FROM handled WHERE source = ? AND sequence > ? AND outcome = 'handled'",
        (source, sequence),
    ).fetchone()
    return row[0]


def sources(db: sqlite3.Connection) -> int:
    """Count the sources that were imported from."""
    row: tuple[int] = db.execute("SELECT count(*) FROM imported").fetchone()
    return row[0]


def note_import(db: sqlite3.Connection, source: str, sequence: int) -> None:
    """Note up to which event of a source an import has read, as a part of its transaction."""
    db.execute(
        """INSERT INTO imported (source, sequence) VALUES (?, ?)
        ON CONFLICT DO UPDATE SET sequence = excluded.sequence""",
        (source, sequence),
    )
