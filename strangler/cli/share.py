"""`strangler share`, `strangler shadow`, `strangler rollback`: one value of routes.yaml, changed."""

from __future__ import annotations

from pathlib import Path

import click

from strangler.cli.common import complain, places, say, who
from strangler.cli.running import running, taken
from strangler.cutover import CutoverError, Entry, change, read_table, settled_value
from strangler.cutover.file import Edited
from strangler.cutover.report import report_on
from strangler.evidence import StoreError
from strangler.routes import parse_percent

_WHY = click.option("--why", default="", metavar="TEXT", help="The reason, for the ledger.")


@click.command(short_help="Set the share of callers who have moved.")
@click.argument("route")
@click.argument("percent")
@_WHY
@places
def share(routes: Path, state: Path, route: str, percent: str, why: str) -> int:
    """Let the extracted side answer PERCENT of a route's callers.

    Edits routes.yaml and writes to the ledger; a running proxy takes it up at once. Callers who have moved
    stay moved while the share rises.

    \b
    Example:
      strangler share payment-read 25% --why 'a day without mismatch'
    """
    return _set(routes, state, route, "share", percent, why)


@click.command(short_help="Set the share of requests copied.")
@click.argument("route")
@click.argument("percent")
@_WHY
@places
def shadow(routes: Path, state: Path, route: str, percent: str, why: str) -> int:
    """Copy PERCENT of a route's safe requests to the side that did not answer, and compare.

    \b
    Example:
      strangler shadow payment-read 100%
    """
    return _set(routes, state, route, "shadow", percent, why)


@click.command(short_help="Give all callers back to the legacy side.")
@click.argument("route")
@_WHY
@places
def rollback(routes: Path, state: Path, route: str, why: str) -> int:
    """Give all callers of a route back to the legacy side: its share becomes 0%. The shadow stays.

    \b
    Example:
      strangler rollback payment-read --why 'totals differ'
    """
    return _set(routes, state, route, "share", "0%", why or "rollback")


def _set(routes: Path, state: Path, route: str, key: Edited, percent: str, why: str) -> int:
    entry = change(
        routes, state, route, key, percent, who=who(), why=why, evidence=_verdict(routes, state, route)
    )
    if entry is None:
        say(f"{route}: {key} is {settled_value(percent)} already")
        return 0
    say(f"{route}: {key} {entry.from_} -> {entry.to}")
    _say_whether_in_force(routes, state, entry)
    return 0


def _verdict(routes: Path, state: Path, route: str) -> str:
    """The verdict at this moment, for the ledger. A change must not wait for it: "" when it cannot be had."""
    try:
        table, _ = read_table(routes, state)
        return str(report_on(table, state, route)["routes"][0]["verdict"])
    except (StoreError, CutoverError, ValueError):
        return ""


def _say_whether_in_force(routes: Path, state: Path, entry: Entry) -> None:
    server = running(state)
    if server is None:
        say("written; no proxy is running with this state folder")
        return
    reason = taken(server, routes, entry.route, entry.key, parse_percent(entry.to) / 1000)
    if reason is None:
        say("in force")
    else:
        complain(f"written, but the running proxy has not taken it yet: {reason}")
