"""Events for the catalogue of inventory, and how it looks inside."""

import sqlite3
from decimal import Decimal
from typing import Any

from extracted.inventory import catalogue, events, handling
from shop_events import outbox
from shop_events.transactions import transaction
from tests.support.shop_events import event

SOURCE = "shop:0123456789abcdef"


def price(number: int, sku: str = "TEA-001", amount: str = "12.9", **change: object) -> dict[str, Any]:
    product = {
        "sku": sku,
        "name": "Sencha",
        "category": "tea",
        "price": {"amount": Decimal(amount), "currency": "EUR"},
        "tax_percent": 7,
    }
    return event("PriceChanged", 1, product | change, number)


def stock(number: int, change: int, sku: str = "TEA-001", version: int = 2) -> dict[str, Any]:
    """Goods that came, or (`change` below zero) were promised."""
    by = {"on_hand": max(change, 0), "reserved": max(-change, 0)}
    if version == 1:
        return event("StockChanged", 1, {"sku": sku, "warehouse": "LEJ", **by}, number)
    level = {"on_hand": 10**6, "reserved": 0}
    data = {"sku": sku, "warehouse": "LEJ", "reason": "opening", "change": by, "level": level}
    return event("StockChanged", 2, data, number)


def imported(db: sqlite3.Connection, through: int = 0, told: int = 0) -> None:
    """As after an import that has read events up to a number, `told` of them for this service."""
    with transaction(db):
        handling.note_import(db, SOURCE, through, told)


def take(db: sqlite3.Connection, *told: dict[str, Any]) -> list[str]:
    return [handling.handle(db, events.read(each)) for each in told]


def do(db: sqlite3.Connection, change: int, sku: str = "TEA-001") -> None:
    """Tell something of our own."""
    with transaction(db):
        outbox.write(db, "StockChanged", 2, sku, stock(1, change, sku)["data"], by="inventory")


def content(db: sqlite3.Connection) -> tuple[list[Any], list[Any], int]:
    """All rows and words, and how many events they are from."""
    return (
        db.execute("SELECT * FROM main.catalogue ORDER BY sku").fetchall(),
        db.execute("SELECT * FROM main.catalogue_words ORDER BY word, sku").fetchall(),
        catalogue.state(db).events,
    )
