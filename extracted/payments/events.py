"""The events that this service understands: reading them, and saying what is wrong with them. Pure.

    {"id": "5f...", "source": "shop:1f...", "sequence": 97, "type": "PaymentTaken", "version": 1, "key": "801",
     "at": "2026-04-01T12:00:00.000Z", "data": {...}}

Members that are not known are left alone, so that there may be more of them one day without a new version.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from extracted.payments import money
from extracted.payments.problems import Malformed, UnknownEvent

MAX_ID = 2**63 - 1
MAX_COUNT = 10**9

_ID = re.compile(r"[0-9a-f]{32}")
_SOURCE = re.compile(r"[a-z]{1,32}:[0-9a-f]{16}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z")
_METHOD = re.compile(r"card|balance")


@dataclass(frozen=True, slots=True)
class PaymentTaken:
    """Somebody else has taken a payment."""

    payment_id: int
    account_id: int
    order_id: int
    method: str
    amount_cents: int
    tax_cents: int
    taken_at: str


@dataclass(frozen=True, slots=True)
class PaymentRefunded:
    """Of a payment, so much has been given back in all."""

    payment_id: int
    refunded_cents: int


Body = PaymentTaken | PaymentRefunded


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody tells: `source` is who, and `sequence` counts what they tell."""

    id: str
    source: str
    sequence: int
    at: str
    body: Body


def read(data: dict[str, Any]) -> Event:
    """Read an event of any version that is known; older ones become the newest. Raises Malformed, UnknownEvent."""
    kind, version = data.get("type"), data.get("version")
    if not isinstance(kind, str) or type(version) is not int:
        raise Malformed("type must be a name, and version a number")
    reader = _READERS.get((kind, version))
    if reader is None:
        raise UnknownEvent(f"{kind[:64]} {version} is not known here")
    inner = data.get("data")
    if not isinstance(inner, dict):
        raise Malformed("data must be an object")
    return Event(
        id=_text(data, "id", _ID, "32 hexadecimal digits"),
        source=_text(data, "source", _SOURCE, "a name and 16 hexadecimal digits"),
        sequence=_whole(data, "sequence", 1),
        at=_text(data, "at", _TIME, "a time such as 2026-04-01T12:00:00.000Z"),
        body=reader(inner),
    )


def _taken(data: dict[str, Any]) -> PaymentTaken:
    amount_cents, tax_cents = _cents(data, "amount"), _cents(data, "tax")
    if not 0 <= tax_cents <= amount_cents or not amount_cents:
        raise Malformed("amount must be more than nothing, and tax no more than amount")
    return PaymentTaken(
        payment_id=_whole(data, "payment_id", 1),
        account_id=_whole(data, "account_id", 1),
        order_id=_whole(data, "order_id", 1),
        method=_text(data, "method", _METHOD, "card or balance"),
        amount_cents=amount_cents,
        tax_cents=tax_cents,
        taken_at=_text(data, "taken_at", _TIME, "a time such as 2026-04-01T12:00:00Z"),
    )


def _refunded(data: dict[str, Any]) -> PaymentRefunded:
    return PaymentRefunded(_whole(data, "payment_id", 1), _cents(data, "refunded"))


def _whole(data: dict[str, Any], name: str, least: int, most: int = MAX_ID) -> int:
    number = data.get(name)
    if type(number) is not int or not least <= number <= most:  # bool is an int too, and is not meant
        raise Malformed(f"{name} must be a whole number from {least} to {most}")
    return number


def _text(data: dict[str, Any], name: str, form: re.Pattern[str], what: str) -> str:
    text = data.get(name)
    if not isinstance(text, str) or not form.fullmatch(text):
        raise Malformed(f"{name} must be {what}")
    return text


def _cents(data: dict[str, Any], name: str) -> int:
    try:
        return money.from_wire(data.get(name))
    except ValueError as error:
        raise Malformed(f"{name} {error}") from error


_READERS: Mapping[tuple[str, int], Callable[[dict[str, Any]], Body]] = {
    ("PaymentTaken", 1): _taken,
    ("PaymentRefunded", 1): _refunded,
}
