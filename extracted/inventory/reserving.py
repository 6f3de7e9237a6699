"""Reservations: what an order has set aside, each change within a transaction of the caller.

A reservation is `held`, then `confirmed` (sold) or `released` (put back). Goods that are sold stay among the
reserved ones, as in the monolith, until somebody ships them. A reservation that is released before it was made is
never made: who asks for it need not know whether an earlier request, whose answer was lost, has arrived or is
still to come.
"""

import sqlite3
from collections import Counter
from http import HTTPStatus

from extracted.inventory.idempotency import Result
from extracted.inventory.problems import Refused
from extracted.inventory.requests import Item, Reservation
from shop_events import outbox


def find(db: sqlite3.Connection, order_id: int) -> dict[str, object] | None:
    """Show the reservation of an order as the API does."""
    row = db.execute("SELECT state FROM reservations WHERE order_id = ?", (order_id,)).fetchone()
    if row is None:
        return None
    lines = db.execute(
        """SELECT sku, code, quantity FROM reserved_lines JOIN warehouses USING (code)
        WHERE order_id = ? ORDER BY sku, picking_rank""",
        (order_id,),
    )
    return {
        "order_id": order_id,
        "state": row[0],
        "lines": [{"sku": sku, "warehouse": code, "quantity": quantity} for sku, code, quantity in lines],
    }


def reserve(db: sqlite3.Connection, wanted: Reservation) -> Result:
    """Set goods aside; what is set aside already is shown. Raises Refused: 409 when there is too little."""
    state = _state(db, wanted.order_id)
    if state == "released":
        raise Refused(HTTPStatus.CONFLICT, f"the reservation for order {wanted.order_id} was released")
    if state is not None:
        _check_same(db, wanted)
        return _shown(db, wanted.order_id, HTTPStatus.CREATED)
    db.execute("INSERT INTO reservations (order_id, state) VALUES (?, 'held')", (wanted.order_id,))
    for item in wanted.items:
        _set_aside(db, wanted.order_id, item)
    return _shown(db, wanted.order_id, HTTPStatus.CREATED)


def confirm(db: sqlite3.Connection, order_id: int) -> Result:
    """Sell what is set aside. Raises Refused: 409 when nothing is, or not any more."""
    match _state(db, order_id):
        case None:
            # Not 404, which may as well come from somebody who does not know this path.
            raise Refused(HTTPStatus.CONFLICT, f"nothing is reserved for order {order_id}")
        case "released":
            raise Refused(HTTPStatus.CONFLICT, f"the reservation for order {order_id} was released")
    _become(db, order_id, "confirmed")
    return _shown(db, order_id, HTTPStatus.OK)


def release(db: sqlite3.Connection, order_id: int) -> Result:
    """Put what is set aside back, sold or not, and keep it from being set aside later."""
    if _state(db, order_id) in ("held", "confirmed"):
        lines = db.execute(
            "SELECT sku, code, quantity FROM reserved_lines WHERE order_id = ?", (order_id,)
        ).fetchall()
        for sku, code, quantity in lines:
            _promise(db, sku, code, -quantity)
    _become(db, order_id, "released")
    return _shown(db, order_id, HTTPStatus.OK)


def _state(db: sqlite3.Connection, order_id: int) -> str | None:
    row = db.execute("SELECT state FROM reservations WHERE order_id = ?", (order_id,)).fetchone()
    return row[0] if row else None


def _become(db: sqlite3.Connection, order_id: int, state: str) -> None:
    db.execute(
        """INSERT INTO reservations (order_id, state) VALUES (?, ?)
        ON CONFLICT DO UPDATE SET state = excluded.state""",
        (order_id, state),
    )


def _check_same(db: sqlite3.Connection, wanted: Reservation) -> None:
    held = db.execute(
        "SELECT sku, sum(quantity) FROM reserved_lines WHERE order_id = ? GROUP BY sku", (wanted.order_id,)
    )
    asked: Counter[str] = Counter()
    for item in wanted.items:
        asked[item.sku] += item.quantity
    if dict(held) != dict(asked):
        raise Refused(HTTPStatus.CONFLICT, f"order {wanted.order_id} has set other goods aside")


def _set_aside(db: sqlite3.Connection, order_id: int, item: Item) -> None:
    """Promise one item, warehouse by warehouse in picking order."""
    missing = item.quantity
    free = db.execute(
        """SELECT code, on_hand - reserved FROM levels JOIN warehouses USING (code)
        WHERE sku = ? AND on_hand > reserved ORDER BY picking_rank""",
        (item.sku,),
    ).fetchall()
    for code, available in free:
        taken = min(missing, available)
        _promise(db, item.sku, code, taken)
        db.execute(
            """INSERT INTO reserved_lines (order_id, sku, code, quantity) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity""",
            (order_id, item.sku, code, taken),
        )
        missing -= taken
        if not missing:
            return
    available = item.quantity - missing
    detail = f"{item.quantity} of {item.sku} were ordered, {available} are available"
    raise Refused(HTTPStatus.CONFLICT, detail)


def _promise(db: sqlite3.Connection, sku: str, code: str, quantity: int) -> None:
    """Add to what is promised of a level; the one place where the stock changes."""
    on_hand, reserved = db.execute(
        "UPDATE levels SET reserved = reserved + ? WHERE sku = ? AND code = ? RETURNING on_hand, reserved",
        (quantity, sku, code),
    ).fetchone()
    data = {
        "sku": sku,
        "warehouse": code,
        "reason": "reserved" if quantity > 0 else "released",
        "change": {"on_hand": 0, "reserved": quantity},
        "level": {"on_hand": on_hand, "reserved": reserved},
    }
    outbox.write(db, "StockChanged", 2, sku, data, by="inventory")


def _shown(db: sqlite3.Connection, order_id: int, status: HTTPStatus) -> Result:
    shown = find(db, order_id)
    assert shown is not None
    return Result(status, shown)
