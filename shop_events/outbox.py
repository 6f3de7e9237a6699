"""The outbox: what has happened here, told in the transaction in which it happened.

An event has an id, which no other event has, a type and its version, a time, and a number in the sequence of this
database. Its key is what it is about: a product, an order, a payment. Events are never changed and never removed;
they are the history.
"""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

LATER_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS outbox (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),
        type TEXT NOT NULL,
        version INTEGER NOT NULL,
        key TEXT NOT NULL,
        at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        data TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS outbox_by_type ON outbox (type)",  # and by rowid, as every index
    # Who tells: a name, and a part that is another one in every database, for each has a sequence of its own.
    """CREATE TABLE IF NOT EXISTS outbox_source (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        source TEXT NOT NULL
    )""",
)

_SELECT = "SELECT sequence, id, type, version, key, at, data FROM outbox"


@dataclass(frozen=True, slots=True)
class Told:
    """An event as the outbox has it; `data` is JSON."""

    sequence: int
    id: str
    type: str
    version: int
    key: str
    at: str
    data: str

    def to_wire(self, source: str | None, version: int, data: dict[str, Any]) -> str:
        """Write the event as it goes over the wire, in this version of it."""
        return json.dumps(
            {
                "id": self.id,
                "source": source,
                "sequence": self.sequence,
                "type": self.type,
                "version": version,
                "key": self.key,
                "at": self.at,
                "data": data,
            }
        )


def write(
    db: sqlite3.Connection, kind: str, version: int, key: str, data: dict[str, Any], *, by: str | None = None
) -> None:
    """Tell what has happened, as a part of the transaction of the caller.

    `by` is the name of who tells, where the history begins with the first event.
    """
    if by is not None:
        _name(db, by)
    db.execute(
        "INSERT INTO outbox (type, version, key, data) VALUES (?, ?, ?, ?)",
        (kind, version, key, json.dumps(data)),
    )


def begin(db: sqlite3.Connection, name: str) -> bool:
    """Begin the history of a database that has none; False when it has one. What was told before is forgotten."""
    if source(db) is not None:
        return False
    db.execute("DELETE FROM outbox")
    db.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'")
    _name(db, name)
    return True


def source(db: sqlite3.Connection) -> str | None:
    """Say who tells, such as `shop:1f9d2c4b5a6e7f80`; None when nothing has begun."""
    row: tuple[str] | None = db.execute("SELECT source FROM outbox_source").fetchone()
    return row[0] if row else None


def last(db: sqlite3.Connection) -> int:
    """Give the number of the newest event; 0 when there is none."""
    row: tuple[int] = db.execute("SELECT coalesce(max(sequence), 0) FROM outbox").fetchone()
    return row[0]


def at_sequence(db: sqlite3.Connection, sequence: int) -> Told:
    """Give the event of a number that there is."""
    return Told(*db.execute(f"{_SELECT} WHERE sequence = ?", (sequence,)).fetchone())


def with_id(db: sqlite3.Connection, event_id: str) -> Told | None:
    """Find an event."""
    row = db.execute(f"{_SELECT} WHERE id = ?", (event_id,)).fetchone()
    return Told(*row) if row else None


def first_after(db: sqlite3.Connection, sequence: int, types: Collection[str]) -> Told | None:
    """Give the first event of these types after a number, if there is one."""
    # Type by type, for only so does the index lead to it; else all events of other types before it would be read.
    row = db.execute(
        f"{_SELECT} WHERE sequence = (SELECT min(first) FROM (SELECT (SELECT min(sequence) FROM outbox "
        "WHERE type = value AND sequence > ?) AS first FROM json_each(?)))",
        (sequence, json.dumps(list(types))),
    ).fetchone()
    return Told(*row) if row else None


def after(db: sqlite3.Connection, sequence: int, most: int) -> list[Told]:
    """Give the first events after a number, in order."""
    rows = db.execute(f"{_SELECT} WHERE sequence > ? ORDER BY sequence LIMIT ?", (sequence, most))
    return [Told(*row) for row in rows]


def count_after(db: sqlite3.Connection, sequence: int, types: Collection[str]) -> int:
    """Count the events of these types after a number."""
    row: tuple[int] = db.execute(
        f"SELECT count(*) FROM outbox WHERE sequence > ? AND type IN ({_marks(types)})", (sequence, *types)
    ).fetchone()
    return row[0]


def _name(db: sqlite3.Connection, name: str) -> None:
    db.execute(
        "INSERT INTO outbox_source (one, source) VALUES (1, ?) ON CONFLICT DO NOTHING",
        (f"{name}:{token_hex(8)}",),
    )


def _marks(types: Collection[str]) -> str:
    return ", ".join("?" * len(types))
