"""Rolling back by hand: to nothing, to a share, or to how it stood after an entry of the ledger."""

from __future__ import annotations

from pathlib import Path

from strangler.cutover import ledger
from strangler.cutover.errors import BadValue, UnknownRoute
from strangler.cutover.file import change, check_why, keep_share, read_table, settled_value
from strangler.cutover.ledger import Entry
from strangler.cutover.moves import read_moves
from strangler.cutover.past import is_lower, share_after, standing_at
from strangler.routes import Faults, format_percent, parse_percent

#: No ledger is longer than a number of so many digits.
_DIGITS = 12


def roll_back(
    path: Path, state_dir: Path, route: str, to: str | None, *, who: str, why: str, evidence: str = ""
) -> Entry | None:
    """Lower the share of a route: to 0 %, to a share such as `5%`, or, for `12`, to what entry 12 left.

    None when it stands there already, or lower by now. A file that is faulty or gone, or cannot be written, does not
    stop it (moves.py). Raises BadValue, UnknownRoute, CannotWrite; Faults, when the ledger does not know the route.
    """
    try:
        table, _ = read_table(path, state_dir)
    except Faults as faults:
        return _without_the_file(path, state_dir, route, to, who, why, evidence, faults)
    known = table.route(route)
    if known is None:
        raise UnknownRoute(route, (each.name for each in table.routes))
    wanted = _target(state_dir, route, to)
    _check_lower(route, format_percent(known.share), wanted)
    return change(
        *(path, state_dir, route, "share", wanted, who, why),
        evidence=evidence,
        keep=True,
        only_if=lambda share: share > parse_percent(wanted),  # a ramp may have gone lower meanwhile
    )


def _without_the_file(
    path: Path, state_dir: Path, route: str, to: str | None, who: str, why: str, evidence: str, faults: Faults
) -> Entry | None:
    """Roll back while the file is faulty or gone: from the share that the ledger knows, which is the one that runs."""
    check_why(why)
    told = standing_at(ledger.read(state_dir).entries).get(route)
    if told is None or told.share is None:
        raise faults
    wanted, present = _target(state_dir, route, to), told.share
    if wanted == present:
        return None
    _check_lower(route, present, wanted)
    kept = read_moves(state_dir).get(route)
    in_file = present if kept is None else kept.file
    return keep_share(
        *(path, state_dir, route, parse_percent(present), in_file, wanted, who, why, evidence),
        problem=str(faults).splitlines()[0],
    )


def _check_lower(route: str, present: str, wanted: str) -> None:
    if is_lower(present, wanted):
        raise BadValue(
            f"{route} is at {present}: a rollback only lowers a share; `strangler share` raises it"
        )


def _target(state_dir: Path, route: str, to: str | None) -> str:
    if to is None:
        return "0%"
    if to.isascii() and to.isdigit() and len(to) <= _DIGITS:
        return share_after(ledger.read(state_dir), route, int(to))
    return settled_value(to)
