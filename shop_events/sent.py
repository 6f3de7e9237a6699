"""What was put into the streams of consumers: each event until its consumer has acknowledged it."""

import json
import sqlite3
from collections.abc import Collection

from shop_events.stream import Entry, entry_of, sortable

LATER_SCHEMA = (
    # Events that lie in a stream, each with the id of its entry, and are not acknowledged.
    """CREATE TABLE IF NOT EXISTS sent (
        consumer TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        entry TEXT NOT NULL,
        PRIMARY KEY (consumer, sequence)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS sent_by_entry ON sent (consumer, entry)",
    # The newest entry of ours in each stream, acknowledged or not.
    """CREATE TABLE IF NOT EXISTS newest_sent (
        consumer TEXT PRIMARY KEY,
        entry TEXT NOT NULL
    ) WITHOUT ROWID""",
)


def newest(db: sqlite3.Connection, consumer: str) -> Entry | None:
    """Give the newest entry that was put into a consumer's stream; None when there is none, or it was lost."""
    row: tuple[str] | None = db.execute(
        "SELECT entry FROM newest_sent WHERE consumer = ?", (consumer,)
    ).fetchone()
    return entry_of(row[0]) if row else None


def oldest(db: sqlite3.Connection, consumer: str) -> tuple[int, Entry] | None:
    """Give the first event that is not acknowledged: its number in the outbox, and its entry."""
    row = db.execute(
        "SELECT sequence, entry FROM sent WHERE consumer = ? ORDER BY sequence LIMIT 1", (consumer,)
    ).fetchone()
    return (row[0], entry_of(row[1])) if row else None


def count(db: sqlite3.Connection, consumer: str, through: int) -> int:
    """Count the events that are not acknowledged, up to a number of the outbox."""
    row: tuple[int] = db.execute(
        "SELECT count(*) FROM sent WHERE consumer = ? AND sequence <= ?", (consumer, through)
    ).fetchone()
    return row[0]


def stand(db: sqlite3.Connection, consumer: str, last: Entry | None, first: Entry | None) -> bool:
    """Say whether these are the newest entry and, unless None, the first that is not acknowledged, still."""
    unread = oldest(db, consumer)
    return newest(db, consumer) == last and (first is None or (unread is not None and unread[1] == first))


def note(db: sqlite3.Connection, consumer: str, sequence: int, entry: Entry) -> None:
    """Write down that an event was put into a consumer's stream."""
    db.execute(
        """INSERT INTO sent (consumer, sequence, entry) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET entry = excluded.entry""",
        (consumer, sequence, sortable(entry)),
    )
    db.execute(
        """INSERT INTO newest_sent (consumer, entry) VALUES (?, ?)
        ON CONFLICT DO UPDATE SET entry = excluded.entry""",
        (consumer, sortable(entry)),
    )


def acknowledge(db: sqlite3.Connection, consumer: str, through: Entry, but: Collection[Entry]) -> None:
    """Write down that a consumer has done with all entries up to one, but for some."""
    db.execute(
        """DELETE FROM sent WHERE consumer = ? AND entry <= ?
        AND entry NOT IN (SELECT value FROM json_each(?))""",
        (consumer, sortable(through), json.dumps([sortable(each) for each in but])),
    )


def forget(db: sqlite3.Connection, consumer: str) -> int | None:
    """Forget what lies in a stream; gives the number of the first event that nobody has acknowledged."""
    first = oldest(db, consumer)
    for table in ("sent", "newest_sent"):
        db.execute(f"DELETE FROM {table} WHERE consumer = ?", (consumer,))
    return first[0] if first else None
