"""Events that came through a stream and had no effect here: the dead letters of this side."""

import json
import math
import sqlite3
from dataclasses import dataclass
from typing import Any

LATER_SCHEMA = (
    # `id` is the event's, or its entry's where the event has none; `body` is what came, as text.
    """CREATE TABLE IF NOT EXISTS dead_arrivals (
        id TEXT PRIMARY KEY,
        consumer TEXT NOT NULL,
        stream TEXT NOT NULL,
        entry TEXT NOT NULL,
        body TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        last_error TEXT NOT NULL,
        at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
    ) WITHOUT ROWID""",
)
MOST_KEPT = 64 * 1024  # characters of a body; no event is longer

_COLUMNS = "id, consumer, stream, entry, body, attempts, last_error"


@dataclass(frozen=True, slots=True)
class DeadArrival:
    """An event that came through a stream and was given up."""

    id: str
    consumer: str
    stream: str
    entry: str
    body: str
    attempts: int
    last_error: str
    at: str = ""

    def member(self, name: str) -> Any:
        """Give a member of the event, or None: it may be no event at all."""
        try:
            told = json.loads(self.body, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError):
            return None
        return told.get(name) if isinstance(told, dict) else None


def bury(db: sqlite3.Connection, letter: DeadArrival) -> None:
    """Make an event that has failed for good a dead letter; one that is known already has failed more often."""
    db.execute(
        f"""INSERT INTO dead_arrivals ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET (attempts, last_error, at)
            = (attempts + excluded.attempts, excluded.last_error, excluded.at)""",
        (
            *(letter.id, letter.consumer, letter.stream, letter.entry, letter.body[:MOST_KEPT]),
            *(letter.attempts, letter.last_error),
        ),
    )


def find(db: sqlite3.Connection, letter_id: str) -> DeadArrival | None:
    """Find a dead letter."""
    row = db.execute(f"SELECT {_COLUMNS}, at FROM dead_arrivals WHERE id = ?", (letter_id,)).fetchone()
    return DeadArrival(*row) if row else None


def settle(db: sqlite3.Connection, letter_id: str) -> None:
    """Forget a dead letter, for it has had its effect after all, or nobody wants it."""
    if find(db, letter_id):
        db.execute("DELETE FROM dead_arrivals WHERE id = ?", (letter_id,))


def every(db: sqlite3.Connection) -> list[DeadArrival]:
    """List the dead letters, those that have died first first."""
    rows = db.execute(f"SELECT {_COLUMNS}, at FROM dead_arrivals ORDER BY at, id").fetchall()
    return [DeadArrival(*row) for row in rows]


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Count the dead letters of each consumer that has some."""
    return dict(
        db.execute("SELECT consumer, count(*) FROM dead_arrivals GROUP BY consumer ORDER BY 1").fetchall()
    )


def count_from(db: sqlite3.Connection, source: str | None) -> int:
    """Count the dead letters of a source."""
    row: tuple[int] = db.execute(
        """SELECT count(*) FROM dead_arrivals
        WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.source') END = ?""",
        (source,),
    ).fetchone()
    return row[0]


def _finite(text: str) -> float | None:
    """Read a number. What JSON has no form for (RFC 8259 section 6) is none, so that it can be told on as JSON."""
    number = float(text)
    return number if math.isfinite(number) else None
