"""Two reports side by side: what is new, fixed, worse, better or still there. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import msgspec

from strangler.compare import SEVERITIES, Severity, printable
from strangler.evidence.bounds import match_interval
from strangler.evidence.shape import SCHEMA, FingerprintEntry, Report, RouteReport

Direction = Literal["worse", "better", "same"]

#: No count in a report is higher; what is, would not fit the arithmetic of the bounds.
_MOST: Final = 10**15


class ReportError(ValueError):
    """This is not a report. The message is one line."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How often a fingerprint was seen in one report, and among how many pairs."""

    count: int
    pairs: int
    confidence: float

    @property
    def interval(self) -> tuple[float, float]:
        """The rates at which it may occur."""
        return match_interval(min(self.count, self.pairs), self.pairs, self.confidence)


@dataclass(frozen=True, slots=True)
class Change:
    """One fingerprint in both reports. `entry` is the fingerprint as the later report to have it shows it."""

    route: str
    entry: FingerprintEntry
    before: Seen
    after: Seen

    @property
    def severity(self) -> Severity:
        """As in the report."""
        return self.entry["severity"]


@dataclass(frozen=True, slots=True)
class RouteChange:
    """One route in both reports. `direction` is that of the match rate."""

    route: str
    before: RouteReport
    after: RouteReport
    direction: Direction


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of every fingerprint, each list with the worst first.

    `fixed`: gone, and too many pairs have been compared since for that to be chance. `unseen`: not seen
    again, but among too few pairs to call it fixed. `worse` and `better`: the rates at which it may occur do
    not overlap. `persisting`: everything else that is in both. `comparable` is False, with the reasons in
    `why_not`, when the reports do not speak of the same thing; the lists then cover what they share.
    """

    new: tuple[Change, ...] = ()
    fixed: tuple[Change, ...] = ()
    unseen: tuple[Change, ...] = ()
    worse: tuple[Change, ...] = ()
    better: tuple[Change, ...] = ()
    persisting: tuple[Change, ...] = ()
    routes: tuple[RouteChange, ...] = ()
    comparable: bool = True
    why_not: tuple[str, ...] = ()

    @property
    def got_worse(self) -> bool:
        """Whether anything is new or worse, or a route's match rate fell."""
        fell = any(route.direction == "worse" for route in self.routes)
        return bool(self.new or self.worse or fell)


def read_report(data: bytes, name: str) -> Report:
    """A report from the bytes of a file. `name` stands in the message. Raises ReportError."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise ReportError(f"{name}: not JSON: {' '.join(str(problem).split())}") from problem
    if _schema(document, name) != SCHEMA:
        raise ReportError(f"{name}: a report of the format {document['schema']}; this program reads {SCHEMA}")
    _routes(document, name)
    return cast(Report, document)


def compare_reports(before: object, after: object) -> Changes:
    """Compare two reports as they come from JSON. Raises ReportError when one of them is not a report."""
    versions = [_schema(before, "before"), _schema(after, "after")]
    if versions != [SCHEMA, SCHEMA]:
        return Changes(comparable=False, why_not=(_other_schema(*versions),))
    old, new = _routes(before, "before"), _routes(after, "after")
    shared = [name for name in old if name in new]
    changes = [change for name in shared for change in _fingerprints(old[name], new[name])]
    by_name = {
        name: tuple(sorted((change for kind, change in changes if kind == name), key=_worst_first))
        for name in ("new", "fixed", "unseen", "worse", "better", "persisting")
    }
    why_not = tuple(_why_not(old, new))
    return Changes(
        **by_name,
        routes=tuple(_route(name, old[name], new[name]) for name in shared),
        comparable=not why_not,
        why_not=why_not,
    )


def _schema(document: object, which: str) -> str:
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("strangler.report/"):
        raise ReportError(f"{which}: not a report: it should have the schema {SCHEMA!r}")
    return schema


def _other_schema(before: str, after: str) -> str:
    return f"the reports are of the formats {before} and {after}; this program compares {SCHEMA}"


def _routes(document: Any, which: str) -> dict[str, RouteReport]:
    try:
        report = msgspec.convert(document, Report)
    except msgspec.ValidationError as problem:
        raise ReportError(f"{which}: not a report: {' '.join(str(problem).split())}") from problem
    except RecursionError:
        raise ReportError(f"{which}: not a report: nested too deep") from None
    routes = {route["route"]: route for route in report["routes"]}
    if len(routes) != len(report["routes"]):
        raise ReportError(f"{which}: not a report: a route is in it twice")
    for name, route in routes.items():
        fault = _counts_fault(route)
        if fault:
            raise ReportError(f"{which}: not a report: route {printable(name, 200)}: {fault}")
    return routes


def _counts_fault(route: RouteReport) -> str | None:
    counts = [
        route["outcomes"]["match"],
        route["outcomes"]["noise"],
        route["outcomes"]["accepted"],
        route["outcomes"]["transient"],
        route["outcomes"]["mismatch"],
        *(entry["count"] for entry in route["fingerprints"]),
    ]
    if min(counts) < 0 or max(counts) > _MOST:
        return "a count that cannot be"
    if not 0 < route["match_rate"]["confidence"] < 1:
        return "a confidence that is not between 0 and 1"
    return None


def _why_not(old: dict[str, RouteReport], new: dict[str, RouteReport]) -> Iterator[str]:
    for name in sorted(old.keys() - new.keys()):
        yield f"route {printable(name, 200)} is only in the report before"
    for name in sorted(new.keys() - old.keys()):
        yield f"route {printable(name, 200)} is only in the report after"
    if not old and not new:
        yield "neither report has a route"
    shared = [(name, _pairs(old[name]), _pairs(new[name])) for name in old if name in new]
    for name, before, after in shared:
        if (before == 0) != (after == 0):
            yield f"route {printable(name, 200)}: no pair in the report {'after' if before else 'before'}"
    for name in sorted(old.keys() & new.keys()):
        if (rules := _rules(old[name])) is not None and (others := _rules(new[name])) is not None:
            if gone := sorted(rules - others):
                rule = printable(gone[0], 200)
                yield f"route {printable(name, 200)}: the report after was made without the rule {rule}"
            if added := sorted(others - rules):
                rule = printable(added[0], 200)
                yield f"route {printable(name, 200)}: the report before was made without the rule {rule}"
    if shared and not any(before and after for _, before, after in shared):
        yield "no route has pairs in both reports"


def _rules(route: RouteReport) -> set[str] | None:
    """The rules that a report was made under; None for one that does not say."""
    return {each["rule"] for each in route["rules"]} if "rules" in route else None


def _pairs(route: RouteReport) -> int:
    outcomes = route["outcomes"]
    return outcomes["match"] + outcomes["noise"] + outcomes["accepted"] + outcomes["mismatch"]


def _matches(route: RouteReport) -> int:
    return _pairs(route) - route["outcomes"]["mismatch"]


_Kind = Literal["new", "fixed", "unseen", "worse", "better", "persisting"]


def _fingerprints(before: RouteReport, after: RouteReport) -> Iterator[tuple[_Kind, Change]]:
    old = {entry["id"]: entry for entry in before["fingerprints"]}
    new = {entry["id"]: entry for entry in after["fingerprints"]}
    for identity in old | new:
        entry = new.get(identity) or old[identity]
        change = Change(
            after["route"], entry, _seen(before, old.get(identity)), _seen(after, new.get(identity))
        )
        yield _kind(change), change


def _seen(route: RouteReport, entry: FingerprintEntry | None) -> Seen:
    return Seen(entry["count"] if entry else 0, _pairs(route), route["match_rate"]["confidence"])


def _kind(change: Change) -> _Kind:
    if change.after.count and change.entry.get("outcome", "mismatch") != "mismatch":
        return "persisting"  # noise or accepted: no news, however often it comes
    trend = _trend(change.before.interval, change.after.interval)
    if not change.before.count:
        return "new"
    if not change.after.count:
        return "fixed" if trend == "down" else "unseen"
    if trend == "same":
        return "persisting"
    return "worse" if trend == "up" else "better"


def _trend(before: tuple[float, float], after: tuple[float, float]) -> Literal["up", "down", "same"]:
    """Which way a rate went; `same` while the two intervals overlap."""
    if after[0] > before[1]:
        return "up"
    return "down" if after[1] < before[0] else "same"


def _route(name: str, before: RouteReport, after: RouteReport) -> RouteChange:
    rates = [
        match_interval(_matches(route), _pairs(route), route["match_rate"]["confidence"])
        for route in (before, after)
    ]
    direction: dict[str, Direction] = {"up": "better", "down": "worse", "same": "same"}
    return RouteChange(name, before, after, direction[_trend(rates[0], rates[1])])


def _worst_first(change: Change) -> tuple[int, int, str, str]:
    most = max(change.before.count, change.after.count)
    return SEVERITIES.index(change.severity), -most, change.route, change.entry["id"]
