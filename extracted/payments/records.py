"""The payments this service knows, and how its API shows them."""

import sqlite3
from typing import Any

from extracted.payments.money import to_wire
from extracted.payments.releases import Release

_SELECT = """
    SELECT payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at
    FROM payments"""


def payment(db: sqlite3.Connection, release: Release, payment_id: int) -> dict[str, object] | None:
    """Show one payment, or nothing when there is no such payment."""
    row = db.execute(f"{_SELECT} WHERE payment_id = ?", (payment_id,)).fetchone()
    return _shown(row, release) if row else None


def payments_of(db: sqlite3.Connection, release: Release, account_id: int) -> dict[str, object] | None:
    """Show all payments of one account, oldest first, or nothing when there is no such account."""
    if db.execute("SELECT 1 FROM accounts WHERE account_id = ?", (account_id,)).fetchone() is None:
        return None
    rows = db.execute(f"{_SELECT} WHERE account_id = ? ORDER BY payment_id", (account_id,)).fetchall()
    return {
        "account_id": account_id,
        "count": len(rows),
        "total": to_wire(sum(row[4] for row in rows)),
        "payments": [_shown(row, release) for row in rows],
    }


def _shown(row: tuple[Any, ...], release: Release) -> dict[str, object]:
    payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at = row
    return {
        "payment_id": payment_id,
        "account_id": account_id,
        "order_id": order_id,
        "status": _status(amount_cents, refunded_cents),
        "method": method,
        "amount": to_wire(amount_cents),
        "tax": to_wire(tax_cents),
        "fee": to_wire(release.card_fee(amount_cents) if method == "card" else 0),
        "refunded": to_wire(refunded_cents),
        "taken_at": taken_at,
    }


def _status(amount_cents: int, refunded_cents: int) -> str:
    if not refunded_cents:
        return "captured"
    return "refunded" if refunded_cents == amount_cents else "partly_refunded"
