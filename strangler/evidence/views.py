"""What became of two reports, for programs: the same from the command and the admin API. Pure."""

from __future__ import annotations

import dataclasses
from typing import TypedDict

from strangler.evidence.changes import Change, Changes, Direction
from strangler.evidence.changes import Seen as SeenIn
from strangler.evidence.shape import FingerprintEntry, MatchRate, ReleasePair, RouteReport
from strangler.evidence.verdict import Answer


class SeenCount(TypedDict):
    """How often a fingerprint was seen in one report, and among how many pairs."""

    count: int
    pairs: int


class ChangeEntry(TypedDict):
    """One fingerprint in both reports, as the later one to have it shows it."""

    route: str
    fingerprint: FingerprintEntry
    before: SeenCount
    after: SeenCount


class RouteShort(TypedDict):
    """A route of one report, in short."""

    releases: ReleasePair
    verdict: Answer
    match_rate: MatchRate


class RouteChangeEntry(TypedDict):
    """A route that is in both reports. `direction` is that of its match rate."""

    route: str
    direction: Direction
    before: RouteShort
    after: RouteShort


class Comparison(TypedDict):
    """What became of two reports: see docs/commands.md, `strangler compare`. Each list has the worst first."""

    got_worse: bool
    comparable: bool
    why_not: list[str]
    new: list[ChangeEntry]
    fixed: list[ChangeEntry]
    unseen: list[ChangeEntry]
    worse: list[ChangeEntry]
    better: list[ChangeEntry]
    persisting: list[ChangeEntry]
    routes: list[RouteChangeEntry]


def worse_for_certain(changes: Changes) -> bool:
    """Whether something got worse for certain: a difference is not new where nothing was compared before."""
    if changes.comparable:
        return changes.got_worse
    known = dataclasses.replace(changes, new=tuple(each for each in changes.new if each.before.pairs))
    return known.got_worse


def changes_view(changes: Changes) -> Comparison:
    """The lists of changes, each with the worst first, and the routes that are in both reports."""
    return {
        "got_worse": worse_for_certain(changes),
        "comparable": changes.comparable,
        "why_not": list(changes.why_not),
        "new": [_change(each) for each in changes.new],
        "fixed": [_change(each) for each in changes.fixed],
        "unseen": [_change(each) for each in changes.unseen],
        "worse": [_change(each) for each in changes.worse],
        "better": [_change(each) for each in changes.better],
        "persisting": [_change(each) for each in changes.persisting],
        "routes": [
            {
                "route": each.route,
                "direction": each.direction,
                "before": _short(each.before),
                "after": _short(each.after),
            }
            for each in changes.routes
        ],
    }


def _change(change: Change) -> ChangeEntry:
    return {
        "route": change.route,
        "fingerprint": change.entry,
        "before": _count(change.before),
        "after": _count(change.after),
    }


def _count(seen: SeenIn) -> SeenCount:
    return {"count": seen.count, "pairs": seen.pairs}


def _short(route: RouteReport) -> RouteShort:
    return {"releases": route["releases"], "verdict": route["verdict"], "match_rate": route["match_rate"]}
