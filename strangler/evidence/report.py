"""Evidence turned into the report of the fixed shape. Pure: the clock is an argument."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

from strangler.compare import SEVERITIES, chance, printable
from strangler.evidence.bounds import match_interval, pairs_needed, quantile_ranks
from strangler.evidence.judged import Acceptance, Judged, Standing, judged
from strangler.evidence.model import Evidence, Kept, PairEvidence, RouteEvidence, Sighting
from strangler.evidence.observation import TARGET_LIMIT, UNKNOWN
from strangler.evidence.shape import (
    SCHEMA,
    AcceptedEntry,
    FingerprintDetail,
    FingerprintEntry,
    FullExample,
    LatencyDifference,
    MatchRate,
    NoiseEntry,
    Quantiles,
    Report,
    RouteReport,
    Traffic,
    TransientEntry,
)
from strangler.evidence.tally import Histogram, Tally, plain, ranked
from strangler.evidence.verdict import Gate, judge

_NOTHING = PairEvidence(UNKNOWN, Tally())


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What routes.yaml says about a route. `share` and `shadow` are in percent, 0 … 100. `gate` is its own, if any."""

    route: str
    stage: Literal["legacy", "shadow", "cutover", "extracted"]
    share: float
    shadow: float
    extracted: str
    standing: Standing = field(default_factory=Standing)
    gate: Gate | None = None


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
        "routes": [
            _route(facts, pair, asked, datetime.fromtimestamp(now, UTC).date()) for facts, pair in current
        ],
    }


def fingerprint(evidence: Evidence, identity: str) -> FingerprintDetail | None:
    """One fingerprint with its examples in full, at the latest pair of releases that showed it."""
    for route in evidence.values():
        for pair in reversed(route.pairs):
            for sighting in pair.sightings:
                if sighting.id == identity:
                    return _detail(route, pair, sighting)
    return None


def callers(traffic: Mapping[str, int]) -> Traffic:
    """The callers of both sides, out of the gateways' counts by column, such as `legacy_2xx` and `fallback`."""

    def answered(side: str) -> int:
        return sum(
            traffic.get(f"{side}_{status}", 0) for status in ("1xx", "2xx", "3xx", "4xx", "5xx", "failed")
        )

    def failed(side: str) -> int:
        return traffic.get(f"{side}_5xx", 0) + traffic.get(f"{side}_failed", 0)

    fallback, rerouted, refused = (traffic.get(name, 0) for name in ("fallback", "rerouted", "refused"))
    instead = fallback + rerouted  # who was refused is among the failed
    return {
        "legacy": {"requests": answered("legacy"), "errors": failed("legacy")},
        "extracted": {
            "requests": answered("extracted") + instead,
            "errors": failed("extracted") + instead,
            "fallback": fallback,
            "rerouted": rerouted,
            "refused": refused,
        },
    }


def timestamp(at: float) -> str:
    """ISO 8601, UTC, to the millisecond, with Z."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _current(route: RouteEvidence | None) -> PairEvidence:
    return _NOTHING if route is None else route.current


def _route(facts: RouteFacts, recorded: PairEvidence, gate: Gate, today: date) -> RouteReport:
    known = judged(recorded, facts.standing, today)
    pair, tally = known.pair, known.pair.tally
    lasting = [seen for seen in pair.sightings if seen.count]
    unexplained = [seen for seen in lasting if known.outcome_of[seen.id] == "mismatch"]
    verdict = judge(tally, facts.gate or gate, unexplained, pair.unlisted)
    expired = [
        f"{each.fingerprint} was accepted until {each.until} only ({printable(each.reason, 80)})"
        for each in known.expired
    ]
    return {
        "route": facts.route,
        "stage": facts.stage,
        "share": facts.share,
        "shadow": facts.shadow,
        "extracted": facts.extracted,
        "releases": {"legacy": pair.releases.legacy, "extracted": pair.releases.extracted},
        "verdict": verdict.verdict,
        "reasons": [*verdict.reasons, *expired],
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
        "match_rate": _match_rate(tally, facts.gate or gate),
        "status": [
            {"legacy": legacy, "extracted": extracted, "count": count}
            for (legacy, extracted), count in sorted(tally.statuses.items())
        ],
        "latency_ms": {
            "legacy": _quantiles(tally.legacy_ms),
            "extracted": _quantiles(tally.extracted_ms),
            "difference": _difference(tally, gate.confidence),
        },
        "fingerprints": [_entry(sighting, known) for sighting in sorted(lasting, key=_worst_first)],
        "distinct": {"requests": tally.requests.count(), "callers": tally.callers.count()},
        "rules": [{"rule": rule, "count": tally.rules[rule]} for rule in facts.standing.rules],
        "noise": list(_noise(known)),
        "accepted": [_accepted(each, known, today) for each in facts.standing.accepted],
        "traffic": callers(tally.traffic),
        "transient": {"settled_ms": _quantiles(tally.settled_ms), "fingerprints": list(_gone(pair))},
    }


def _entry(sighting: Sighting, known: Judged) -> FingerprintEntry:
    compared = known.pair.tally.compared
    return {
        **_fingerprint(sighting),
        "outcome": known.outcome_of[sighting.id],
        "share": round(sighting.count / compared, 6) if compared else 0.0,
        "requests": sighting.requests,
        "callers": sighting.callers,
    }


def _gone(pair: PairEvidence) -> Iterator[TransientEntry]:
    """What was no more when both sides were asked again, the most frequent first."""
    for seen in sorted(pair.sightings, key=lambda seen: (-seen.gone, seen.id)):
        if seen.gone:
            difference = seen.difference
            yield {"id": seen.id, "path": difference.path, "kind": difference.kind, "count": seen.gone}


def _difference(tally: Tally, confidence: float) -> LatencyDifference:
    count = tally.faster_ms.buckets.total() + tally.slower_ms.buckets.total()
    low, high = quantile_ranks(count, 0.5, confidence)
    ranks = (low, (count + 1) // 2, high)
    values = [_rounded(value) for value in ranked(tally.faster_ms, tally.slower_ms, ranks)]
    return {"low": values[0], "p50": values[1], "high": values[2]}


def _noise(known: Judged) -> Iterator[NoiseEntry]:
    """Every field that was seen to differ between the sides and, on its own, from itself."""
    for seen in known.pair.sightings:
        finding, tally = known.found.get(seen.id), known.pair.fields.get(seen.id)
        if finding is not None and tally is not None and tally.alone:
            yield {
                "id": seen.id,
                "path": seen.difference.path,
                "type": tally.type,
                "finding": finding,
                "probes": known.pair.tally.probes,
                "both": tally.both,
                "itself": tally.itself,
                "sides": tally.sides,
                "chance": round(chance(tally), 6),
            }


def _accepted(each: Acceptance, known: Judged, today: date) -> AcceptedEntry:
    return {
        "fingerprint": each.fingerprint,
        "reason": each.reason,
        "until": each.until.isoformat(),
        "expired": each.until < today,
        "count": sum(seen.count for seen in known.pair.sightings if seen.id == each.fingerprint),
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


def _detail(route: RouteEvidence, pair: PairEvidence, sighting: Sighting) -> FingerprintDetail:
    entry = _fingerprint(sighting)
    return {
        "id": entry["id"],
        "route": route.route,
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
        "requests": sighting.requests,
        "callers": sighting.callers,
        "seen_at": [
            {
                "releases": {"legacy": each.releases.legacy, "extracted": each.releases.extracted},
                "count": seen.count,
                "gone": seen.gone,
                "first_seen": timestamp(seen.first_seen),
                "last_seen": timestamp(seen.last_seen),
            }
            for each in route.pairs
            for seen in each.sightings
            if seen.id == sighting.id
        ],
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
