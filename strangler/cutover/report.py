"""The report on a table's routes, out of the evidence in a state folder: the same for the command, the admin
API and the ledger, with a server running or without.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from strangler.cutover.errors import CutoverError, UnknownReleases, UnknownRoute
from strangler.cutover.progress import IDLE_DAYS, Progress, progress
from strangler.cutover.ramps import ramp_view, ramps_on
from strangler.cutover.standing import EVIDENCE, standing
from strangler.evidence import (
    FingerprintDetail,
    Gate,
    Releases,
    RouteEvidence,
    RouteFacts,
    RouteLatency,
    RouteReleases,
    StoreError,
    build,
    fingerprint,
    latency_view,
    read,
    read_outcomes,
    read_served,
    releases_view,
)
from strangler.routes import Route, Table

_LONGEST_LINE = 500


def report_on(
    table: Table, state_dir: Path, route: str | None = None, releases: Releases | None = None
) -> dict[str, Any]:
    """The report of the fixed shape, on one route or on all; with `releases`, on one route at that pair of them, which
    may be of the past. Ramps are of the present, and so in a report on the present only.

    Raises UnknownRoute, UnknownReleases, evidence.StoreError.
    """
    asked = {each.name: each for each in asked_for(table, route)}
    evidence = read(state_dir / EVIDENCE, bodies=False, route=route)
    now = time.time()
    looks = ramps_on(asked.values(), state_dir, evidence, now)
    if route is not None and releases is not None:
        found = evidence.get(route)
        evidence = {route: _at(route, found, releases)}
        looks = looks if found is not None and found.current.releases == releases else {}
    report = build([_facts(each) for each in asked.values()], evidence, now)
    kept = dict(table.kept)
    for entry in report["routes"]:
        if entry["route"] in kept:
            entry["file_share"] = kept[entry["route"]] / 1000
        if looked := looks.get(entry["route"]):
            entry["ramp"] = ramp_view(asked[entry["route"]], looked)
    return cast(dict[str, Any], report)


def _at(route: str, evidence: RouteEvidence | None, releases: Releases) -> RouteEvidence:
    found = None if evidence is None else evidence.at(releases)
    if found is None:
        known = () if evidence is None else evidence.pairs
        raise UnknownReleases(route, releases, [pair.releases for pair in known])
    return found


def releases_on(table: Table, state_dir: Path, route: str) -> RouteReleases:
    """The pairs of releases that there is evidence of. Raises UnknownRoute, evidence.StoreError."""
    (asked,) = asked_for(table, route)
    evidence = read_outcomes(state_dir / EVIDENCE, route=route)
    return releases_view(route, evidence.get(route), standing(asked.compare), time.time())


def seen_at_on(state_dir: Path, route: str) -> dict[str, list[Releases]]:
    """Fingerprint -> the pairs of releases that showed it, the latest last. Raises evidence.StoreError."""
    evidence = read_outcomes(state_dir / EVIDENCE, route=route).get(route)
    found: dict[str, list[Releases]] = {}
    for pair in evidence.pairs if evidence is not None else ():
        for seen in pair.sightings:
            if seen.count:
                found.setdefault(seen.id, []).append(pair.releases)
    return found


def latency_on(table: Table, state_dir: Path, route: str) -> RouteLatency:
    """The latencies of a route as distributions. Raises UnknownRoute, evidence.StoreError."""
    asked_for(table, route)
    return latency_view(route, read(state_dir / EVIDENCE, bodies=False, route=route).get(route))


def fingerprint_on(state_dir: Path, identity: str) -> FingerprintDetail | None:
    """One fingerprint with its examples in full, or None. Raises evidence.StoreError."""
    return fingerprint(read(state_dir / EVIDENCE), identity)


def progress_on(table: Table, state_dir: Path, idle_days: float = IDLE_DAYS) -> Progress:
    """How far the migration is. Raises evidence.StoreError."""
    return progress(table, read_served(state_dir / EVIDENCE), time.time(), idle_days)


def verdict_line(table: Table, state_dir: Path, route: str) -> str:
    """The verdict on a route with its reasons in one line, for the ledger.

    "" when it cannot be had: a change, and a rollback above all, must not wait for it.
    """
    try:
        found = report_on(table, state_dir, route)["routes"][0]
    except (StoreError, CutoverError):
        return ""
    line = f"{found['verdict']}: " + "; ".join(found["reasons"])
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


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


def _gate(route: Route) -> Gate | None:
    """What a route's own ramp asks of the evidence as a whole."""
    if route.ramp is None:
        return None
    return Gate(match=route.ramp.match or Gate().match, coverage=route.ramp.coverage)


def _facts(route: Route) -> RouteFacts:
    return RouteFacts(
        route.name,
        route.stage,
        route.share / 1000,
        route.shadow / 1000,
        route.extracted,
        standing(route.compare),
        _gate(route),
    )
