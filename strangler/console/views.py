"""A route and a history as the admin API shows them."""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec

from strangler.cutover import Entry, History
from strangler.routes import Route, Stage, Table


class RouteView(TypedDict):
    """A route as routes.yaml has it, `line` being where. `methods` is null for any; shares and the steps of a ramp are
    in percent."""

    name: str
    line: int
    methods: list[str] | None
    path: str
    extracted: str
    stage: Stage
    share: float
    shadow: float
    ramp: list[float] | None


class OneRoute(RouteView):
    """A route of the running table, and what `TableView` says of that; `out`: its extracted side is out of order."""

    table: str
    faults: list[str]
    out: bool


class KeptShare(TypedDict):
    """A route whose share the file could not be told, and what it still says, in percent."""

    route: str
    file: float


class TableView(TypedDict):
    """The running table: `table` is the SHA-256 of its file, `faults` are of a later save that is not running,
    `out` are the upstreams of which some worker knows no endpoint that is in order."""

    table: str
    faults: list[str]
    out: list[str]
    kept: list[KeptShare]
    legacy: str
    routes: list[RouteView]


#: Its key is a word of Python, so it cannot be written as the others are.
_From = TypedDict("_From", {"from": str})


class EntryView(_From):
    """An entry of the ledger. `at` is ISO 8601; `evidence` the verdict of then, empty when nobody looked; the hashes
    are SHA-256: of routes.yaml before and after, of the entry before, and of this one."""

    at: str
    who: str
    route: str
    key: str
    to: str
    why: str
    file_before: str
    file_after: str
    evidence: str
    prev: str
    hash: str


class NumberedEntry(EntryView):
    """An entry with its number, counted from 1."""

    number: int


class HistoryView(TypedDict):
    """The ledger, oldest first. `torn` is what crashes left, `broken` where its chain does not hold, `outside` where
    routes.yaml was changed by other means."""

    entries: list[NumberedEntry]
    torn: list[str]
    broken: list[str]
    outside: list[str]


class ChangesView(TypedDict):
    """What a change has become: its entries, none when all was so before; whether it is `in_force` already; and the
    route in the running table, null when that has lost it."""

    changes: list[EntryView]
    table: str
    in_force: bool
    route: RouteView | None


def route_view(route: Route) -> RouteView:
    """What routes.yaml says of a route. Shares are in percent, as in the report."""
    methods = route.match.methods
    return {
        "name": route.name,
        "line": route.line,
        "methods": None if methods is None else sorted(methods),
        "path": route.match.path.text,
        "extracted": route.extracted,
        "stage": route.stage,
        "share": route.share / 1000,
        "shadow": route.shadow / 1000,
        "ramp": None if route.ramp is None else [step / 1000 for step in route.ramp.steps],
    }


def table_view(table: Table, faults: list[str], out: frozenset[str]) -> TableView:
    """The running table: `table` is the SHA-256 of the routes.yaml it was read from."""
    return {
        "table": table.digest,
        "faults": faults,
        "out": sorted(out),
        "kept": [{"route": name, "file": share / 1000} for name, share in table.kept],
        "legacy": table.legacy,
        "routes": [route_view(route) for route in table.routes],
    }


def entry_view(entry: Entry) -> EntryView:
    """A ledger entry under the names it has in the file."""
    view: EntryView = msgspec.to_builtins(entry)
    return view


def history_view(history: History) -> HistoryView:
    """The entries, oldest first, and what is to be said of the file that holds them."""
    return {
        "entries": [
            {"number": number, **entry_view(entry)}
            for number, entry in zip(history.numbers, history.entries, strict=True)
        ],
        "torn": list(history.torn),
        "broken": list(history.broken),
        "outside": list(history.outside),
    }


def summary(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A report in short: one small object a route."""
    return [
        {
            "route": route["route"],
            "stage": route["stage"],
            "share": route["share"],
            "verdict": route["verdict"],
            "pairs": pairs(route),
            "mismatch": route["outcomes"]["mismatch"],
            "match_rate": route["match_rate"]["estimate"],
            "low": route["match_rate"]["low"],
            "high": route["match_rate"]["high"],
            "eligible": route["coverage"]["eligible"],
        }
        for route in report["routes"]
    ]


def pairs(route: dict[str, Any]) -> int:
    """How many compared exchanges of a route's report count for its match rate: all that settled."""
    return sum(count for outcome, count in route["outcomes"].items() if outcome != "transient")
