"""The stock this service knows, and how its API shows it."""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from extracted.inventory.releases import Release

_SELECT = """
    SELECT sku, unit_cost_cents, reorder_at, code, name, on_hand, reserved
    FROM items JOIN levels USING (sku) JOIN warehouses USING (code)"""


def stock_of(db: sqlite3.Connection, release: Release, sku: str) -> dict[str, object] | None:
    """Show the stock of one product, or nothing when it is not kept."""
    rows = db.execute(f"{_SELECT} WHERE sku = ? ORDER BY {release.warehouse_order}", (sku,))
    return next(_shown(rows, release), None)


def all_stock(db: sqlite3.Connection, release: Release, below: int | None) -> dict[str, object]:
    """Show the stock of all products by sku, or of those with fewer than `below` left to sell."""
    rows = db.execute(f"{_SELECT} ORDER BY sku, {release.warehouse_order}")
    items = list(_shown(rows, release, below))
    return {"count": len(items), "items": items}


def _shown(
    rows: Iterable[tuple[Any, ...]], release: Release, below: int | None = None
) -> Iterator[dict[str, object]]:
    for (sku, unit_cost_cents, reorder_at), group in groupby(rows, key=itemgetter(0, 1, 2)):
        levels = list(group)
        on_hand = sum(level[5] for level in levels)
        reserved = sum(level[6] for level in levels)
        if below is not None and on_hand - reserved >= below:
            continue
        yield {
            "sku": sku,
            "available": on_hand - reserved,
            "on_hand": on_hand,
            "reserved": reserved,
            "reorder_at": reorder_at,
            "unit_cost": release.cost(unit_cost_cents),
            "warehouses": [
                {"code": code, "name": name, "on_hand": held, "reserved": promised}
                for _, _, _, code, name, held, promised in levels
            ],
        }
