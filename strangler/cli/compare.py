"""`strangler compare`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from strangler.cli.common import as_json_option, console, places, print_json
from strangler.evidence import Change, Changes, RouteReport, compare_reports, read_report, render_changes

_LISTS = ("new", "fixed", "unseen", "worse", "better", "persisting")


@click.command(short_help="Compare two reports.")
@click.argument("before", type=click.Path(path_type=Path), metavar="BEFORE.json")
@click.argument("after", type=click.Path(path_type=Path), metavar="AFTER.json")
@as_json_option
@places
def compare(routes: Path, state: Path, before: Path, after: Path, as_json: bool) -> int:
    """Compare two reports: which differences are new, fixed, worse, better or still there.

    Exit code 1 when something got worse, 3 when the reports cannot be compared.

    \b
    Example:
      strangler compare before.json after.json
    """
    changes = compare_reports(*(read_report(path.read_bytes(), str(path)) for path in (before, after)))
    worse = _got_worse(changes)
    if as_json:
        print_json(_described(changes, worse))
    else:
        render_changes(changes, console())
    if worse:
        return 1
    return 0 if changes.comparable else 3


def _got_worse(changes: Changes) -> bool:
    """Whether something got worse for certain: a difference is not new where nothing was compared before."""
    if changes.comparable:
        return changes.got_worse
    known = dataclasses.replace(changes, new=tuple(each for each in changes.new if each.before.pairs))
    return known.got_worse


def _described(changes: Changes, worse: bool) -> dict[str, object]:
    lists = {name: [_change(each) for each in getattr(changes, name)] for name in _LISTS}
    return {
        "got_worse": worse,
        "comparable": changes.comparable,
        "why_not": list(changes.why_not),
        **lists,
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


def _change(change: Change) -> dict[str, object]:
    before, after = change.before, change.after
    return {
        "route": change.route,
        "fingerprint": change.entry,
        "before": {"count": before.count, "pairs": before.pairs},
        "after": {"count": after.count, "pairs": after.pairs},
    }


def _short(route: RouteReport) -> dict[str, object]:
    return {"releases": route["releases"], "verdict": route["verdict"], "match_rate": route["match_rate"]}
