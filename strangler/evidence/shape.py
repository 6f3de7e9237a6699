"""The fixed shape of a report, `strangler.report/1`, as types: docs/report.md says what each field means."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

from strangler.compare import Finding, Kind, Severity, Where
from strangler.evidence.observation import Outcome
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


class LatencyDifference(TypedDict):
    """Milliseconds that extracted takes longer for the same request (less: below 0): the median, and the interval
    that holds it at every look. None: too few pairs to bound it on that side."""

    p50: float | None
    low: float | None
    high: float | None


class Latency(TypedDict):
    """The same exchanges, side by side."""

    legacy: Quantiles
    extracted: Quantiles
    difference: NotRequired[LatencyDifference]


class DistinctCounts(TypedDict):
    """How many different requests and callers stand behind the compared pairs; estimates beyond 255."""

    requests: int
    callers: int


class RuleUse(TypedDict):
    """A rule of routes.yaml, and in how many pairs it had work to do."""

    rule: str
    count: int


class NoiseEntry(TypedDict):
    """What is known of a field that differs by itself: `itself` and `sides` are counts of probes in which only the
    one or only the other differed, `chance` the p-value of the paired test."""

    id: str
    path: str
    type: str
    finding: Finding
    probes: int
    both: int
    itself: int
    sides: int
    chance: float


class AcceptedEntry(TypedDict):
    """A fingerprint that routes.yaml accepts. `count`: how often it was seen."""

    fingerprint: str
    reason: str
    until: str
    expired: bool
    count: int


class TransientEntry(TypedDict):
    """What was gone when both sides were asked again."""

    id: str
    path: str
    kind: Kind
    count: int


class Transient(TypedDict):
    """What did not last, and how long it lasted at most, in milliseconds."""

    settled_ms: Quantiles
    fingerprints: list[TransientEntry]


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
    outcome: NotRequired[Outcome]
    share: NotRequired[float]
    requests: NotRequired[int]
    callers: NotRequired[int]


class LegacyTraffic(TypedDict):
    """Callers that the legacy side answered, and how many of them got a 5xx or no whole answer."""

    requests: int
    errors: int


class ExtractedTraffic(TypedDict):
    """Callers of the extracted side: those it failed are `errors`, which holds the three that follow too. Of those the
    legacy side answered in its place, `fallback` when it failed, `rerouted` when nobody asked it because it was out of
    order; `refused`: that would have been too many at once."""

    requests: int
    errors: int
    fallback: int
    rerouted: int
    refused: int


class Traffic(TypedDict):
    """The callers of a route, at its current pair of releases. Copies are not among them."""

    legacy: LegacyTraffic
    extracted: ExtractedTraffic


class CheckEntry(TypedDict):
    """One question of a ramp's gate. `wait_seconds`: until it may pass at the present rate; None: nobody can tell."""

    check: str
    verdict: Answer
    said: str
    wait_seconds: float | None


class HeldEntry(TypedDict):
    """Why a ramp does not climb: `rollback` or `hand`."""

    by: str
    why: str


class RampEntry(TypedDict):
    """Where the ramp of a route stands. Shares in percent; `since` is ISO 8601."""

    steps: list[float]
    next: float | None
    since: str
    held: HeldEntry | None
    verdict: Answer
    waits: str
    wait_seconds: float | None
    checks: list[CheckEntry]


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
    distinct: NotRequired[DistinctCounts]
    rules: NotRequired[list[RuleUse]]
    noise: NotRequired[list[NoiseEntry]]
    accepted: NotRequired[list[AcceptedEntry]]
    transient: NotRequired[Transient]
    traffic: NotRequired[Traffic]
    ramp: NotRequired[RampEntry]
    file_share: NotRequired[float]  # what routes.yaml says, where it could not be told of `share`


class Report(TypedDict):
    """A report."""

    schema: str
    generated_at: str
    window: Window
    routes: list[RouteReport]


class LineEntry(TypedDict):
    """One line of an answer. `path` is collapsed, as a fingerprint's; "" where a line has none."""

    text: str
    path: str
    differs: bool


class SideLines(TypedDict):
    """Both answers as lines, with what differs marked."""

    legacy: list[LineEntry]
    extracted: list[LineEntry]


class RequestText(TypedDict):
    """The request of an example, to copy into a shell, and what to know before."""

    curl: str
    note: str


class RuleTexts(TypedDict):
    """What to copy into routes.yaml, to accept a difference or to ignore its place; None where no rule names it."""

    accept: str
    ignore: str | None


class FullExample(TypedDict):
    """One example with all that was kept of it."""

    at: str
    method: str
    target: str
    legacy_value: str
    extracted_value: str
    legacy_body: str
    extracted_body: str
    lines: NotRequired[SideLines]
    curl: NotRequired[str]
    note: NotRequired[str]


class SeenAt(TypedDict):
    """How often a fingerprint was seen at one pair of releases, and how often it was gone when asked again."""

    releases: ReleasePair
    count: int
    gone: int
    first_seen: str
    last_seen: str


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
    requests: int
    callers: int
    seen_at: list[SeenAt]
    request: NotRequired[RequestText | None]
    rule: NotRequired[RuleTexts]
