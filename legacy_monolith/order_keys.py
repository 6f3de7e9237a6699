"""Keys of orders: who got no answer asks again with the same `Idempotency-Key`, and has ordered once.

A key is kept in the transaction that places the order, begins its saga or refuses it, so there is never one without
the other. It belongs to an account, so nobody meets an order of somebody else by it, and is forgotten after a day.
"""

import json
import re
import sqlite3
from dataclasses import asdict, dataclass
from hashlib import sha256

from legacy_monolith import errors
from legacy_monolith.errors import KeyReused, Malformed, Refused
from legacy_monolith.order_request import OrderRequest

LATER_SCHEMA = (
    # What has become of a key: an order, perhaps one that is being placed, or a refusal before there was one.
    """CREATE TABLE IF NOT EXISTS order_keys (
        account_id INTEGER NOT NULL,
        key TEXT NOT NULL,
        request TEXT NOT NULL,
        order_id INTEGER,
        refusal TEXT,
        reason TEXT,
        at TEXT NOT NULL,
        PRIMARY KEY (account_id, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS order_keys_by_time ON order_keys (at)",
)

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Known:
    """What a key stands for: the number of an order, or (None) why there is none."""

    order_id: int | None
    refusal: Refused | None = None


def key_of(field: str | None) -> str | None:
    """Read the field Idempotency-Key, which a caller may leave out. Raises Malformed."""
    if field is not None and not _KEY.fullmatch(field):
        raise Malformed("Idempotency-Key must be 1 to 255 visible ASCII characters")
    return field


def find(db: sqlite3.Connection, key: str, wanted: OrderRequest, at: str) -> Known | None:
    """Find what a key of the account stands for at a time; None when it is new. Raises KeyReused."""
    db.execute("DELETE FROM order_keys WHERE at < strftime('%Y-%m-%dT%H:%M:%SZ', ?, '-1 day')", (at,))
    row = db.execute(
        "SELECT request, order_id, refusal, reason FROM order_keys WHERE account_id = ? AND key = ?",
        (wanted.account_id, key),
    ).fetchone()
    if row is None:
        return None
    request, order_id, refusal, reason = row
    if request != _digest(wanted):
        raise KeyReused(f"the key {key} was used for another order")
    return Known(order_id, getattr(errors, refusal)(reason) if refusal else None)


def keep(db: sqlite3.Connection, key: str, wanted: OrderRequest, known: Known, at: str) -> None:
    """Write down what a new key stands for, as a part of the transaction that does it."""
    refusal = known.refusal
    db.execute(
        """INSERT INTO order_keys (account_id, key, request, order_id, refusal, reason, at)
        VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (
            *(wanted.account_id, key, _digest(wanted), known.order_id),
            *((type(refusal).__name__, str(refusal)) if refusal else (None, None)),
            at,
        ),
    )


def _digest(wanted: OrderRequest) -> str:
    # Of what was asked for, and not of its bytes: spaces and the order of members make no other order.
    return sha256(json.dumps(asdict(wanted), sort_keys=True).encode()).hexdigest()
