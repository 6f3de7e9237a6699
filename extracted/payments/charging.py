"""Taking payments and giving them back: the two things this service does, each within a transaction of the caller.

A payment that is given back before it was taken is never taken: who asks for it need not know whether an earlier
request, whose answer was lost, has arrived or is still to come.
"""

import sqlite3
from http import HTTPStatus

from extracted.payments import records
from extracted.payments.idempotency import Result
from extracted.payments.money import to_wire
from extracted.payments.problems import Refused
from extracted.payments.releases import Release
from extracted.payments.requests import Charge
from shop_events import outbox

CARD_LIMIT_CENTS = 1_000_000  # the acquirer refuses more in one payment
DECLINED_CARD = "tok_declined"  # the acquirer's test card that has never any money


def charge(db: sqlite3.Connection, release: Release, wanted: Charge) -> Result:
    """Take a payment; one that is taken already is shown. Raises Refused: 402, or 409 for another payment."""
    _refuse_cancelled(db, wanted)
    if not _is_taken(db, wanted):
        if wanted.method == "card" and (
            wanted.card == DECLINED_CARD or wanted.amount_cents > CARD_LIMIT_CENTS
        ):
            raise Refused(HTTPStatus.PAYMENT_REQUIRED, "the card was declined")
        _take(db, wanted)
    shown = records.payment(db, release, wanted.payment_id)
    assert shown is not None
    return Result(HTTPStatus.CREATED, shown)


def refund(db: sqlite3.Connection, release: Release, payment_id: int, order_id: int) -> Result:
    """Give back all that is left of a payment, or cancel it in advance. Raises Refused: 409 for another order's."""
    row = db.execute("SELECT order_id FROM payments WHERE payment_id = ?", (payment_id,)).fetchone()
    if row is None:
        db.execute(
            "INSERT INTO cancelled (payment_id, order_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (payment_id, order_id),
        )
        body = {"payment_id": payment_id, "order_id": order_id, "status": "cancelled", "refunded": to_wire(0)}
        return Result(HTTPStatus.OK, body)
    if row != (order_id,):
        raise Refused(HTTPStatus.CONFLICT, f"payment {payment_id} is for another order")
    _give_back(db, payment_id)
    shown = records.payment(db, release, payment_id)
    assert shown is not None
    return Result(HTTPStatus.OK, shown)


def _refuse_cancelled(db: sqlite3.Connection, wanted: Charge) -> None:
    if db.execute("SELECT 1 FROM cancelled WHERE payment_id = ?", (wanted.payment_id,)).fetchone():
        raise Refused(HTTPStatus.CONFLICT, f"payment {wanted.payment_id} was cancelled before it was taken")


def _is_taken(db: sqlite3.Connection, wanted: Charge) -> bool:
    found = db.execute(
        """SELECT payment_id, order_id, account_id, method, amount_cents, tax_cents, refunded_cents
        FROM payments WHERE payment_id = ? OR order_id = ?""",
        (wanted.payment_id, wanted.order_id),
    ).fetchall()
    if not found:
        return False
    same = (wanted.payment_id, wanted.order_id, wanted.account_id, wanted.method)
    if found != [(*same, wanted.amount_cents, wanted.tax_cents, 0)]:
        detail = f"there is another payment {wanted.payment_id}, or one for order {wanted.order_id}"
        raise Refused(HTTPStatus.CONFLICT, detail)
    return True


def _take(db: sqlite3.Connection, wanted: Charge) -> None:
    """Write the payment; the one place where money is taken."""
    db.execute("INSERT INTO accounts (account_id) VALUES (?) ON CONFLICT DO NOTHING", (wanted.account_id,))
    db.execute(
        """INSERT INTO payments
        (payment_id, account_id, order_id, method, amount_cents, tax_cents, refunded_cents, taken_at)
        VALUES (?, ?, ?, ?, ?, ?, 0, ?)""",
        (
            *(wanted.payment_id, wanted.account_id, wanted.order_id, wanted.method),
            *(wanted.amount_cents, wanted.tax_cents, wanted.taken_at),
        ),
    )
    data = {
        "payment_id": wanted.payment_id,
        "account_id": wanted.account_id,
        "order_id": wanted.order_id,
        "method": wanted.method,
        "amount": to_wire(wanted.amount_cents),
        "tax": to_wire(wanted.tax_cents),
        "taken_at": wanted.taken_at,
    }
    outbox.write(db, "PaymentTaken", 1, str(wanted.payment_id), data, by="payments")


def _give_back(db: sqlite3.Connection, payment_id: int) -> None:
    """Refund what is left; the one place where money is given back."""
    given = db.execute(
        """UPDATE payments SET refunded_cents = amount_cents
        WHERE payment_id = ? AND refunded_cents < amount_cents RETURNING amount_cents""",
        (payment_id,),
    ).fetchone()
    if given is not None:  # nothing is told of what was given back before
        data = {"payment_id": payment_id, "refunded": to_wire(given[0])}
        outbox.write(db, "PaymentRefunded", 1, str(payment_id), data, by="payments")
