"""Payments: what was taken for each order, how, and what was given back."""

import sqlite3
from typing import Any, Literal

from legacy_monolith import accounts, money
from legacy_monolith.errors import Contradiction, NotPaid
from legacy_monolith.numbering import next_id
from shop_events import outbox

Method = Literal["card", "balance"]

SCHEMA = (
    """CREATE TABLE payments (
        payment_id INTEGER PRIMARY KEY AUTOINCREMENT,
        account_id INTEGER NOT NULL,
        order_id INTEGER NOT NULL UNIQUE,
        method TEXT NOT NULL CHECK (method IN ('card', 'balance')),
        amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
        tax_cents INTEGER NOT NULL CHECK (tax_cents BETWEEN 0 AND amount_cents),
        refunded_cents INTEGER NOT NULL DEFAULT 0 CHECK (refunded_cents BETWEEN 0 AND amount_cents),
        taken_at TEXT NOT NULL
    )""",
    "CREATE INDEX payments_of_account ON payments (account_id)",
)

CARD_LIMIT_CENTS = 1_000_000  # the acquirer refuses more in one payment
DECLINED_CARD = "tok_declined"  # the acquirer's test card that has never any money

_SELECT = """
    SELECT payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at
    FROM payments"""


def find(db: sqlite3.Connection, payment_id: int) -> dict[str, object] | None:
    """Show one payment as the API does."""
    row = db.execute(f"{_SELECT} WHERE payment_id = ?", (payment_id,)).fetchone()
    return _shown(row) if row else None


def of_account(db: sqlite3.Connection, account_id: int) -> dict[str, object]:
    """Show all payments of one account, oldest first, as the API does."""
    rows = db.execute(f"{_SELECT} WHERE account_id = ? ORDER BY payment_id", (account_id,)).fetchall()
    return {
        "account_id": account_id,
        "count": len(rows),
        "total": money.to_wire(sum(row[4] for row in rows)),
        "payments": [_shown(row) for row in rows],
    }


def id_for_order(db: sqlite3.Connection, order_id: int) -> int:
    """Give the payment that was taken for an order."""
    row: tuple[int] = db.execute("SELECT payment_id FROM payments WHERE order_id = ?", (order_id,)).fetchone()
    return row[0]


def amount(db: sqlite3.Connection, payment_id: int) -> int:
    """Give the cents that a payment took."""
    row: tuple[int] = db.execute(
        "SELECT amount_cents FROM payments WHERE payment_id = ?", (payment_id,)
    ).fetchone()
    return row[0]


def next_payment_id(db: sqlite3.Connection) -> int:
    """Give the number of the next payment, which may be taken here or by a service."""
    return next_id(db, "payments")


def take(
    db: sqlite3.Connection,
    *,
    payment_id: int,
    account_id: int,
    order_id: int,
    method: Method,
    card: str | None,
    amount_cents: int,
    tax_cents: int,
    at: str,
) -> None:
    """Take the money for an order, from a card or from the balance of the account. Raises NotPaid."""
    if method == "balance":
        accounts.withdraw(db, account_id, amount_cents)
    elif card == DECLINED_CARD or amount_cents > CARD_LIMIT_CENTS:
        raise NotPaid("the card was declined")
    db.execute(
        """INSERT INTO payments (payment_id, account_id, order_id, method, amount_cents, tax_cents, taken_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (payment_id, account_id, order_id, method, amount_cents, tax_cents, at),
    )
    data = {
        "payment_id": payment_id,
        "account_id": account_id,
        "order_id": order_id,
        "method": method,
        "amount": money.to_wire(amount_cents),
        "tax": money.to_wire(tax_cents),
        "taken_at": at,
    }
    outbox.write(db, "PaymentTaken", 1, str(payment_id), data)


def give_back(db: sqlite3.Connection, order_id: int) -> None:
    """Give back all that is left of the payment for an order, if there is one, to where it came from."""
    row: tuple[int, int, Method, int] | None = db.execute(
        "SELECT payment_id, account_id, method, amount_cents - refunded_cents FROM payments WHERE order_id = ?",
        (order_id,),
    ).fetchone()
    if row is None:
        return
    payment_id, account_id, method, left_cents = row
    if not left_cents:
        return  # it was given back before
    refund(db, payment_id, left_cents)
    if method == "balance":
        accounts.deposit(db, account_id, left_cents)


def refund(db: sqlite3.Connection, payment_id: int, cents: int) -> None:
    """Give back a part of a payment, or all of it."""
    (refunded_cents,) = db.execute(
        "UPDATE payments SET refunded_cents = refunded_cents + ? WHERE payment_id = ? RETURNING refunded_cents",
        (cents, payment_id),
    ).fetchone()
    data = {"payment_id": payment_id, "refunded": money.to_wire(refunded_cents)}
    outbox.write(db, "PaymentRefunded", 1, str(payment_id), data)


def follow_taken(
    db: sqlite3.Connection,
    *,
    payment_id: int,
    account_id: int,
    order_id: int,
    method: str,
    amount_cents: int,
    tax_cents: int,
    at: str,
) -> None:
    """Write down a payment that a service has taken; balances were seen to before. Raises Contradiction."""
    row = (payment_id, account_id, order_id, method, amount_cents, tax_cents, at)
    known = db.execute(
        """SELECT payment_id, account_id, order_id, method, amount_cents, tax_cents, taken_at FROM payments
        WHERE payment_id = ? OR order_id = ?""",
        (payment_id, order_id),
    ).fetchall()
    if known and known != [row]:
        raise Contradiction(f"there is another payment {payment_id}, or one for order {order_id}")
    if not known:
        db.execute(
            """INSERT INTO payments (payment_id, account_id, order_id, method, amount_cents, tax_cents, taken_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)""",
            row,
        )


def follow_refunded(db: sqlite3.Connection, payment_id: int, refunded_cents: int) -> None:
    """Write down how much a service has given back in all. Raises Contradiction."""
    changed = db.execute(
        """UPDATE payments SET refunded_cents = max(refunded_cents, ?1)
        WHERE payment_id = ?2 AND amount_cents >= ?1""",
        (refunded_cents, payment_id),
    ).rowcount
    if not changed:
        raise Contradiction(
            f"there is no payment {payment_id} of which {refunded_cents} cents can be given back"
        )


def fee(method: Method, amount_cents: int) -> int:
    """Give what the acquirer keeps: 2.5 % of a card payment, half a cent counting as a whole one."""
    return money.share_half_up(amount_cents, 25, 1000) if method == "card" else 0


def _status(amount_cents: int, refunded_cents: int) -> str:
    if not refunded_cents:
        return "captured"
    return "refunded" if refunded_cents == amount_cents else "partly_refunded"


def _shown(row: tuple[Any, ...]) -> dict[str, object]:
    payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at = row
    return {
        "payment_id": payment_id,
        "account_id": account_id,
        "order_id": order_id,
        "status": _status(amount_cents, refunded_cents),
        "method": method,
        "amount": money.to_wire(amount_cents),
        "tax": money.to_wire(tax_cents),
        "fee": money.to_wire(fee(method, amount_cents)),
        "refunded": money.to_wire(refunded_cents),
        "taken_at": taken_at,
    }
