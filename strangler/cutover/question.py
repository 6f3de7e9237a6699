"""What a change of a share would do, asked before it is made: who moves, and what the evidence says. Pure."""

from __future__ import annotations

from typing import Literal, TypedDict

from strangler.evidence import RampEntry, RouteReport, number
from strangler.evidence.verdict import Answer
from strangler.routes import WHOLE, Percent, Route

Direction = Literal["up", "down", "none"]

#: Its key is a word of Python, so it cannot be written as the others are.
_From = TypedDict("_From", {"from": float})


class Question(_From):
    """A change of a route's share, `from` one to another, both in percent.

    `callers_seen` are the different callers of the evidence, `callers_moving` about how many of them would be answered
    by the other side; None when none were seen. `verdict` and `reasons`, the weightiest first, are those of the ramp's
    step where the route has a ramp, and of all the evidence otherwise. `asks_twice`: the share would rise, and the
    evidence does not pass. `why` says all of it for a person.
    """

    route: str
    to: float
    callers_seen: int
    callers_moving: int | None
    direction: Direction
    verdict: Answer
    reasons: list[str]
    ramp: RampEntry | None
    asks_twice: bool
    why: str


def question(route: Route, report: RouteReport, to: Percent) -> Question:
    """What it would do to set this share. `report` is the route's entry of a report of now."""
    ramp = report.get("ramp")
    seen = report["distinct"]["callers"] if "distinct" in report else 0
    direction: Direction = "none" if to == route.share else "up" if to > route.share else "down"
    verdict = report["verdict"] if ramp is None else ramp["verdict"]
    reasons = report["reasons"] if ramp is None else [check["said"] for check in ramp["checks"]]
    compared = report["coverage"]["compared"]
    moving = round(abs(to - route.share) * seen / WHOLE) if seen else None
    return {
        "route": route.name,
        "from": route.share / 1000,
        "to": to / 1000,
        "callers_seen": seen,
        "callers_moving": moving,
        "direction": direction,
        "verdict": verdict,
        "reasons": list(reasons),
        "ramp": ramp,
        "asks_twice": direction == "up" and verdict != "pass",
        "why": " ".join(_why(route.share, to, seen, moving, _evidence(verdict, reasons, compared))),
    }


def _why(share: Percent, to: Percent, seen: int, moving: int | None, evidence: str) -> tuple[str, ...]:
    if to == share:
        return (f"They stay where they are: the share is {to / 1000:g} % already.",)
    towards = "to the extracted side" if to > share else "back to the legacy side"
    if moving is None:
        return f"How many callers move {towards} is not known: none have been seen.", evidence
    if abs(to - share) == WHOLE:
        return f"All callers seen, {number(seen)}, move {towards}.", evidence
    if moving == 0:
        return f"Hardly any of {number(seen)} callers seen move {towards}.", evidence
    verb = "moves" if moving == 1 else "move"
    return f"About {number(moving)} of {number(seen)} callers seen {verb} {towards}.", evidence


def _evidence(verdict: Answer, reasons: list[str], compared: int) -> str:
    if not compared:
        return "Nothing has been compared yet."
    if verdict == "pass":
        return "The evidence passes."
    says = "fails" if verdict == "fail" else "is inconclusive"
    return f"The evidence {says}: {reasons[0]}." if reasons else f"The evidence {says}."
