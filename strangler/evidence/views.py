"""What became of two reports, for programs: the same from the command and the admin API. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from strangler.evidence.changes import Change, Changes
from strangler.evidence.shape import RouteReport

_LISTS: Final = ("new", "fixed", "unseen", "worse", "better", "persisting")


def worse_for_certain(changes: Changes) -> bool:
    """Whether something got worse for certain: a difference is not new where nothing was compared before."""
    if changes.comparable:
        return changes.got_worse
    known = dataclasses.replace(changes, new=tuple(each for each in changes.new if each.before.pairs))
    return known.got_worse


def changes_view(changes: Changes) -> dict[str, Any]:
    """The lists of changes, each with the worst first, and the routes that are in both reports."""
    return {
        "got_worse": worse_for_certain(changes),
        "comparable": changes.comparable,
        "why_not": list(changes.why_not),
        **{name: [_change(each) for each in getattr(changes, name)] for name in _LISTS},
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


def _change(change: Change) -> dict[str, Any]:
    before, after = change.before, change.after
    return {
        "route": change.route,
        "fingerprint": change.entry,
        "before": {"count": before.count, "pairs": before.pairs},
        "after": {"count": after.count, "pairs": after.pairs},
    }


def _short(route: RouteReport) -> dict[str, Any]:
    return {"releases": route["releases"], "verdict": route["verdict"], "match_rate": route["match_rate"]}
