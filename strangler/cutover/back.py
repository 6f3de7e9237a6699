"""Rolling back by hand: to nothing, to a share, or to how it stood after an entry of the ledger."""

from __future__ import annotations

from pathlib import Path

from strangler.cutover import ledger
from strangler.cutover.errors import BadValue, UnknownRoute
from strangler.cutover.file import change, read_table, settled_value
from strangler.cutover.ledger import Entry
from strangler.cutover.past import is_lower, share_after
from strangler.routes import format_percent, parse_percent

#: No ledger is longer than a number of so many digits.
_DIGITS = 12


def roll_back(
    path: Path, state_dir: Path, route: str, to: str | None, *, who: str, why: str, evidence: str = ""
) -> Entry | None:
    """Lower the share of a route: to 0 %, to a share such as `5%`, or, for `12`, to what entry 12 left.

    None when it stands there already, or lower by now. A file that cannot be written does not stop it (see moves.py).
    Raises BadValue, UnknownRoute, CannotWrite; Faults.
    """
    table, _ = read_table(path, state_dir)
    known = table.route(route)
    if known is None:
        raise UnknownRoute(route, (each.name for each in table.routes))
    wanted = _target(state_dir, route, to)
    present = format_percent(known.share)
    if is_lower(present, wanted):
        raise BadValue(
            f"{route} is at {present}: a rollback only lowers a share; `strangler share` raises it"
        )
    return change(
        *(path, state_dir, route, "share", wanted, who, why),
        evidence=evidence,
        keep=True,
        only_if=lambda share: share > parse_percent(wanted),  # a ramp may have gone lower meanwhile
    )


def _target(state_dir: Path, route: str, to: str | None) -> str:
    if to is None:
        return "0%"
    if to.isascii() and to.isdigit() and len(to) <= _DIGITS:
        return share_after(ledger.read(state_dir), route, int(to))
    return settled_value(to)
