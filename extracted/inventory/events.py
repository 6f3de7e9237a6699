"""The events that this service understands: reading them, and saying what is wrong with them. Pure.

    {"id": "5f...", "source": "shop:1f...", "sequence": 97, "type": "StockChanged", "version": 2, "key": "TEA-001",
     "at": "2026-04-01T12:00:00.000Z", "data": {...}}

Members that are not known are left alone, so that there may be more of them one day without a new version.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from extracted.inventory import money
from extracted.inventory.problems import Malformed, UnknownEvent

MAX_ID = 2**63 - 1
MAX_COUNT = 10**9

_ID = re.compile(r"[0-9a-f]{32}")
_SOURCE = re.compile(r"[a-z]{1,32}:[0-9a-f]{16}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z")
_SKU = re.compile(r"[A-Z0-9-]{1,32}")
_WAREHOUSE = re.compile(r"[A-Z]{1,8}")
_WORD = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")  # half a surrogate pair is no character


@dataclass(frozen=True, slots=True)
class Level:
    """How much lies somewhere and how much of it is promised, or by how much that has changed."""

    on_hand: int
    reserved: int


@dataclass(frozen=True, slots=True)
class StockChanged:
    """A level has changed. Version 1 says neither why nor what it is `now`."""

    sku: str
    warehouse: str
    reason: str
    change: Level
    now: Level | None


@dataclass(frozen=True, slots=True)
class PriceChanged:
    """A product costs something else now, or is new."""

    sku: str
    name: str
    category: str
    price_cents: int
    tax_percent: int


Body = StockChanged | PriceChanged


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody tells: `source` is who, `sequence` counts what they tell, and `told` is all of it, as JSON."""

    id: str
    source: str
    sequence: int
    at: str
    body: Body
    told: str = field(compare=False, repr=False)


def read(data: dict[str, Any]) -> Event:
    """Read an event of any version that is known; older ones become the newest. Raises Malformed, UnknownEvent."""
    return _event(data, _told(data))


def parse(told: str) -> Event:
    """Read an event that is JSON, as `told` is. Raises Malformed, UnknownEvent."""
    try:
        data = json.loads(told, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise Malformed("the event is not JSON") from error
    if not isinstance(data, dict):
        raise Malformed("the event must be an object")
    return _event(data, told)


def _event(data: dict[str, Any], told: str) -> Event:
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
        told=told,
    )


def _stock_1(data: dict[str, Any]) -> StockChanged:
    return _stock(data, "unknown", _level(data, -MAX_COUNT), None)


def _stock_2(data: dict[str, Any]) -> StockChanged:
    reason = _text(data, "reason", _WORD, "a word")
    change, now = data.get("change"), data.get("level")
    if not isinstance(change, dict) or not isinstance(now, dict):
        raise Malformed("change and level must be objects")
    return _stock(data, reason, _level(change, -MAX_COUNT), _level(now, 0))


def _stock(data: dict[str, Any], reason: str, change: Level, now: Level | None) -> StockChanged:
    sku = _text(data, "sku", _SKU, "a stock-keeping unit such as TEA-001")
    return StockChanged(sku, _text(data, "warehouse", _WAREHOUSE, "a code such as LEJ"), reason, change, now)


def _level(data: dict[str, Any], least: int) -> Level:
    return Level(_whole(data, "on_hand", least, MAX_COUNT), _whole(data, "reserved", least, MAX_COUNT))


def _price(data: dict[str, Any]) -> PriceChanged:
    try:
        price_cents = money.from_wire(data.get("price"))
    except ValueError as error:
        raise Malformed(f"price {error}") from error
    return PriceChanged(
        sku=_text(data, "sku", _SKU, "a stock-keeping unit such as TEA-001"),
        name=_text(data, "name", _WORD, "a name"),
        category=_text(data, "category", _WORD, "a word"),
        price_cents=price_cents,
        tax_percent=_whole(data, "tax_percent", 0, 100),
    )


def _told(data: dict[str, Any]) -> str:
    try:
        return json.dumps(data, default=_number)
    except RecursionError as error:
        raise Malformed("the event is nested too deeply") from error


def _number(fraction: object) -> float:
    """Fractions come as Decimal. What a double cannot hold is better not told (RFC 8259 section 6)."""
    assert isinstance(fraction, Decimal)
    number = float(fraction)
    if math.isinf(number):
        raise Malformed("a number is too large")
    return number


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


_READERS: Mapping[tuple[str, int], Callable[[dict[str, Any]], Body]] = {
    ("StockChanged", 1): _stock_1,
    ("StockChanged", 2): _stock_2,
    ("PriceChanged", 1): _price,
}
#: The events that are understood here.
TYPES = tuple(sorted({kind for kind, _ in _READERS}))
