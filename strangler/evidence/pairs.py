"""What there is to see of a route's evidence beside the report: its pairs of releases, its latencies. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TypedDict

from strangler.evidence.judged import Standing, judged
from strangler.evidence.model import PairEvidence, RouteEvidence
from strangler.evidence.observation import UNKNOWN, Releases
from strangler.evidence.report import timestamp
from strangler.evidence.shape import ReleasePair
from strangler.evidence.tally import Histogram, Tally


class PairEntry(TypedDict):
    """One pair of releases: its first and last exchange (ISO 8601; None before there was one), how many were compared,
    and how many of those are mismatches by now. `current`: it is the one that answers now."""

    releases: ReleasePair
    since: str | None
    until: str | None
    compared: int
    mismatch: int
    current: bool


class RouteReleases(TypedDict):
    """All pairs of releases of a route that there is evidence of, the current one last."""

    route: str
    pairs: list[PairEntry]


class Distributions(TypedDict):
    """Both sides' times as counts in buckets, ascending: so many took up to so many milliseconds, and longer than the
    bucket before. Buckets are 4 % wide; those without a count are left out."""

    legacy: list[tuple[float, int]]
    extracted: list[tuple[float, int]]


class RouteLatency(TypedDict):
    """The latencies of a route at its current pair of releases. `compared`: the same exchanges, side by side.
    `callers`: what callers waited for the head of an answer, copied or not."""

    route: str
    releases: ReleasePair
    compared: Distributions
    callers: Distributions


def releases_view(
    route: str, evidence: RouteEvidence | None, standing: Standing, now: float
) -> RouteReleases:
    """The pairs of releases of a route, as they stand at `now` (Unix time)."""
    pairs = () if evidence is None else evidence.pairs
    today = datetime.fromtimestamp(now, UTC).date()
    return {
        "route": route,
        "pairs": [_entry(pair, standing, today, current=pair is pairs[-1]) for pair in pairs],
    }


def latency_view(route: str, evidence: RouteEvidence | None) -> RouteLatency:
    """The latencies of a route; empty where nothing was measured."""
    pair = PairEvidence(UNKNOWN, Tally()) if evidence is None else evidence.current
    tally = pair.tally
    return {
        "route": route,
        "releases": _named(pair.releases),
        "compared": _distributions(tally.legacy_ms, tally.extracted_ms),
        "callers": _distributions(tally.legacy_wait_ms, tally.extracted_wait_ms),
    }


def _entry(pair: PairEvidence, standing: Standing, today: date, *, current: bool) -> PairEntry:
    tally = judged(pair, standing, today).pair.tally
    return {
        "releases": _named(pair.releases),
        "since": None if tally.since is None else timestamp(tally.since),
        "until": None if tally.until is None else timestamp(tally.until),
        "compared": tally.compared,
        "mismatch": tally.outcomes["mismatch"],
        "current": current,
    }


def _named(releases: Releases) -> ReleasePair:
    return {"legacy": releases.legacy, "extracted": releases.extracted}


def _distributions(legacy: Histogram, extracted: Histogram) -> Distributions:
    return {"legacy": legacy.ascending(), "extracted": extracted.ascending()}
