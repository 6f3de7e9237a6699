"""What becomes of an event that a service tells the shop: it has its effect once, however often it comes.

The id of an event is kept in the transaction of its effect. What a service has done is followed, and not told on.
"""

import sqlite3
from typing import Literal

from legacy_monolith import payments, stock
from legacy_monolith.events import Event, PaymentRefunded, PaymentTaken, StockChanged
from shop_events.transactions import transaction

LATER_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS handled (
        id TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        at TEXT NOT NULL,
        handled_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ) WITHOUT ROWID""",
)

Outcome = Literal["handled", "known"]


def handle(db: sqlite3.Connection, event: Event) -> Outcome:
    """Let an event have its effect, if it has not had it. Raises Contradiction."""
    with transaction(db):
        if db.execute("SELECT 1 FROM handled WHERE id = ?", (event.id,)).fetchone():
            return "known"
        db.execute(
            "INSERT INTO handled (id, source, sequence, at) VALUES (?, ?, ?, ?)",
            (event.id, event.source, event.sequence, event.at),
        )
        match event.body:
            case StockChanged(sku, warehouse, _, change, _):
                stock.follow(db, sku, warehouse, change.on_hand, change.reserved)
            case PaymentTaken() as taken:
                payments.follow_taken(
                    db,
                    payment_id=taken.payment_id,
                    account_id=taken.account_id,
                    order_id=taken.order_id,
                    method=taken.method,
                    amount_cents=taken.amount_cents,
                    tax_cents=taken.tax_cents,
                    at=taken.taken_at,
                )
            case PaymentRefunded(payment_id, refunded_cents):
                payments.follow_refunded(db, payment_id, refunded_cents)
        return "handled"
