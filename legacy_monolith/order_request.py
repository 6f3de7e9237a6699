"""What a caller asks for in `POST /orders`: reading it, and saying what is wrong with it.

    {"account_id": 7,
     "items": [{"sku": "TEA-001", "quantity": 2}],
     "payment": {"method": "card", "card": "tok_visa"}}

The other way to pay is `{"method": "balance"}`.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from legacy_monolith.errors import Malformed
from legacy_monolith.payments import Method

MAX_ITEMS = 50
MAX_QUANTITY = 1_000
MAX_ID = 2**63 - 1

_SKU = re.compile(r"[A-Z0-9-]{1,32}")
_CARD = re.compile(r"tok_[a-z0-9_]{1,40}")


@dataclass(frozen=True, slots=True)
class Item:
    """How many of which product."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A well-formed wish; whether it can be granted is for `orders.place` to find out."""

    account_id: int
    items: tuple[Item, ...]
    method: Method
    card: str | None = None


def parse(body: bytes) -> OrderRequest:
    """Read the body of `POST /orders`. Raises Malformed, naming the member that is wrong."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    wanted = _object(data, "the body")
    items = wanted.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ITEMS:
        raise Malformed(f"items must be a list of 1 to {MAX_ITEMS} items")
    method, card = _payment(wanted.get("payment"))
    return OrderRequest(
        account_id=_whole_number(wanted.get("account_id"), "account_id", MAX_ID),
        items=tuple(_item(item, f"items[{index}]") for index, item in enumerate(items)),
        method=method,
        card=card,
    )


def _item(data: object, place: str) -> Item:
    item = _object(data, place)
    return Item(
        sku=_text(item.get("sku"), f"{place}.sku", _SKU, "a stock-keeping unit such as TEA-001"),
        quantity=_whole_number(item.get("quantity"), f"{place}.quantity", MAX_QUANTITY),
    )


def _payment(data: object) -> tuple[Method, str | None]:
    payment = _object(data, "payment")
    match payment.get("method"):
        case "balance":
            return "balance", None
        case "card":
            return "card", _text(payment.get("card"), "payment.card", _CARD, "a card token such as tok_visa")
    raise Malformed('payment.method must be "card" or "balance"')


def _object(data: object, place: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Malformed(f"{place} must be an object")
    return data


def _text(data: object, place: str, form: re.Pattern[str], what: str) -> str:
    if not isinstance(data, str) or not form.fullmatch(data):
        raise Malformed(f"{place} must be {what}")
    return data


def _whole_number(data: object, place: str, most: int) -> int:
    if type(data) is not int or not 1 <= data <= most:  # bool is an int too, and is not meant
        raise Malformed(f"{place} must be a whole number from 1 to {most}")
    return data
