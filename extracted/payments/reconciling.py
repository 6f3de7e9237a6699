"""Comparing the service's database with the monolith's: what differs is what nobody has told us, or not yet."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extracted.payments import handling
from extracted.payments.database import UnusableDatabase, open_database
from extracted.payments.importing import look_anew, open_monolith, told_by
from shop_events import outbox


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not the same on both sides; None where a side has none."""

    table: str
    key: tuple[Any, ...]
    monolith: dict[str, Any] | None
    here: dict[str, Any] | None

    def __str__(self) -> str:
        sides = f"monolith {self.monolith or 'has none'}, here {self.here or 'there is none'}"
        return f"{self.table} {' '.join(map(str, self.key))}: {sides}"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """All that differs, how many rows were compared, and how many events of the monolith are still to come.

    `imported`: whether anything was ever imported from there; always so with a monolith that tells no events.
    """

    differences: list[Difference]
    compared: int
    to_come: int
    imported: bool


@dataclass(frozen=True, slots=True)
class _Pair:
    """A table on both sides; the first `keys` columns say which row it is."""

    table: str
    columns: tuple[str, ...]
    keys: int
    monolith: str
    here: str


_TYPES = ("PaymentTaken", "PaymentRefunded")
_PAIRS = (
    _Pair(
        "accounts",
        ("account_id",),
        1,
        """SELECT account_id FROM accounts""",
        """SELECT account_id FROM accounts""",
    ),
    _Pair(
        "payments",
        (
            "payment_id",
            "account_id",
            "order_id",
            "method",
            "amount_cents",
            "tax_cents",
            "refunded_cents",
            "taken_at",
        ),
        1,
        """SELECT payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at
        FROM payments""",
        """SELECT payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at
        FROM payments""",
    ),
)


def reconcile(source: Path, database: Path) -> Reconciled:
    """Compare both databases, each as it is at one moment. Raises UnusableDatabase."""
    if not database.is_file():
        raise UnusableDatabase(f"cannot compare {database}: there is no such file")
    try:
        with closing(open_monolith(source)) as monolith, closing(open_database(database)) as db:
            db.execute("BEGIN")
            db.execute("SELECT 1 FROM handled").fetchone()  # this is the moment
            look_anew(
                monolith
            )  # and that of the monolith is later, for what is told here was told there before
            found: list[Difference] = []
            compared = 0
            for pair in _PAIRS:
                theirs, ours = _rows(monolith, pair, pair.monolith), _rows(db, pair, pair.here)
                compared += len(theirs.keys() | ours.keys())
                found += [
                    Difference(pair.table, key, theirs.get(key), ours.get(key))
                    for key in sorted(theirs.keys() | ours.keys())
                    if theirs.get(key) != ours.get(key)
                ]
            return Reconciled(found, compared, _to_come(monolith, db), _imported(monolith, db))
    except sqlite3.Error as error:
        raise UnusableDatabase(f"cannot compare {source} with {database}: {error}") from error


def _rows(db: sqlite3.Connection, pair: _Pair, select: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {row[: pair.keys]: dict(zip(pair.columns, row, strict=True)) for row in db.execute(select)}


def _imported(monolith: sqlite3.Connection, db: sqlite3.Connection) -> bool:
    told = told_by(monolith)
    return told is None or handling.through(db, told[0]) is not None


def _to_come(monolith: sqlite3.Connection, db: sqlite3.Connection) -> int:
    told = told_by(monolith)
    if told is None:
        return 0
    after = handling.through(db, told[0]) or 0
    return outbox.count_after(monolith, after, _TYPES) - handling.count_after(db, told[0], after)
