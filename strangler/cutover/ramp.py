"""The ramp of one route: where its share stands, whether it may climb, whether it must fall. Pure.

`look` is asked every second or so, with the evidence and the time as arguments. What it has to remember from one look
to the next is a `Stand`, which is kept in the state folder. It moves nothing itself: it says what should be moved.

A share climbs one step at a time, and each step needs evidence of its own, from when it began, of the releases that
answer now. It falls at once when something is shown to be worse, and then stays until a person or another release of
the extracted side says otherwise. A share that a person has lowered stays as well, until a person says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from strangler.evidence import (
    RouteEvidence,
    Seen,
    Snapshot,
    Standing,
    StepGate,
    StepVerdict,
    alarm,
    duration,
    judge_step,
    seen_since,
    snapshot,
)
from strangler.routes import Percent, Ramp, Route, format_percent

#: Whiles that an alarm is asked of, beside the step as a whole. A good year must not hide a bad minute.
_MARKS: Final = 5
#: The last whiles, in which the extracted side must not have failed: when one has just begun, the one before says more.
_LATELY: Final = 2
#: Marks that are carried over when the releases change.
_CARRIED: Final = 2
#: No while begins sooner after another than this (seconds).
_APART: Final = 30.0
#: While a release is put in place, it and the one before answer by turns. Of which the answers all come for so long
#: (seconds), that is the one in place.
_SETTLED: Final = 30.0

_UNKNOWN: Final = ("", "")


class Held(msgspec.Struct, frozen=True):
    """Why a share stays where it is. `at` is Unix time.

    `extracted` is the release that it was held for, and `also` the one that answered by turns with it.
    """

    at: float
    by: Literal["rollback", "hand"]
    why: str
    extracted: str = ""
    also: str = ""


class Mark(msgspec.Struct, frozen=True):
    """When a while began, what the evidence was then, and which of the whiles of its releases it is."""

    at: float
    number: int
    base: Snapshot | None = None


class Stand(msgspec.Struct, frozen=True):
    """Where the ramp of a route stands. The first mark is the beginning of the step. `good`: the last step passed.

    `earlier` are marks from before the releases changed: errors that came with the change must not be forgotten, only
    because the first answer of the new release came after them, nor while two releases answer by turns. `left` is the
    release of the extracted side before the present one; `by_turns`: and before that it was the present one. `out`: no
    endpoint of the extracted side was in order. `upstream` is the service that the route says.
    """

    share: Percent
    releases: tuple[str, str]
    marks: tuple[Mark, ...]
    good: Percent = 0
    held: Held | None = None
    earlier: tuple[Mark, ...] = ()
    left: str = ""
    by_turns: bool = False
    out: bool = False
    upstream: str = ""

    @property
    def began(self) -> float:
        """When the present step began: Unix time."""
        return self.marks[0].at


class Order(msgspec.Struct, frozen=True):
    """What a person has said of a ramp. `at` is Unix time."""

    paused: bool
    at: float
    who: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """What should be done: a share to set, and why."""

    to: Percent
    kind: Literal["step", "rollback"]
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a look has shown. `begun` says that a step began just now; `waits`, what the ramp waits for, in words."""

    stand: Stand
    seen: Seen
    verdict: StepVerdict
    move: Move | None
    waits: str
    begun: bool = False


def look(
    route: Route,
    ramp: Ramp,
    evidence: RouteEvidence | None,
    before: Stand | None,
    order: Order | None,
    standing: Standing,
    now: float,
    out: bool | None = None,
) -> Look:
    """Where the ramp stands, and what should be moved. `now` is Unix time in seconds.

    `out` says whether the extracted side is out of order; None: as it was when somebody knew.
    """
    stand = _followed(route, evidence, before, order, now)
    was_out = before is not None and before.out
    stand = msgspec.structs.replace(stand, out=was_out if out is None else out, upstream=route.extracted)
    begun = before is None or before.marks[:1] != stand.marks[:1]
    gate = gate_of(route, ramp)
    stand = _marked(stand, ramp, evidence, now)
    whiles = [_seen(route, gate, evidence, mark, standing, now) for mark in stand.marks]
    seen = replace(whiles[0], out=stand.out)
    verdict = judge_step(seen, gate, whiles[-_LATELY:])
    traffic = replace(gate, match=None)  # of the pairs of other releases nothing follows for these
    watched = [(gate, mark, since) for mark, since in zip(stand.marks, whiles, strict=True)]
    watched += [
        (traffic, mark, _seen(route, traffic, evidence, mark, standing, now)) for mark in stand.earlier
    ]
    move = _fall(route, ramp, stand, _alarms(watched) if route.share else [])
    paused = order is not None and order.paused
    above = next_step(ramp, route.share)
    if move is None and above is not None and stand.held is None and not paused and verdict.verdict == "pass":
        move = Move(above, "step", "every gate of the step has passed")
    return Look(stand, seen, verdict, move, _waits(route, stand, order, above, verdict, move), begun)


def carried_out(stand: Stand, move: Move, evidence: RouteEvidence | None, now: float) -> Stand:
    """Where the ramp stands once a move has been made."""
    held = stand.held
    good = max(stand.good, stand.share)
    if move.kind == "rollback":
        also = stand.left if stand.by_turns else ""
        held = Held(now, "rollback", move.why, stand.releases[1], also)
        good = min(stand.good, move.to)
    marks = (_next_mark(stand, evidence, now),)
    return Stand(move.to, stand.releases, marks, good, held, out=stand.out, upstream=stand.upstream)


def gate_of(route: Route, ramp: Ramp) -> StepGate:
    """What each step of a route asks."""
    path = route.match.path
    varies = path.rest or any(segment.parameter is not None for segment in path.segments)
    default = StepGate()
    return StepGate(
        match=ramp.match,
        errors=ramp.errors,
        p99=ramp.p99,
        coverage=ramp.coverage,
        requests=ramp.requests or (default.requests if varies else 1),
        callers=ramp.callers,
        hold=ramp.hold,
    )


def next_step(ramp: Ramp, share: Percent) -> Percent | None:
    """The step above a share; None at the top."""
    return next((step for step in ramp.steps if step > share), None)


def _followed(
    route: Route, evidence: RouteEvidence | None, before: Stand | None, order: Order | None, now: float
) -> Stand:
    """The stand after what happened since the last look: a share set by others, another release, an order."""
    known = _releases(evidence)
    if before is None:
        # Nothing has ever moved: what the shadow has shown so far of these releases is evidence for the first step.
        if route.share == 0:
            since = evidence.current.tally.since if evidence is not None else None
            return Stand(0, known, (Mark(since or now, 1),))
        return Stand(route.share, known, (Mark(now, 1, snapshot(evidence)),))
    if before.share != route.share:
        held = None
        if route.share < before.share:
            held = Held(now, "hand", "the share was lowered by hand", known[1])
        good = min(before.good, route.share)
        return Stand(route.share, known, (_next_mark(before, evidence, now),), good, held)
    stand = before
    if before.upstream not in ("", route.extracted):
        stand = _anew(
            before, evidence, now
        )  # a service that does not say its release is another one all the same
    elif _is_another(known, before.releases):
        stand = (
            _at_first_sight(before, known) if before.releases == _UNKNOWN else _anew(before, evidence, now)
        )
    if _is_over(stand, now):
        stand = msgspec.structs.replace(stand, held=None)
    if stand.held is not None and order is not None and not order.paused and order.at > stand.held.at:
        stand = msgspec.structs.replace(stand, held=None, marks=(_next_mark(stand, evidence, now),))
    return stand


def _at_first_sight(before: Stand, known: tuple[str, str]) -> Stand:
    """The sides say their releases for the first time: those are the ones that there have been all along."""
    held = before.held
    if held is not None and not held.extracted:
        held = msgspec.structs.replace(held, extracted=known[1])
    return msgspec.structs.replace(before, releases=known, held=held)


def _anew(before: Stand, evidence: RouteEvidence | None, now: float) -> Stand:
    """The step begins anew, with other releases. What came of the last ones is watched for a while."""
    known, earlier = _releases(evidence), before.earlier
    if not earlier or now - earlier[-1].at >= _APART:  # by turns, none of the whiles would get any older
        earlier = (*earlier, *before.marks)[-_CARRIED:]
    unsettled = now - before.began < _SETTLED
    mark = _next_mark(before, evidence, now) if unsettled else Mark(now, 1, snapshot(evidence))
    left, by_turns = before.left, unsettled and before.by_turns
    if known[1] != before.releases[1]:
        left, by_turns = before.releases[1], by_turns or (unsettled and before.left == known[1])
    return Stand(before.share, known, (mark,), 0, before.held, earlier, left, by_turns)


def _is_over(stand: Stand, now: float) -> bool:
    """Whether a rollback need hold no more, since another release of the extracted side is in place."""
    held = stand.held
    if held is None or held.by != "rollback" or stand.releases[1] in ("", held.extracted, held.also):
        return False
    return now - stand.began >= _SETTLED


def _is_another(known: tuple[str, str], before: tuple[str, str]) -> bool:
    """Whether a side has named a release, and not the one before. One that names none has said nothing new."""
    return any(now and now != then for now, then in zip(known, before, strict=True))


def _releases(evidence: RouteEvidence | None) -> tuple[str, str]:
    if evidence is None:
        return _UNKNOWN
    return evidence.current.releases.legacy, evidence.current.releases.extracted


def _next_mark(stand: Stand, evidence: RouteEvidence | None, now: float) -> Mark:
    return Mark(now, max(mark.number for mark in stand.marks) + 1, snapshot(evidence))


def _marked(stand: Stand, ramp: Ramp, evidence: RouteEvidence | None, now: float) -> Stand:
    """Begin another while now and then. Of too many, the one goes that its neighbours stand in for best."""
    marks = stand.marks
    if now - marks[-1].at < max(ramp.hold, _APART):
        return stand
    stand = msgspec.structs.replace(stand, earlier=())
    marks = (*marks, _next_mark(stand, evidence, now))
    if len(marks) > _MARKS + 1:
        ages = [now - mark.at + _APART for mark in marks]
        least = min(range(1, len(marks) - 1), key=lambda at: ages[at - 1] / ages[at + 1])
        marks = (*marks[:least], *marks[least + 1 :])
    return msgspec.structs.replace(stand, marks=marks)


def _seen(
    route: Route, gate: StepGate, evidence: RouteEvidence | None, mark: Mark, standing: Standing, now: float
) -> Seen:
    return seen_since(
        evidence,
        mark.base,
        standing,
        datetime.fromtimestamp(now, UTC).date(),
        since=max(0.0, now - mark.at),
        moved=route.share > 0,
        errors_apart=gate.errors is not None,
    )


def _alarms(watched: Iterable[tuple[StepGate, Mark, Seen]]) -> list[str]:
    """What is worse in any of the whiles, each thing once."""
    found: dict[str, str] = {}
    for gate, mark, seen in watched:
        for said in alarm(seen, gate, mark.number):
            found.setdefault(said.partition(":")[0], f"{said} (in {duration(seen.since)})")
    return list(found.values())


def _fall(route: Route, ramp: Ramp, stand: Stand, alarms: list[str]) -> Move | None:
    if not alarms:
        return None
    to = stand.good if ramp.back == "step" and stand.good < route.share else 0
    return Move(to, "rollback", "; ".join(alarms))


def _waits(
    route: Route,
    stand: Stand,
    order: Order | None,
    above: Percent | None,
    verdict: StepVerdict,
    move: Move | None,
) -> str:
    if move is not None:
        return f"goes to {format_percent(move.to)}: {move.why}"
    if above is None:
        return "the ramp is finished"
    if stand.held is not None:
        until = "a new release or " if stand.held.by == "rollback" else ""
        return f"held ({stand.held.why}) until {until}`strangler ramp resume {route.name}`"
    if order is not None and order.paused:
        return f"paused by {order.who}" + (f": {order.why}" if order.why else "")
    to = f"for {format_percent(above)}"
    return f"{to}: {verdict.open[0].said}"
