"""What is forgotten, so that the evidence stays small: the oldest first, and never a count of the present.

First whole pairs of releases that nobody answers with any more, then examples, then fingerprints that have not been
seen for long. The outcomes, statuses and times of a route's current pair stay: a verdict rests on them.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

#: Tables of rows that belong to a pair.
_OF_A_PAIR: Final = (
    "outcome",
    "skip",
    "status",
    "latency",
    "fingerprint",
    "example",
    "combination",
    "rule",
    "field",
    "traffic",
)
#: A file is made smaller when so much of it is empty.
_SLACK: Final = 0.25


@dataclass(frozen=True, slots=True)
class Keep:
    """Evidence last added to before `since` (Unix seconds) goes, and what is beyond `size` bytes."""

    since: float
    size: int


def forget(sql: sqlite3.Connection, keep: Keep) -> int:
    """Forget what is too old or too much, inside a transaction; how many rows went."""
    before = sql.total_changes
    for (pair,) in sql.execute(f"SELECT id FROM pair WHERE until < ? AND {_PAST}", (keep.since,)).fetchall():
        _forget_pair(sql, pair)
    sql.execute("DELETE FROM example WHERE at < ?", (keep.since,))
    sql.execute("DELETE FROM request WHERE at < ?", (keep.since,))
    sql.execute("DELETE FROM served WHERE (hour + 1) * 3600 < ?", (keep.since,))
    sql.execute(
        "DELETE FROM fingerprint WHERE last_seen < ? AND last_seen > 0 AND NOT EXISTS"
        " (SELECT 1 FROM combination WHERE combination.pair = fingerprint.pair"
        " AND instr(combination.members, fingerprint.id))",
        (keep.since,),
    )
    while _used(sql) > keep.size:
        past = sql.execute(f"SELECT id FROM pair WHERE {_PAST} ORDER BY until LIMIT 1").fetchone()
        if past is not None:
            _forget_pair(sql, past[0])
        elif not any(sql.execute(oldest).rowcount for oldest in (_EXAMPLES, _OLDEST_DAY)):
            break
    return sql.total_changes - before


_EXAMPLES: Final = "DELETE FROM example WHERE rowid IN (SELECT rowid FROM example ORDER BY at LIMIT 100)"
#: There is a row for each busy route and hour of who was asked when: first go the oldest that are not today's.
_OLDEST_DAY: Final = (
    "DELETE FROM served WHERE hour < (SELECT min(hour) FROM served) + 24"
    " AND hour < (SELECT max(hour) FROM served) - 24"
)
#: A pair that is no route's current one.
_PAST: Final = "seen < (SELECT max(seen) FROM pair AS other WHERE other.route = pair.route)"


def shrink(sql: sqlite3.Connection) -> None:
    """Give the room of what was forgotten back to the disk, when it is worth it. Outside of a transaction."""
    pages, free = (sql.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    if free > _SLACK * pages and free > 256:
        sql.execute("VACUUM")
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _forget_pair(sql: sqlite3.Connection, pair: int) -> None:
    for table in _OF_A_PAIR:
        sql.execute(f"DELETE FROM {table} WHERE pair = ?", (pair,))
    sql.execute("DELETE FROM pair WHERE id = ?", (pair,))


def _used(sql: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (
        sql.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
