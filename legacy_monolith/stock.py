"""Stock: how much of each product lies in which warehouse, and how much of it is promised."""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from legacy_monolith import money
from legacy_monolith.errors import Contradiction, OutOfStock
from shop_events import outbox

SCHEMA = (
    """CREATE TABLE warehouses (
        code TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        picking_rank INTEGER NOT NULL UNIQUE
    ) WITHOUT ROWID""",
    """CREATE TABLE stock_items (
        sku TEXT PRIMARY KEY,
        unit_cost_cents INTEGER NOT NULL CHECK (unit_cost_cents >= 0),
        reorder_at INTEGER NOT NULL CHECK (reorder_at >= 0)
    ) WITHOUT ROWID""",
    """CREATE TABLE stock_levels (
        sku TEXT NOT NULL REFERENCES stock_items,
        warehouse TEXT NOT NULL REFERENCES warehouses,
        on_hand INTEGER NOT NULL CHECK (on_hand >= 0),
        reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND on_hand),
        PRIMARY KEY (sku, warehouse)
    ) WITHOUT ROWID""",
)

LATER_SCHEMA = (
    # What is reserved for orders that are still being placed: it can be put back.
    """CREATE TABLE IF NOT EXISTS stock_held (
        order_id INTEGER NOT NULL,
        sku TEXT NOT NULL,
        warehouse TEXT NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        PRIMARY KEY (order_id, sku, warehouse)
    ) WITHOUT ROWID""",
)

# Warehouses are listed in the order in which goods are picked from them.
_LEVELS = """
    SELECT sku, unit_cost_cents, reorder_at, code, name, on_hand, reserved
    FROM stock_items JOIN stock_levels USING (sku) JOIN warehouses ON code = warehouse
    {where} ORDER BY sku, picking_rank"""
_ONE = _LEVELS.format(where="WHERE sku = ?")
_ALL = _LEVELS.format(where="")


def of(db: sqlite3.Connection, sku: str) -> dict[str, object] | None:
    """Show the stock of one product as the API does."""
    return next(_shown(db.execute(_ONE, (sku,))), None)


def every(db: sqlite3.Connection, below: int | None = None) -> list[dict[str, object]]:
    """Show the stock of all products by sku, or of those with fewer than `below` left to sell."""
    return list(_shown(db.execute(_ALL), below))


def reserve(db: sqlite3.Connection, order_id: int, sku: str, quantity: int) -> None:
    """Promise some of a product to an order, warehouse by warehouse in picking order. Raises OutOfStock."""
    missing = quantity
    free = db.execute(
        """SELECT warehouse, on_hand - reserved FROM stock_levels JOIN warehouses ON code = warehouse
        WHERE sku = ? AND on_hand > reserved ORDER BY picking_rank""",
        (sku,),
    ).fetchall()
    for warehouse, available in free:
        taken = min(missing, available)
        _promise(db, sku, warehouse, taken)
        db.execute(
            """INSERT INTO stock_held (order_id, sku, warehouse, quantity) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity""",
            (order_id, sku, warehouse, taken),
        )
        missing -= taken
        if not missing:
            return
    raise OutOfStock(f"{quantity} of {sku} were ordered, {quantity - missing} are available")


def confirm(db: sqlite3.Connection, order_id: int) -> None:
    """Sell what is reserved for an order: it stays promised, and cannot be released any more."""
    db.execute("DELETE FROM stock_held WHERE order_id = ?", (order_id,))


def release(db: sqlite3.Connection, order_id: int) -> None:
    """Put what is reserved for an order, if anything, back among what can be sold."""
    held = db.execute(
        "DELETE FROM stock_held WHERE order_id = ? RETURNING sku, warehouse, quantity", (order_id,)
    ).fetchall()
    for sku, warehouse, quantity in held:
        _promise(db, sku, warehouse, -quantity)


def open_warehouse(db: sqlite3.Connection, code: str, name: str, picking_rank: int) -> None:
    """Add a warehouse; goods are picked from the lowest rank first."""
    db.execute(
        "INSERT INTO warehouses (code, name, picking_rank) VALUES (?, ?, ?)", (code, name, picking_rank)
    )


def add_item(db: sqlite3.Connection, sku: str, unit_cost_cents: int, reorder_at: int) -> None:
    """Begin to keep a product in stock."""
    db.execute(
        "INSERT INTO stock_items (sku, unit_cost_cents, reorder_at) VALUES (?, ?, ?)",
        (sku, unit_cost_cents, reorder_at),
    )


def receive(db: sqlite3.Connection, sku: str, warehouse: str, quantity: int) -> None:
    """Put newly delivered goods on the shelf."""
    db.execute(
        """INSERT INTO stock_levels (sku, warehouse, on_hand) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET on_hand = on_hand + excluded.on_hand""",
        (sku, warehouse, quantity),
    )
    _tell(db, sku, warehouse, "received", on_hand=quantity)


def follow(db: sqlite3.Connection, sku: str, warehouse: str, on_hand: int, reserved: int) -> None:
    """Do to a level what a service has done to it; that is not told on. Raises Contradiction.

    Changes are added up, for sums do not depend on the order, nor on what is done here meanwhile.
    """
    try:
        changed = db.execute(
            """UPDATE stock_levels SET on_hand = on_hand + ?, reserved = reserved + ?
            WHERE sku = ? AND warehouse = ?""",
            (on_hand, reserved, sku, warehouse),
        ).rowcount
    except sqlite3.IntegrityError as error:
        raise Contradiction(f"there is too little of {sku} in {warehouse} for that") from error
    if not changed:
        raise Contradiction(f"there is no {sku} in {warehouse}")


def tell_everything(db: sqlite3.Connection) -> None:
    """Tell every level, at the beginning of the history."""
    rows = db.execute("SELECT sku, warehouse, on_hand, reserved FROM stock_levels ORDER BY sku, warehouse")
    for sku, warehouse, on_hand, reserved in rows.fetchall():
        _tell(db, sku, warehouse, "opening", on_hand=on_hand, reserved=reserved)


def _promise(db: sqlite3.Connection, sku: str, warehouse: str, quantity: int) -> None:
    """Add to what is promised of a level; the one place where an order changes the stock."""
    db.execute(
        "UPDATE stock_levels SET reserved = reserved + ? WHERE sku = ? AND warehouse = ?",
        (quantity, sku, warehouse),
    )
    _tell(db, sku, warehouse, "reserved" if quantity > 0 else "released", reserved=quantity)


def _tell(
    db: sqlite3.Connection, sku: str, warehouse: str, reason: str, *, on_hand: int = 0, reserved: int = 0
) -> None:
    """Tell by how much a level has changed, and what it is now; the one place where that is told."""
    level = db.execute(
        "SELECT on_hand, reserved FROM stock_levels WHERE sku = ? AND warehouse = ?", (sku, warehouse)
    ).fetchone()
    data = {
        "sku": sku,
        "warehouse": warehouse,
        "reason": reason,
        "change": {"on_hand": on_hand, "reserved": reserved},
        "level": {"on_hand": level[0], "reserved": level[1]},
    }
    outbox.write(db, "StockChanged", 2, sku, data)


def _shown(rows: Iterable[tuple[Any, ...]], below: int | None = None) -> Iterator[dict[str, object]]:
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
            "unit_cost": money.to_wire(unit_cost_cents),
            "warehouses": [
                {"code": code, "name": name, "on_hand": held, "reserved": promised}
                for _, _, _, code, name, held, promised in levels
            ],
        }
