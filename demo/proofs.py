"""What the demo claims, held against the reports and the answers. Pure; each raises Disproved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from demo.traffic import Answer


class Disproved(Exception):
    """Something that the demo shows did not happen. The message says what."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake of the services' first release, and where a report has to name it."""

    what: str
    kind: str
    places: tuple[tuple[str, str], ...]  # route, path


MISTAKES: Final = (
    Mistake(
        "a number that became a string",
        "type",
        (("stock-read", "$.unit_cost.amount"), ("stock-list", "$.items[*].unit_cost.amount")),
    ),
    Mistake(
        "a list in another order",
        "order",
        (("stock-read", "$.warehouses"), ("stock-list", "$.items[*].warehouses")),
    ),
    Mistake(
        "a fee that is rounded the other way",
        "value",
        (("payment-read", "$.fee.amount"), ("account-payments", "$.payments[*].fee.amount")),
    ),
)


def eligible_is(report: Any, answers: Iterable[Answer]) -> int:
    """The ledger holds each answer we were given on a routed path, once. Returns how many."""
    ours = Counter(answer.request.route for answer in answers if answer.request.route)
    for route in report["routes"]:
        coverage = route["coverage"]
        booked = coverage["compared"] + sum(coverage["skipped"].values())
        if not ours[route["route"]] == coverage["eligible"] == booked:
            raise Disproved(
                f"{route['route']}: we were answered {ours[route['route']]} times, the report has "
                f"{coverage['eligible']} eligible and accounts for {booked}"
            )
    return ours.total()


def mistakes_found(report: Any, mistakes: Sequence[Mistake] = MISTAKES) -> None:
    """Each mistake is in the report, under its path, and nothing else is."""
    found = {
        (route["route"], entry["path"], entry["kind"])
        for route in report["routes"]
        for entry in route["fingerprints"]
    }
    wanted = {(route, path, mistake.kind) for mistake in mistakes for route, path in mistake.places}
    for title, difference in (("does not name", wanted - found), ("also has", found - wanted)):
        if difference:
            listed = ", ".join(f"{kind} at {path} of {route}" for route, path, kind in sorted(difference))
            raise Disproved(f"the report {title}: {listed}")


def no_difference(report: Any, release: str) -> int:
    """The report is of this release, and nothing in it differs. Returns the number of pairs compared."""
    for route in report["routes"]:
        if route["releases"]["extracted"] != release:
            raise Disproved(f"the report on {route['route']} is not of release {release}")
        if route["fingerprints"] or route["outcomes"]["match"] != route["coverage"]["compared"]:
            raise Disproved(f"{route['route']} still differs in release {release}")
    return sum(route["coverage"]["compared"] for route in report["routes"])


def sides(answers: Iterable[Answer], route: str, release: str) -> tuple[set[str], set[str]]:
    """Who was answered by `release` on a route, and who by anyone else: nobody is in both, by what they saw."""
    moved: set[str] = set()
    stayed: set[str] = set()
    for answer in answers:
        if answer.request.route == route:
            (moved if answer.release == release else stayed).add(answer.request.customer.name)
    if both := moved & stayed:
        raise Disproved(f"{len(both)} callers were answered by both sides of {route}, {min(both)} among them")
    return moved, stayed


def about(part: int, whole: int, percent: int) -> None:
    """`part` is about that share of `whole`: within ten percent of the whole."""
    if not whole or abs(100 * part / whole - percent) > 10:
        raise Disproved(f"{part} of {whole} callers moved, which is not about {percent} %")


def only(answers: Iterable[Answer], route: str, release: str) -> None:
    """Every answer on a route came from that release."""
    others = {answer.release for answer in answers if answer.request.route == route} - {release}
    if others:
        raise Disproved(f"{route} was answered by {', '.join(sorted(others))} too, not by {release} alone")


def all_fail(report: Any, routes: set[str]) -> int:
    """Each of these routes has the verdict `fail`. Returns how many there are."""
    for route in report["routes"]:
        if route["route"] in routes and route["verdict"] != "fail":
            raise Disproved(f"{route['route']} has mistakes, and its verdict is {route['verdict']}")
    return len(routes)


def mended(before: Any, after: Any) -> int:
    """All that differed before differs no more, and nothing else does. Returns how many differences there were."""
    were, are = (
        {entry["id"] for route in each["routes"] for entry in route["fingerprints"]}
        for each in (before, after)
    )
    if are or not were:
        raise Disproved(f"{len(were)} differences were found before, and {len(are)} are left")
    return len(were)


def verdict_on(report: Any, name: str) -> tuple[str, str]:
    """The verdict on a route that no difference was found on, and why: never `fail`."""
    (route,) = (route for route in report["routes"] if route["route"] == name)
    if route["verdict"] == "fail":
        raise Disproved(f"{name} fails: {'; '.join(route['reasons'])}")
    return route["verdict"], "; ".join(route["reasons"])


def rolled_back(entry: Any) -> None:
    """The move was made by the ramp, down to nothing."""
    if not entry["who"].startswith("ramp") or entry["to"] != "0%":
        raise Disproved(f"the last move is from {entry['from']} to {entry['to']}, by {entry['who']}")


def nothing_failed(failures: Sequence[str]) -> None:
    """Every request so far was answered, by whichever side."""
    if failures:
        raise Disproved(f"{len(failures)} requests failed, the first one: {failures[0]}")
