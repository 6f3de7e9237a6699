"""The report on a table's routes, out of the evidence in a state folder: the same for the command, the admin
API and the ledger, with a server running or without.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from strangler.cutover.errors import UnknownRoute
from strangler.evidence import RouteFacts, build, fingerprint, read
from strangler.routes import Route, Table

EVIDENCE = "evidence.sqlite3"


def report_on(table: Table, state_dir: Path, route: str | None = None) -> dict[str, Any]:
    """The report of the fixed shape, on one route or on all. Raises UnknownRoute, evidence.StoreError."""
    facts = [_facts(each) for each in asked_for(table, route)]
    evidence = read(state_dir / EVIDENCE, bodies=False)
    return cast(dict[str, Any], build(facts, evidence, time.time()))


def fingerprint_on(state_dir: Path, identity: str) -> dict[str, Any] | None:
    """One fingerprint with its examples in full, or None. Raises evidence.StoreError."""
    return cast(dict[str, Any] | None, fingerprint(read(state_dir / EVIDENCE), identity))


def has_evidence(state_dir: Path) -> bool:
    """Whether anything was ever kept in this state folder."""
    return (state_dir / EVIDENCE).exists()


def asked_for(table: Table, route: str | None) -> Iterable[Route]:
    """The route of that name, or all. Raises UnknownRoute."""
    if route is None:
        return table.routes
    known = table.route(route)
    if known is None:
        raise UnknownRoute(route, (each.name for each in table.routes))
    return (known,)


def _facts(route: Route) -> RouteFacts:
    return RouteFacts(route.name, route.stage, route.share / 1000, route.shadow / 1000, route.extracted)
