"""What a caller asks of payments: reading it, and saying what is wrong with it.

    {"payment_id": 801, "order_id": 10801, "account_id": 7, "method": "card", "card": "tok_visa",
     "amount": {"amount": 12.9, "currency": "EUR"}, "tax": {"amount": 0.84, "currency": "EUR"},
     "taken_at": "2019-04-01T12:00:00Z"}

asks to take a payment; the other method is `balance`, without a card. `{"order_id": 10801}` asks to give one back.
"""

import re
from dataclasses import dataclass
from typing import Any

from extracted.payments import money
from extracted.payments.problems import Malformed

MAX_ID = 2**63 - 1

_CARD = re.compile(r"tok_[a-z0-9_]{1,40}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True)
class Charge:
    """A payment to take. Who asks has given it its number, and vouches for the account and the order."""

    payment_id: int
    order_id: int
    account_id: int
    method: str
    card: str | None
    amount_cents: int
    tax_cents: int
    taken_at: str


def charge(data: dict[str, Any]) -> Charge:
    """Read the body of `POST /payments`. Raises Malformed, naming the member that is wrong."""
    method = data.get("method")
    if method not in ("card", "balance"):
        raise Malformed('method must be "card" or "balance"')
    amount_cents, tax_cents = _cents(data, "amount", least=1), _cents(data, "tax", least=0)
    if tax_cents > amount_cents:
        raise Malformed("tax must be no more than amount, which includes it")
    return Charge(
        payment_id=_id(data, "payment_id"),
        order_id=_id(data, "order_id"),
        account_id=_id(data, "account_id"),
        method=method,
        card=_text(data, "card", _CARD, "a card token such as tok_visa") if method == "card" else None,
        amount_cents=amount_cents,
        tax_cents=tax_cents,
        taken_at=_text(data, "taken_at", _TIME, "a time such as 2019-04-01T12:00:00Z"),
    )


def order_of(data: dict[str, Any]) -> int:
    """Read the body of a refund: the order that the payment is for. Raises Malformed."""
    return _id(data, "order_id")


def _id(data: dict[str, Any], name: str) -> int:
    number = data.get(name)
    if type(number) is not int or not 1 <= number <= MAX_ID:  # bool is an int too, and is not meant
        raise Malformed(f"{name} must be a whole number from 1 to {MAX_ID}")
    return number


def _cents(data: dict[str, Any], name: str, least: int) -> int:
    try:
        cents = money.from_wire(data.get(name))
    except ValueError as error:
        raise Malformed(f"{name} {error}") from error
    if cents < least:
        raise Malformed(f"{name} must be {money.to_wire(least)['amount']} or more")
    return cents


def _text(data: dict[str, Any], name: str, form: re.Pattern[str], what: str) -> str:
    text = data.get(name)
    if not isinstance(text, str) or not form.fullmatch(text):
        raise Malformed(f"{name} must be {what}")
    return text
