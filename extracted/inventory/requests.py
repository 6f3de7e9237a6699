"""What a caller asks of the stock: reading it, and saying what is wrong with it.

    {"order_id": 10801, "items": [{"sku": "TEA-001", "quantity": 2}]}

asks to set the goods of an order aside. To confirm or to release them takes an empty object.
"""

import re
from dataclasses import dataclass
from typing import Any

from extracted.inventory.problems import Malformed

MAX_ID = 2**63 - 1
MAX_ITEMS = 50
MAX_QUANTITY = 1_000

_SKU = re.compile(r"[A-Z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class Item:
    """How many of which product."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an order wants set aside. A product may come up in several items."""

    order_id: int
    items: tuple[Item, ...]


def reservation(data: dict[str, Any]) -> Reservation:
    """Read the body of `POST /reservations`. Raises Malformed, naming the member that is wrong."""
    items = data.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ITEMS:
        raise Malformed(f"items must be a list of 1 to {MAX_ITEMS} items")
    return Reservation(
        order_id=_whole_number(data.get("order_id"), "order_id", MAX_ID),
        items=tuple(_item(item, f"items[{index}]") for index, item in enumerate(items)),
    )


def _item(data: object, place: str) -> Item:
    if not isinstance(data, dict):
        raise Malformed(f"{place} must be an object")
    sku = data.get("sku")
    if not isinstance(sku, str) or not _SKU.fullmatch(sku):
        raise Malformed(f"{place}.sku must be a stock-keeping unit such as TEA-001")
    return Item(sku, _whole_number(data.get("quantity"), f"{place}.quantity", MAX_QUANTITY))


def _whole_number(data: object, place: str, most: int) -> int:
    if type(data) is not int or not 1 <= data <= most:  # bool is an int too, and is not meant
        raise Malformed(f"{place} must be a whole number from 1 to {most}")
    return data
