"""How far an order has come: from `pending` over `confirmed` and `packed` to `shipped`, or to `cancelled`.

Whether an order is pending, confirmed or cancelled, the order itself says; this module keeps what the warehouse does
with a confirmed one.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from legacy_monolith.errors import OutOfTurn

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS order_progress (
        order_id INTEGER NOT NULL,
        step INTEGER NOT NULL,
        status TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (order_id, step)
    ) WITHOUT ROWID""",
)

#: What the warehouse may do, by how far the order has come.
NEXT = {"confirmed": "packed", "packed": "shipped"}
FINAL = ("shipped", "cancelled")


@dataclass(frozen=True, slots=True)
class Step:
    """A status and when the order came to it. `number` grows with each; 1 is `pending`, which few orders ever are."""

    number: int
    status: str
    at: str

    @property
    def final(self) -> bool:
        """Whether the order stays so."""
        return self.status in FINAL


def steps(db: sqlite3.Connection, order: Mapping[str, object]) -> list[Step]:
    """List the steps of an order, as the API shows it, oldest first; there is always one."""
    status = str(order.get("status", "confirmed"))
    first = Step(1 if status == "pending" else 2, status, str(order["placed_at"]))
    rows = db.execute(
        "SELECT step, status, at FROM order_progress WHERE order_id = ? ORDER BY step", (order["order_id"],)
    )
    return [first, *(Step(*row) for row in rows)]


def advance(db: sqlite3.Connection, order: Mapping[str, object], status: str, at: str) -> Step:
    """Let the warehouse take an order one step further. Gives the step it stood at before. Raises OutOfTurn."""
    last = steps(db, order)[-1]
    if NEXT.get(last.status) != status:
        then = f"{NEXT[last.status]} comes next" if last.status in NEXT else "nothing comes next"
        raise OutOfTurn(f"order {order['order_id']} is {last.status}, and {then}, not {status}")
    db.execute(
        "INSERT INTO order_progress (order_id, step, status, at) VALUES (?, ?, ?, ?)",
        (order["order_id"], last.number + 1, status, at),
    )
    return last
