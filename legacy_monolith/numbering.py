"""Numbers that are given once: of orders, and of payments."""

import sqlite3


def next_id(db: sqlite3.Connection, table: str) -> int:
    """Take the next id of a table that counts by itself (AUTOINCREMENT), before there is a row to have it.

    `sqlite_sequence` may be written like any table: https://www.sqlite.org/autoinc.html
    """
    taken: tuple[int] | None = db.execute(
        "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = ? RETURNING seq", (table,)
    ).fetchone()
    if taken is None:  # a table that never had a row has no counter either
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, 1)", (table,))
        return 1
    return taken[0]
