"""Following what others do with payments: the effects of events. None of them is told on."""

import sqlite3
from http import HTTPStatus

from extracted.payments.events import Body, PaymentRefunded, PaymentTaken
from extracted.payments.problems import Refused


def follow(db: sqlite3.Connection, body: Body) -> None:
    """Do here what was done elsewhere. Raises Refused: 409 for what cannot be after what is known here."""
    match body:
        case PaymentTaken():
            _take(db, body)
        case PaymentRefunded():
            _give_back(db, body)


def _take(db: sqlite3.Connection, taken: PaymentTaken) -> None:
    row = (
        taken.payment_id,
        taken.account_id,
        taken.order_id,
        taken.method,
        taken.amount_cents,
        taken.tax_cents,
    )
    known = db.execute(
        """SELECT payment_id, account_id, order_id, method, amount_cents, tax_cents FROM payments
        WHERE payment_id = ? OR order_id = ?""",
        (taken.payment_id, taken.order_id),
    ).fetchall()
    if known and known != [row]:
        detail = f"there is another payment {taken.payment_id}, or one for order {taken.order_id}"
        raise Refused(HTTPStatus.CONFLICT, detail)
    if known:
        return
    db.execute("INSERT INTO accounts (account_id) VALUES (?) ON CONFLICT DO NOTHING", (taken.account_id,))
    db.execute(
        """INSERT INTO payments
        (payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at)
        VALUES (?, ?, ?, ?, ?, ?, 0, ?)""",
        (*row, taken.taken_at),
    )


def _give_back(db: sqlite3.Connection, refunded: PaymentRefunded) -> None:
    """What is given back only grows, so an event that comes late takes nothing back."""
    changed = db.execute(
        """UPDATE payments SET refunded_cents = max(refunded_cents, ?1)
        WHERE payment_id = ?2 AND amount_cents >= ?1""",
        (refunded.refunded_cents, refunded.payment_id),
    ).rowcount
    if not changed:
        detail = f"there is no payment {refunded.payment_id} of which {refunded.refunded_cents} cents can be given back"
        raise Refused(HTTPStatus.CONFLICT, detail)
