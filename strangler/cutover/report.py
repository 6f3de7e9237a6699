"""The report on a table's routes, out of the evidence in a state folder: the same for the command, the admin
API and the ledger, with a server running or without.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from strangler.compare import compile_rules, rule_text
from strangler.cutover.errors import UnknownRoute
from strangler.evidence import Acceptance, RouteFacts, Standing, build, fingerprint, judged, read
from strangler.routes import CompareRules, Route, Table

EVIDENCE = "evidence.sqlite3"


def report_on(table: Table, state_dir: Path, route: str | None = None) -> dict[str, Any]:
    """The report of the fixed shape, on one route or on all. Raises UnknownRoute, evidence.StoreError."""
    facts = [_facts(each) for each in asked_for(table, route)]
    evidence = read(state_dir / EVIDENCE, bodies=False)
    return cast(dict[str, Any], build(facts, evidence, time.time()))


def fingerprint_on(state_dir: Path, identity: str) -> dict[str, Any] | None:
    """One fingerprint with its examples in full, or None. Raises evidence.StoreError."""
    return cast(dict[str, Any] | None, fingerprint(read(state_dir / EVIDENCE), identity))


def explained(table: Table, state_dir: Path) -> dict[str, frozenset[str]]:
    """Per route the fingerprints that are noise, or accepted, by now. Raises evidence.StoreError."""
    evidence = read(state_dir / EVIDENCE, bodies=False)
    today = datetime.fromtimestamp(time.time(), UTC).date()
    found: dict[str, frozenset[str]] = {}
    for route in table.routes:
        if route.name in evidence:
            known = judged(evidence[route.name].current, standing(route.compare), today)
            found[route.name] = frozenset(
                name for name, outcome in known.outcome_of.items() if outcome != "mismatch"
            )
    return found


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


def standing(rules: CompareRules) -> Standing:
    """What a route's rules say of differences that were found: accepted, never noise; and all the rules by name."""
    exact = compile_rules(rules.exact)
    return Standing(
        accepted=[Acceptance(each.fingerprint, each.reason, each.until) for each in rules.accept],
        exact=exact.body,
        exact_headers=frozenset(exact.headers.ignored),
        rules=[
            *(rule_text("ignore", place) for place in rules.ignore),
            *(rule_text("only", place) for place in rules.only if place.startswith("$")),
            *(rule_text("unordered", place) for place in rules.unordered),
            *(rule_text("keyed", *each) for each in rules.keyed),
            *(rule_text("tolerance", *each) for each in rules.tolerance),
        ],
    )


def _facts(route: Route) -> RouteFacts:
    return RouteFacts(
        route.name,
        route.stage,
        route.share / 1000,
        route.shadow / 1000,
        route.extracted,
        standing(route.compare),
    )
