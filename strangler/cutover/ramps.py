"""The ramps of a table: looked at with all that the state folder knows, and moved when they are to be moved.

One process moves ramps, the observer. Everybody may look: `ramps_on` says the same to the command, the admin API and
the report, with a server running or without.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from strangler.cutover import ledger
from strangler.cutover.errors import CannotWrite, CutoverError
from strangler.cutover.file import change, keep_share, read_table
from strangler.cutover.ledger import Entry
from strangler.cutover.moves import read_moves
from strangler.cutover.orders import read_orders
from strangler.cutover.ramp import Held, Look, Move, Order, Stand, carried_out, look, next_step
from strangler.cutover.standing import EVIDENCE, standing
from strangler.cutover.whole import read_kept, write_kept
from strangler.evidence import Evidence, RampEntry, StepVerdict, read, timestamp
from strangler.routes import Faults, Percent, Ramp, Route, Table, format_percent, parse_percent

NAME = "ramps.json"
#: Who moves, in the ledger.
STEP, ROLLBACK = "ramp", "ramp (rollback)"

_Stands = dict[str, Stand]

log = logging.getLogger("strangler.cutover")


def read_stands(state_dir: Path) -> _Stands:
    """Route name -> where its ramp stands. Raises CannotWrite when the file cannot be understood."""
    return read_kept(state_dir / NAME, _Stands) or {}


def ramps_on(routes: Iterable[Route], state_dir: Path, evidence: Evidence, now: float) -> dict[str, Look]:
    """What each ramp of these routes would do at this moment (Unix time). Raises CannotWrite."""
    ramped = [route for route in routes if route.ramp is not None]
    if not ramped:
        return {}
    stands, orders = read_stands(state_dir), read_orders(state_dir)
    return {route.name: _look(route, evidence, stands.get(route.name), orders, now) for route in ramped}


class Ramps:
    """Moves the ramps. `mark` is called with a route whose step begins. Used by one thread at a time."""

    def __init__(self, routes_file: Path, state_dir: Path, mark: Callable[[str], None]) -> None:
        self._path = routes_file
        self._state = state_dir
        self._mark = mark
        self.took = 0.0
        self._stands: _Stands | None = None
        self._unmoved: dict[str, str] = {}

    def look(self, table: Table, now: float, out: Collection[str] = ()) -> None:
        """Look at every ramp, and move what is to be moved. `out` are the upstreams that are out of order.

        Raises evidence.StoreError, CannotWrite. `took` then says how much of a core's time that was, in seconds.
        """
        began = time.thread_time()
        try:
            self._look_at_all(table, now, out)
        finally:
            self.took = time.thread_time() - began

    def _look_at_all(self, table: Table, now: float, out: Collection[str]) -> None:
        ramped = [route for route in table.routes if route.ramp is not None]
        if self._stands is None:
            self._stands = self._remembered(ramped, now)
        before = dict(self._stands)
        if ramped:
            evidence = read(self._state / EVIDENCE, bodies=False)
            orders = read_orders(self._state)
            for route in ramped:
                self._one(route, table, evidence, orders, now, out=route.extracted in out)
        names = {route.name for route in ramped}
        self._stands = {name: stand for name, stand in self._stands.items() if name in names}
        if self._stands != before:
            write_kept(self._state / NAME, self._stands)

    def _one(
        self,
        route: Route,
        table: Table,
        evidence: Evidence,
        orders: Mapping[str, Order],
        now: float,
        *,
        out: bool,
    ) -> None:
        assert self._stands is not None
        if self._is_behind(route, self._stands.get(route.name)):
            return
        known = evidence.get(route.name)
        looked = _look(route, evidence, self._stands.get(route.name), orders, now, out)
        self._stands[route.name] = looked.stand
        if looked.begun:
            self._mark(route.name)
        move = looked.move
        if move is None:
            return
        if self._set(route, table, looked):
            self._stands[route.name] = carried_out(looked.stand, move, known, now)
            self._mark(route.name)

    def _is_behind(self, route: Route, stand: Stand | None) -> bool:
        """The running table is not what the files say by now: from before our own move, it is not somebody else's."""
        if stand is None or stand.share == route.share:
            return False
        try:
            fresh = read_table(self._path, self._state)[0].share_of(route.name)
        except Faults:
            kept = read_moves(self._state).get(route.name)
            fresh = None if kept is None else parse_percent(kept.share)
        return fresh is not None and fresh != route.share

    def _set(self, route: Route, table: Table, looked: Look) -> Entry | None:
        move = looked.move
        assert move is not None
        who = ROLLBACK if move.kind == "rollback" else STEP
        to, why, told = format_percent(move.to), _one_line(move.why), evidence_line(looked.verdict)
        may = partial(_may_still_move, move, route.share)
        try:
            try:
                entry = change(
                    *(self._path, self._state, route.name, "share", to, who, why),
                    evidence=told,
                    keep=True,
                    only_if=may,
                )
            except Faults as faults:
                in_file = format_percent(dict(table.kept).get(route.name, route.share))
                entry = keep_share(
                    *(self._path, self._state, route.name, route.share, in_file, to, who, why, told),
                    problem=str(faults).splitlines()[0],
                )
        except CutoverError as error:
            if self._unmoved.get(route.name) != str(error):  # once, not once a second
                log.error("%s should go to %s and cannot: %s", route.name, to, error)
                self._unmoved[route.name] = str(error)
            return None
        self._unmoved.pop(route.name, None)
        if entry is not None:
            log.warning("%s: share %s -> %s (%s): %s", route.name, entry.from_, entry.to, who, why)
        return entry

    def _remembered(self, ramped: list[Route], now: float) -> _Stands:
        """The stands as they were left. A file that is gone or broken must not set free what was held."""
        try:
            stands = read_stands(self._state)
        except CannotWrite as error:
            log.error("%s; the ramps begin anew", error)
            stands = {}
        missing = [route for route in ramped if route.name not in stands]
        if missing:
            last = {entry.route: entry for entry in ledger.read(self._state).entries if entry.key == "share"}
            for route in missing:
                entry = last.get(route.name)
                if entry is not None and _lowered(entry) and format_percent(route.share) == entry.to:
                    by_ramp = entry.who == ROLLBACK
                    held = Held(now, "rollback" if by_ramp else "hand", entry.why or "lowered by hand")
                    first = look(route, _ramp(route), None, None, None, standing(route.compare), now).stand
                    stands[route.name] = msgspec.structs.replace(first, held=held)
        return stands


def evidence_line(verdict: StepVerdict, longest: int = 500) -> str:
    """The verdict with its numbers, for the ledger."""
    said = f"{verdict.verdict}: " + "; ".join(check.said for check in verdict.checks)
    return said if len(said) <= longest else said[: longest - 1] + "…"


def ramp_view(route: Route, looked: Look) -> RampEntry:
    """A ramp as the report, the status and the admin API show it."""
    ramp = _ramp(route)
    above = next_step(ramp, route.share)
    stand = looked.stand
    return {
        "steps": [step / 1000 for step in ramp.steps],
        "next": None if above is None else above / 1000,
        "since": timestamp(stand.began),
        "held": None if stand.held is None else {"by": stand.held.by, "why": stand.held.why},
        "verdict": looked.verdict.verdict,
        "waits": looked.waits,
        "wait_seconds": None if above is None else looked.verdict.wait,
        "checks": [
            {"check": check.name, "verdict": check.answer, "said": check.said, "wait_seconds": check.wait}
            for check in looked.verdict.checks
        ],
    }


def _look(
    route: Route,
    evidence: Evidence,
    stand: Stand | None,
    orders: Mapping[str, Order],
    now: float,
    out: bool | None = None,
) -> Look:
    return look(
        route,
        _ramp(route),
        evidence.get(route.name),
        stand,
        orders.get(route.name),
        standing(route.compare),
        now,
        out,
    )


def _ramp(route: Route) -> Ramp:
    assert route.ramp is not None
    return route.ramp


def _lowered(entry: Entry) -> bool:
    try:
        return float(entry.to.rstrip("%")) < float(entry.from_.rstrip("%"))
    except ValueError:
        return False


def _may_still_move(move: Move, decided_at: Percent, present: Percent) -> bool:
    """Whether a move is still right. Somebody may have set the share since the table was read that it was decided by:
    then their word holds, and a rollback only ever lowers it."""
    return present > move.to if move.kind == "rollback" else present == decided_at


def _one_line(text: str) -> str:
    return " ".join(text.split())[:1000]
