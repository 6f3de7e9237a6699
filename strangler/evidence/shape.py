"""The fixed shape of a report, `strangler.report/1`, as types: docs/report.md says what each field means."""

from __future__ import annotations

from typing import Final, Literal, TypedDict

from strangler.compare import Kind, Severity, Where
from strangler.evidence.verdict import Answer

SCHEMA: Final = "strangler.report/1"


class Window(TypedDict):
    """From the first to the last exchange in the report."""

    since: str
    until: str


class ReleasePair(TypedDict):
    """The two versions that answered."""

    legacy: str
    extracted: str


class Coverage(TypedDict):
    """The coverage ledger: eligible is compared plus all of skipped."""

    eligible: int
    compared: int
    skipped: dict[str, int]


class Outcomes(TypedDict):
    """How the compared exchanges came out; the sum is `compared`."""

    match: int
    noise: int
    accepted: int
    transient: int
    mismatch: int


class MatchRate(TypedDict):
    """The rate, and the interval that holds it at every look."""

    estimate: float | None
    low: float
    high: float
    confidence: float
    pairs_needed: int | None


class StatusPair(TypedDict):
    """How often these two statuses met."""

    legacy: int
    extracted: int
    count: int


class Quantiles(TypedDict):
    """Milliseconds, within 2 %; None when nothing was measured."""

    p50: float | None
    p90: float | None
    p99: float | None


class Latency(TypedDict):
    """The same exchanges, side by side."""

    legacy: Quantiles
    extracted: Quantiles


class FingerprintEntry(TypedDict):
    """One kind of difference."""

    id: str
    where: Where
    path: str
    kind: Kind
    legacy: str
    extracted: str
    severity: Severity
    count: int
    first_seen: str
    last_seen: str
    examples: list[str]


class RouteReport(TypedDict):
    """One route at its current pair of releases."""

    route: str
    stage: Literal["legacy", "shadow", "cutover", "extracted"]
    share: float
    shadow: float
    extracted: str
    releases: ReleasePair
    verdict: Answer
    reasons: list[str]
    coverage: Coverage
    outcomes: Outcomes
    match_rate: MatchRate
    status: list[StatusPair]
    latency_ms: Latency
    fingerprints: list[FingerprintEntry]


class Report(TypedDict):
    """A report."""

    schema: str
    generated_at: str
    window: Window
    routes: list[RouteReport]


class FullExample(TypedDict):
    """One example with all that was kept of it."""

    at: str
    method: str
    target: str
    legacy_value: str
    extracted_value: str
    legacy_body: str
    extracted_body: str


class FingerprintDetail(TypedDict):
    """One fingerprint at one pair of releases, with its examples in full."""

    id: str
    route: str
    method: str
    releases: ReleasePair
    where: Where
    path: str
    kind: Kind
    legacy: str
    extracted: str
    severity: Severity
    count: int
    first_seen: str
    last_seen: str
    examples: list[FullExample]
