"""What people have said of ramps: paused, or going on. Kept in `orders.json` in the state folder."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path

from strangler.cutover import ledger
from strangler.cutover.errors import BadValue, UnknownRoute
from strangler.cutover.file import check_why, read_table, stamp
from strangler.cutover.ledger import Entry
from strangler.cutover.lock import held
from strangler.cutover.ramp import Order
from strangler.cutover.whole import read_kept, write_kept

NAME = "orders.json"

_Orders = dict[str, Order]


def read_orders(state_dir: Path) -> _Orders:
    """Route name -> the last order. Raises CannotWrite when the file cannot be understood."""
    return read_kept(state_dir / NAME, _Orders) or {}


def set_order(path: Path, state_dir: Path, route: str, *, paused: bool, who: str, why: str) -> Entry:
    """Pause the ramp of a route, or let it go on. In the ledger too.

    Raises UnknownRoute, BadValue for a route without a ramp, CannotWrite; Faults when routes.yaml is faulty.
    """
    check_why(why)
    with held(state_dir, path.resolve().parent):
        table, data = read_table(path)
        known = table.route(route)
        if known is None:
            raise UnknownRoute(route, (each.name for each in table.routes))
        if known.ramp is None:
            raise BadValue(f"route {route} has no ramp: write `ramp:` under it in routes.yaml")
        orders = read_orders(state_dir)
        before = orders.get(route)
        orders = {**orders, route: Order(paused, time.time(), who, why)}
        write_kept(state_dir / NAME, orders)
        digest = hashlib.sha256(data).hexdigest()
        entry = Entry(
            at=stamp(lambda: datetime.now(UTC)),
            who=who,
            route=route,
            key="ramp",
            from_=_said(before),
            to=_said(orders[route]),
            why=why,
            file_before=digest,
            file_after=digest,
            evidence="",
        )
        return ledger.append(state_dir, entry)


def _said(order: Order | None) -> str:
    return "paused" if order is not None and order.paused else "running"
