"""What people have said of ramps: paused, or going on. Kept in `orders.json` in the state folder."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path

from strangler.cutover import ledger
from strangler.cutover.errors import BadValue, CannotWrite, UnknownRoute
from strangler.cutover.file import change, check_why, read_table, stamp
from strangler.cutover.ledger import Entry
from strangler.cutover.lock import held
from strangler.cutover.ramp import Order, next_step
from strangler.cutover.whole import read_kept, write_kept
from strangler.routes import Ramp, Route, Table, format_percent

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
        _ramp_of(table, route)
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


def skip_gate(
    path: Path, state_dir: Path, route: str, *, who: str, why: str, evidence: str = ""
) -> Entry | None:
    """Take the next step of a ramp without its gate. None when there is no further step.

    Raises UnknownRoute, BadValue for a route without a ramp, CannotWrite, also when its share has changed just now;
    Faults when routes.yaml is faulty.
    """
    known, ramp = _ramp_of(read_table(path, state_dir)[0], route)
    above = next_step(ramp, known.share)
    if above is None:
        return None
    entry = change(
        *(path, state_dir, route, "share", format_percent(above), who),
        "skipped the gate" + (f": {why}" if why else ""),
        evidence=evidence,
        only_if=lambda share: share == known.share,  # nobody asked to skip a rollback
    )
    if entry is None:
        raise CannotWrite(f"{route} has just left {format_percent(known.share)}: look at it again")
    return entry


def _ramp_of(table: Table, route: str) -> tuple[Route, Ramp]:
    known = table.route(route)
    if known is None:
        raise UnknownRoute(route, (each.name for each in table.routes))
    if known.ramp is None:
        raise BadValue(f"route {route} has no ramp: write `ramp:` under it in routes.yaml")
    return known, known.ramp


def _said(order: Order | None) -> str:
    return "paused" if order is not None and order.paused else "running"
