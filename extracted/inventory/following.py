"""Following what others do with the stock: the effects of events. None of them is told on."""

import sqlite3
from http import HTTPStatus

from extracted.inventory.events import Body, StockChanged
from extracted.inventory.problems import Refused


def follow(db: sqlite3.Connection, body: Body) -> None:
    """Do here what was done elsewhere. Raises Refused: 409 for what cannot be after what is known here.

    Changes are added up, for sums do not depend on the order, nor on what is done here meanwhile.
    """
    if isinstance(body, StockChanged):
        _add(db, body)


def _add(db: sqlite3.Connection, changed: StockChanged) -> None:
    on_hand, reserved = db.execute(
        """INSERT INTO levels (sku, code, on_hand, reserved) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET (on_hand, reserved) = (on_hand + excluded.on_hand, reserved + excluded.reserved)
        RETURNING on_hand, reserved""",
        (changed.sku, changed.warehouse, changed.change.on_hand, changed.change.reserved),
    ).fetchone()
    if not 0 <= reserved <= on_hand:
        detail = f"{changed.sku} in {changed.warehouse} would have {on_hand} with {reserved} of them promised"
        raise Refused(HTTPStatus.CONFLICT, detail)
