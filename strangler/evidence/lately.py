"""What has passed lately: rates of the last minute, and the last hour minute by minute. Pure: the clock is an argument.

Every few seconds a sample is taken: all counts, as they stand. Between two samples lies a span, which is known by what
has grown. The last minute is kept span by span, with what callers waited; the last hour by the minute, without. What
nobody watched is in neither, so it can never be taken for a time without traffic.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypedDict

from strangler.evidence.judged import Judged
from strangler.evidence.observation import Releases
from strangler.evidence.report import callers, timestamp
from strangler.evidence.tally import Histogram

#: Rates are over so many seconds. A span that is longer tells of no minute: it is a gap.
RATES: Final = 60.0
MINUTE: Final = 60
#: Minutes that are kept.
MINUTES: Final = 60
#: Routes that are kept by the minute: those with the most mismatches, then those with the most requests.
ROUTES: Final = 500
#: What a route name is for requests that no route claims.
UNCLAIMED: Final = ""

_INSTEAD: Final = frozenset({"fallback", "rerouted", "refused"})
_ANSWERED: Final = frozenset(
    f"{side}_{what}"
    for side in ("legacy", "extracted")
    for what in ("1xx", "2xx", "3xx", "4xx", "5xx", "failed")
)
_WAIT: Final = "_wait_"


class Compared(NamedTuple):
    """What has become of a route's exchanges at one pair of releases: `compared` of them, `pairs` that settled,
    `mismatches` among those. The last two are as judged at the moment."""

    compared: int
    pairs: int
    mismatches: int


#: Counts of the gateways by route and column, and compared exchanges by route and releases; since they began.
Counts = Mapping[tuple[str, str], int]
Outcomes = Mapping[tuple[str, Releases], Compared]


@dataclass(frozen=True, slots=True)
class Sample:
    """All counts at a moment (Unix seconds)."""

    at: float
    traffic: Counts = field(default_factory=dict)
    outcomes: Outcomes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """What was counted between two samples, by route and column."""

    began: float
    ended: float
    routes: Mapping[str, Mapping[str, int]]


class Moment(NamedTuple):
    """What a route had in a minute."""

    requests: int
    pairs: int
    mismatches: int


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute of Unix time, as far as it was watched. `legacy` and `extracted`: callers that each side answered."""

    number: int
    legacy: int = 0
    extracted: int = 0
    routes: Mapping[str, Moment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ring:
    """What is kept, the oldest first. `since` is when the first sample was taken (Unix seconds)."""

    since: float | None = None
    last: Sample | None = None
    spans: tuple[Span, ...] = ()
    minutes: tuple[Minute, ...] = ()


class LatelySide(TypedDict):
    """Callers of one side while the rates were taken, counted as in the report's `traffic`; None: nobody asked."""

    requests: int
    errors: int
    error_rate: float | None
    p99_ms: float | None


class LatelyMinute(TypedDict):
    """Callers that each side answered in a minute, all routes and what none claims."""

    at: str
    legacy: int
    extracted: int


class RouteMinute(TypedDict):
    """A minute of one route: callers, compared pairs, and mismatches among those."""

    at: str
    requests: int
    pairs: int
    mismatches: int


class LatelyRoute(TypedDict):
    """One route. Its minutes begin with the first in which it had traffic."""

    requests_per_second: float | None
    legacy: LatelySide
    extracted: LatelySide
    minutes: list[RouteMinute]


class LatelyUnclaimed(TypedDict):
    """What no route claims: the legacy side answers it."""

    requests_per_second: float | None
    legacy: LatelySide


class Lately(TypedDict):
    """The last minute and the last hour. `seconds` is what the rates are over: 0 when nothing is known of the last
    minute, and then they are None. Minutes that nobody watched are not in the lists; the last may still be going on."""

    at: str
    seconds: float
    since: str
    minutes: list[LatelyMinute]
    routes: dict[str, LatelyRoute]
    unclaimed: LatelyUnclaimed


def outcomes_of(known: Mapping[str, Iterable[Judged]]) -> dict[tuple[str, Releases], Compared]:
    """The compared exchanges of evidence that has been judged, for a sample."""
    return {
        (route, each.pair.releases): Compared(
            each.pair.tally.compared, each.pair.tally.pairs, each.pair.tally.outcomes["mismatch"]
        )
        for route, pairs in known.items()
        for each in pairs
    }


def sampled(ring: Ring, sample: Sample, most: int = ROUTES) -> Ring:
    """The ring with one more sample. The first says what there was before; with a clock that was set back, all begins
    anew. `most` routes are kept by the minute."""
    last = ring.last
    if last is None or sample.at <= last.at:
        return Ring(sample.at, sample)
    if sample.at - last.at > RATES:
        return Ring(ring.since, sample, (), _within(ring.minutes, sample.at))
    span = Span(last.at, sample.at, _passed(last.traffic, sample.traffic))
    spans = (*(each for each in ring.spans if each.ended > sample.at - RATES), span)
    minutes = _counted(ring.minutes, span, _settled(last.outcomes, sample.outcomes), most)
    return Ring(ring.since, sample, spans, _within(minutes, sample.at))


def lately(ring: Ring, now: float) -> Lately:
    """What the ring tells at `now` (Unix seconds)."""
    spans = [span for span in ring.spans if span.ended > now - RATES]
    seconds = sum(span.ended - span.began for span in spans)
    counts = _added(spans)
    minutes = _within(ring.minutes, now)
    histories = _histories(minutes)
    unclaimed = counts.pop(UNCLAIMED, Counter())
    return {
        "at": timestamp(now if ring.last is None else ring.last.at),
        "seconds": round(seconds, 1),
        "since": timestamp(now if ring.since is None else ring.since),
        "minutes": [
            {"at": _began(minute), "legacy": minute.legacy, "extracted": minute.extracted}
            for minute in minutes
        ],
        "routes": {
            name: _route(counts.get(name, Counter()), histories.get(name, []), seconds)
            for name in sorted(counts.keys() | histories.keys())
        },
        "unclaimed": {
            "requests_per_second": _rate(unclaimed, seconds),
            "legacy": _legacy(unclaimed),
        },
    }


# -- one more sample -----------------------------------------------------------------------------------------


def _passed(before: Counts, now: Counts) -> dict[str, dict[str, int]]:
    """What has grown, of what callers asked and how long they waited. Rows of endpoints are no routes."""
    routes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for key, count in now.items():
        grown = count - before.get(key, 0)
        if grown > 0:
            route, column = key
            told = column in _ANSWERED or column in _INSTEAD or _WAIT in column
            if told and not route.startswith("/"):
                routes[route][column] = grown
    return dict(routes)


def _settled(before: Outcomes, now: Outcomes) -> dict[str, tuple[int, int]]:
    """The pairs and mismatches that came between two samples, by route.

    What is judged otherwise by now (noise that was learned, an acceptance that expired) is not from just now: so there
    are never fewer than none, nor more than what was compared meanwhile.
    """
    found: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for key, counts in now.items():
        then = before.get(key)
        if counts == then:
            continue
        grown = Compared(*(new - old for new, old in zip(counts, then or (0, 0, 0), strict=True)))
        pairs = max(0, min(grown.pairs, grown.compared))
        mismatches = max(0, min(grown.mismatches, pairs))
        if pairs:
            all_pairs, all_mismatches = found[key[0]]
            found[key[0]] = (all_pairs + pairs, all_mismatches + mismatches)
    return dict(found)


def _counted(
    minutes: tuple[Minute, ...], span: Span, settled: Mapping[str, tuple[int, int]], most: int
) -> tuple[Minute, ...]:
    """The minutes with a span in them: in the one that most of it lies in."""
    number = int((span.began + span.ended) / 2 // MINUTE)
    if minutes and minutes[-1].number >= number:
        minutes, last = minutes[:-1], minutes[-1]
    else:
        minutes, last = _fewer(minutes, most), Minute(number)
    legacy, extracted = last.legacy, last.extracted
    routes = dict(last.routes)
    for name in span.routes.keys() | settled.keys():
        by_legacy, by_extracted = _answered(span.routes.get(name, {}))
        legacy, extracted = legacy + by_legacy, extracted + by_extracted
        if name != UNCLAIMED:
            requests, pairs, mismatches = routes.get(name, (0, 0, 0))
            more = settled.get(name, (0, 0))
            routes[name] = Moment(requests + by_legacy + by_extracted, pairs + more[0], mismatches + more[1])
    return (*minutes, Minute(last.number, legacy, extracted, routes))


def _fewer(minutes: tuple[Minute, ...], most: int) -> tuple[Minute, ...]:
    """Of too many routes, those that tell the most; the others lose all their minutes, so none is shown with holes."""
    if len({name for minute in minutes for name in minute.routes}) <= most:
        return minutes
    weights: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for minute in minutes:
        for name, (requests, _, mismatches) in minute.routes.items():
            before = weights[name]
            weights[name] = (before[0] + mismatches, before[1] + requests)
    kept = set(heapq.nlargest(most, weights, key=lambda name: (weights[name], name)))
    return tuple(
        Minute(
            minute.number,
            minute.legacy,
            minute.extracted,
            {name: moment for name, moment in minute.routes.items() if name in kept},
        )
        for minute in minutes
    )


def _within(minutes: tuple[Minute, ...], now: float) -> tuple[Minute, ...]:
    """Those of the last hour."""
    oldest = int(now // MINUTE) - MINUTES
    return tuple(minute for minute in minutes if minute.number > oldest)


# -- what the ring tells -------------------------------------------------------------------------------------


def _added(spans: Iterable[Span]) -> dict[str, Counter[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for span in spans:
        for name, counts in span.routes.items():
            found[name].update(counts)
    return dict(found)


def _histories(minutes: Sequence[Minute]) -> dict[str, list[RouteMinute]]:
    """Route by route its minutes, from the first in which there was anything: after that, nothing is none."""
    found: dict[str, list[RouteMinute]] = {}
    for place, minute in enumerate(minutes):
        for name in minute.routes:
            if name not in found:
                found[name] = list(_history(minutes[place:], name))
    return found


def _history(minutes: Iterable[Minute], name: str) -> Iterator[RouteMinute]:
    for minute in minutes:
        requests, pairs, mismatches = minute.routes.get(name, (0, 0, 0))
        yield {"at": _began(minute), "requests": requests, "pairs": pairs, "mismatches": mismatches}


def _route(counts: Counter[str], minutes: list[RouteMinute], seconds: float) -> LatelyRoute:
    extracted = callers(counts)["extracted"]
    return {
        "requests_per_second": _rate(counts, seconds),
        "legacy": _legacy(counts),
        "extracted": _side(extracted["requests"], extracted["errors"], counts, "extracted"),
        "minutes": minutes,
    }


def _legacy(counts: Counter[str]) -> LatelySide:
    legacy = callers(counts)["legacy"]
    return _side(legacy["requests"], legacy["errors"], counts, "legacy")


def _side(requests: int, errors: int, counts: Counter[str], side: str) -> LatelySide:
    waits = Histogram()
    begin = side + _WAIT
    for column, count in counts.items():
        if column.startswith(begin):
            waits.buckets[int(column.removeprefix(begin))] += count
    p99 = waits.quantile(0.99)
    return {
        "requests": requests,
        "errors": errors,
        "error_rate": round(errors / requests, 6) if requests else None,
        "p99_ms": None if p99 is None else round(p99, 3),
    }


def _rate(counts: Mapping[str, int], seconds: float) -> float | None:
    return round(sum(_answered(counts)) / seconds, 3) if seconds else None


def _answered(counts: Mapping[str, int]) -> tuple[int, int]:
    """How many callers each side answered itself: one whom the legacy side answered in the extracted side's place is
    one of the legacy side's."""
    sides = callers(counts)
    extracted = sides["extracted"]
    return sides["legacy"]["requests"], extracted["requests"] - extracted["fallback"] - extracted["rerouted"]


def _began(minute: Minute) -> str:
    return timestamp(float(minute.number * MINUTE))
