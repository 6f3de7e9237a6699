"""A route and a history as the admin API shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from strangler.cutover import Entry, History
from strangler.routes import Route, Table


def route_view(route: Route) -> dict[str, Any]:
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


def table_view(table: Table, faults: list[str]) -> dict[str, Any]:
    """The running table: `table` is the SHA-256 of the routes.yaml it was read from."""
    return {
        "table": table.digest,
        "faults": faults,
        "kept": [{"route": name, "file": share / 1000} for name, share in table.kept],
        "legacy": table.legacy,
        "routes": [route_view(route) for route in table.routes],
    }


def entry_view(entry: Entry) -> dict[str, Any]:
    """A ledger entry under the names it has in the file."""
    view: dict[str, Any] = msgspec.to_builtins(entry)
    return view


def history_view(history: History) -> dict[str, Any]:
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
