"""Evidence turned into the report of the fixed shape. Pure: the clock is an argument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from strangler.compare import SEVERITIES, printable
from strangler.evidence.bounds import match_interval, pairs_needed
from strangler.evidence.model import Evidence, Kept, PairEvidence, RouteEvidence, Sighting
from strangler.evidence.observation import TARGET_LIMIT, UNKNOWN
from strangler.evidence.shape import (
    SCHEMA,
    FingerprintDetail,
    FingerprintEntry,
    FullExample,
    MatchRate,
    Quantiles,
    Report,
    RouteReport,
)
from strangler.evidence.tally import Histogram, Tally, plain
from strangler.evidence.verdict import Gate, judge

_NOTHING = PairEvidence(UNKNOWN, Tally())


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What routes.yaml says about a route. `share` and `shadow` are in percent, 0 … 100."""

    route: str
    stage: Literal["legacy", "shadow", "cutover", "extracted"]
    share: float
    shadow: float
    extracted: str


def build(routes: Sequence[RouteFacts], evidence: Evidence, now: float, gate: Gate | None = None) -> Report:
    """The report on these routes, in their order, each at its current pair of releases. `now`: Unix time.

    A route without evidence is in it too, as inconclusive. Evidence of routes not asked for is left out.
    """
    asked = gate or Gate()
    current = [(facts, _current(evidence.get(facts.route))) for facts in routes]
    tallies = [pair.tally for _, pair in current]
    since = min((tally.since for tally in tallies if tally.since is not None), default=now)
    until = max((tally.until for tally in tallies if tally.until is not None), default=now)
    return {
        "schema": SCHEMA,
        "generated_at": timestamp(now),
        "window": {"since": timestamp(since), "until": timestamp(until)},
        "routes": [_route(facts, pair, asked) for facts, pair in current],
    }


def fingerprint(evidence: Evidence, identity: str) -> FingerprintDetail | None:
    """One fingerprint with its examples in full, at the latest pair of releases that showed it."""
    for route in evidence.values():
        for pair in reversed(route.pairs):
            for sighting in pair.sightings:
                if sighting.id == identity:
                    return _detail(route.route, pair, sighting)
    return None


def timestamp(at: float) -> str:
    """ISO 8601, UTC, to the millisecond, with Z."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _current(route: RouteEvidence | None) -> PairEvidence:
    return _NOTHING if route is None else route.current


def _route(facts: RouteFacts, pair: PairEvidence, gate: Gate) -> RouteReport:
    tally = pair.tally
    verdict = judge(tally, gate, pair.sightings, pair.unlisted)
    return {
        "route": facts.route,
        "stage": facts.stage,
        "share": facts.share,
        "shadow": facts.shadow,
        "extracted": facts.extracted,
        "releases": {"legacy": pair.releases.legacy, "extracted": pair.releases.extracted},
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "coverage": {
            "eligible": tally.eligible,
            "compared": tally.compared,
            "skipped": plain(tally.skipped),
        },
        "outcomes": {
            "match": tally.outcomes["match"],
            "noise": tally.outcomes["noise"],
            "accepted": tally.outcomes["accepted"],
            "transient": tally.outcomes["transient"],
            "mismatch": tally.outcomes["mismatch"],
        },
        "match_rate": _match_rate(tally, gate),
        "status": [
            {"legacy": legacy, "extracted": extracted, "count": count}
            for (legacy, extracted), count in sorted(tally.statuses.items())
        ],
        "latency_ms": {"legacy": _quantiles(tally.legacy_ms), "extracted": _quantiles(tally.extracted_ms)},
        "fingerprints": [_fingerprint(sighting) for sighting in sorted(pair.sightings, key=_worst_first)],
    }


def _match_rate(tally: Tally, gate: Gate) -> MatchRate:
    low, high = match_interval(tally.matches, tally.pairs, gate.confidence)
    return {
        "estimate": round(tally.matches / tally.pairs, 6) if tally.pairs else None,
        "low": math.floor(low * 1_000_000) / 1_000_000,  # never rounded to the side of more certainty
        "high": math.ceil(high * 1_000_000) / 1_000_000,
        "confidence": gate.confidence,
        "pairs_needed": pairs_needed(tally.matches, tally.pairs, gate.match, gate.confidence),
    }


def _quantiles(histogram: Histogram) -> Quantiles:
    return {
        "p50": _rounded(histogram.quantile(0.50)),
        "p90": _rounded(histogram.quantile(0.90)),
        "p99": _rounded(histogram.quantile(0.99)),
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def _worst_first(sighting: Sighting) -> tuple[int, int, str]:
    return SEVERITIES.index(sighting.difference.severity), -sighting.count, sighting.id


def _fingerprint(sighting: Sighting) -> FingerprintEntry:
    difference = sighting.difference
    return {
        "id": sighting.id,
        "where": difference.where,
        "path": difference.path,
        "kind": difference.kind,
        "legacy": difference.legacy,
        "extracted": difference.extracted,
        "severity": difference.severity,
        "count": sighting.count,
        "first_seen": timestamp(sighting.first_seen),
        "last_seen": timestamp(sighting.last_seen),
        "examples": [_three_lines(kept) for kept in sighting.examples],
    }


def _three_lines(kept: Kept) -> str:
    # The values have no line breaks of their own (compare.shown), so the lines can be told apart again.
    target = printable(kept.target, TARGET_LIMIT)
    return f"{kept.method} {target}\nlegacy: {kept.legacy_value}\nextracted: {kept.extracted_value}"


def _detail(route: str, pair: PairEvidence, sighting: Sighting) -> FingerprintDetail:
    entry = _fingerprint(sighting)
    return {
        "id": entry["id"],
        "route": route,
        "method": sighting.method,
        "releases": {"legacy": pair.releases.legacy, "extracted": pair.releases.extracted},
        "where": entry["where"],
        "path": entry["path"],
        "kind": entry["kind"],
        "legacy": entry["legacy"],
        "extracted": entry["extracted"],
        "severity": entry["severity"],
        "count": entry["count"],
        "first_seen": entry["first_seen"],
        "last_seen": entry["last_seen"],
        "examples": [_full(kept) for kept in sighting.examples],
    }


def _full(kept: Kept) -> FullExample:
    return {
        "at": timestamp(kept.at),
        "method": kept.method,
        "target": kept.target,
        "legacy_value": kept.legacy_value,
        "extracted_value": kept.extracted_value,
        "legacy_body": kept.legacy_body,
        "extracted_body": kept.extracted_body,
    }
