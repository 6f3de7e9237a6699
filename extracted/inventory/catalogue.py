"""The catalogue, a read model: what is sold, at which price, what is left, and the words it is found by.

It is projected from events, and only shown: no other module knows its tables, and no rule of the business reads it.
The functions that build it are told where: in `main`, where it is read, or in `temp`, beside it, where a new one
grows that nobody sees. SQLite drops what is in `temp` with the connection, however that ends:
https://www.sqlite.org/lang_createtable.html
"""

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from extracted.inventory import money
from extracted.inventory.projection import Offer, Row
from extracted.inventory.searching import Query, words_of

Place = Literal["main", "temp"]

_TABLES = (
    """CREATE TABLE IF NOT EXISTS {place}.catalogue (
        sku TEXT PRIMARY KEY,
        available INTEGER NOT NULL,
        name TEXT,
        category TEXT,
        price_cents INTEGER,
        tax_percent INTEGER,
        source TEXT,
        sequence INTEGER
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS {place}.catalogue_words (
        word TEXT NOT NULL,
        sku TEXT NOT NULL,
        PRIMARY KEY (word, sku)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS {place}.catalogue_words_by_sku ON catalogue_words (sku)",
)
LATER_SCHEMA = (
    *(statement.format(place="main") for statement in _TABLES),
    "CREATE INDEX IF NOT EXISTS main.catalogue_by_category ON catalogue (category, sku)",
    # How far it has come.
    """CREATE TABLE IF NOT EXISTS main.catalogue_state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        position INTEGER NOT NULL DEFAULT 0,
        sequence INTEGER NOT NULL DEFAULT 0,
        events INTEGER NOT NULL DEFAULT 0,
        unreadable INTEGER NOT NULL DEFAULT 0,
        waited REAL NOT NULL DEFAULT 0
    )""",
    "INSERT OR IGNORE INTO main.catalogue_state (one) VALUES (1)",
)

MOST_SHOWN = 100  # products at a time

_OFFER = "name, category, price_cents, tax_percent, source, sequence"
_PAST_ALL = "\U0010ffff"  # no letter comes after it, and it is none itself


@dataclass(frozen=True, slots=True)
class State:
    """How far a catalogue has come.

    `position` in the history, and `sequence` in the outbox, are those of the last events in it; `events` counts
    them, also the `unreadable` ones. `waited` is for how many seconds the oldest of the last batch had waited.
    """

    position: int = 0
    sequence: int = 0
    events: int = 0
    unreadable: int = 0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What is found, by sku, and whether there is more; `categories` are those of everything that is sold."""

    items: list[dict[str, Any]]
    more: bool
    categories: list[str]


def find(db: sqlite3.Connection, wanted: Query) -> Shown:
    """Find products, `MOST_SHOWN` at a time."""
    conditions, values = ["name IS NOT NULL", "sku > ?"], [wanted.after]
    if wanted.category:
        conditions.append("category = ?")
        values.append(wanted.category)
    for word in wanted.words:
        conditions.append("sku IN (SELECT sku FROM main.catalogue_words WHERE word >= ? AND word < ?)")
        values += [word, word + _PAST_ALL]
    rows = db.execute(
        f"""SELECT sku, name, category, price_cents, tax_percent, max(0, available) FROM main.catalogue
        WHERE {" AND ".join(conditions)} ORDER BY sku LIMIT {MOST_SHOWN + 1}""",
        values,
    ).fetchall()
    categories = db.execute(
        "SELECT category FROM main.catalogue WHERE name IS NOT NULL GROUP BY category ORDER BY min(sku)"
    )
    items = [_to_wire(*row) for row in rows[:MOST_SHOWN]]
    return Shown(items, len(rows) > MOST_SHOWN, [category for (category,) in categories])


def count(db: sqlite3.Connection) -> int:
    """Count the products that are shown."""
    row: tuple[int] = db.execute("SELECT count(*) FROM main.catalogue WHERE name IS NOT NULL").fetchone()
    return row[0]


def state(db: sqlite3.Connection) -> State:
    """Say how far the catalogue has come."""
    row = db.execute("SELECT position, sequence, events, unreadable, waited FROM main.catalogue_state")
    return State(*row.fetchone())


def advance(db: sqlite3.Connection, before: State, now: State) -> bool:
    """Note how far it has come, as a part of a transaction; False when it is not, any more, where it was."""
    changed = db.execute(
        """UPDATE main.catalogue_state SET (position, sequence, events, unreadable, waited) = (?, ?, ?, ?, ?)
        WHERE (position, sequence) = (?, ?)""",
        (
            *(now.position, now.sequence, now.events, now.unreadable, now.waited),
            *(before.position, before.sequence),
        ),
    )
    return changed.rowcount == 1


def rows(db: sqlite3.Connection, place: Place, skus: Collection[str]) -> dict[str, Row]:
    """Give the rows of products, those that there are."""
    marks = ", ".join("?" * len(skus))
    found = db.execute(
        f"SELECT sku, available, {_OFFER} FROM {place}.catalogue WHERE sku IN ({marks})", tuple(skus)
    )
    return {
        sku: Row(sku, available, Offer(*offer) if offer[0] is not None else None)
        for sku, available, *offer in found
    }


def write(db: sqlite3.Connection, place: Place, changed: Iterable[Row]) -> None:
    """Put rows in, or in the place of what there was, as a part of a transaction."""
    for row in changed:
        db.execute(
            f"INSERT OR REPLACE INTO {place}.catalogue (sku, available, {_OFFER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.sku, row.available, *_columns(row.offer)),
        )
        if row.offer:
            _index(db, place, row.sku, words_of(row.offer.name, row.offer.category, row.sku))


def _columns(offer: Offer | None) -> tuple[str | int | None, ...]:
    if offer is None:
        return (None,) * 6
    return offer.name, offer.category, offer.price_cents, offer.tax_percent, offer.source, offer.sequence


def begin_anew(db: sqlite3.Connection) -> None:
    """Begin a new catalogue, empty and beside the old one."""
    _clear_away(db)
    for statement in _TABLES:
        db.execute(statement.format(place="temp"))


def swap(db: sqlite3.Connection, now: State) -> None:
    """Put the new catalogue, which is as far or further, into the place of the old one, as a part of a transaction."""
    for table in ("catalogue", "catalogue_words"):
        db.execute(f"DELETE FROM main.{table}")
        db.execute(f"INSERT INTO main.{table} SELECT * FROM temp.{table}")
    _clear_away(db)
    advance(db, state(db), now)


def _clear_away(db: sqlite3.Connection) -> None:
    for table in ("catalogue", "catalogue_words"):
        db.execute(f"DROP TABLE IF EXISTS temp.{table}")


def _index(db: sqlite3.Connection, place: Place, sku: str, words: Collection[str]) -> None:
    """Let a product be found by these words."""
    known = {
        word for (word,) in db.execute(f"SELECT word FROM {place}.catalogue_words WHERE sku = ?", (sku,))
    }
    if known == set(words):
        return
    db.execute(f"DELETE FROM {place}.catalogue_words WHERE sku = ?", (sku,))
    db.executemany(
        f"INSERT INTO {place}.catalogue_words (word, sku) VALUES (?, ?)", [(word, sku) for word in words]
    )


def _to_wire(
    sku: str, name: str, category: str, price_cents: int, tax_percent: int, available: int
) -> dict[str, Any]:
    return {
        "sku": sku,
        "name": name,
        "category": category,
        "price": money.to_wire(price_cents),
        "tax_percent": tax_percent,
        "available": available,
    }
