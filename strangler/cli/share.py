"""`strangler share`, `strangler shadow`, `strangler rollback`: one value of routes.yaml, changed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from strangler.cli.common import complain, places, say, who
from strangler.cli.running import NoAnswer, Server, running, taken
from strangler.cutover import CutoverError, Entry, change, read_moves, read_table, roll_back, settled_value
from strangler.cutover.file import Edited
from strangler.cutover.report import verdict_line
from strangler.routes import Faults, format_percent, parse_percent

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
@click.option(
    "--to",
    metavar="N",
    help="A lower share, such as 5%, or the number of an entry of `strangler history`: as it stood right after that.",
)
@_WHY
@places
def rollback(routes: Path, state: Path, route: str, to: str | None, why: str) -> int:
    """Give callers of a route back to the legacy side: all of them, or down to a share. The shadow stays.

    A ramp stays down, too, until `strangler ramp resume`. When routes.yaml is faulty or cannot be written, the share
    is kept in the state directory and holds all the same.

    \b
    Examples:
      strangler rollback payment-read --why 'totals differ'
      strangler rollback payment-read --to 5%
    """
    told = verdict_now(routes, state, route)
    entry = roll_back(routes, state, route, to, who=who(), why=why or "rollback", evidence=told)
    if entry is None:
        say(f"{route}: share is {_share_now(routes, state, route)} already")
        return 0
    return tell_change(routes, state, entry)


def _set(routes: Path, state: Path, route: str, key: Edited, percent: str, why: str) -> int:
    entry = change(
        routes, state, route, key, percent, who=who(), why=why, evidence=verdict_now(routes, state, route)
    )
    if entry is None:
        say(f"{route}: {key} is {settled_value(percent)} already")
        return 0
    return tell_change(routes, state, entry)


def _share_now(routes: Path, state: Path, route: str) -> str:
    try:
        return format_percent(read_table(routes, state)[0].share_of(route) or 0)
    except Faults:
        return "as low"


def tell_change(routes: Path, state: Path, entry: Entry) -> int:
    """Say what was changed, and whether the running proxy goes by it."""
    say(f"{entry.route}: {entry.key} {entry.from_} -> {entry.to}")
    kept = read_moves(state).get(entry.route)
    if kept is not None and kept.at == entry.at:
        complain(f"kept in {state}, since routes.yaml could not be told: {kept.problem}")
    _say_whether_in_force(routes, state, entry)
    return 0


def verdict_now(routes: Path, state: Path, route: str) -> str:
    """What the evidence says of a route, for the ledger: "" when nobody knows."""
    try:
        return verdict_line(read_table(routes, state)[0], state, route)
    except (CutoverError, ValueError):
        return ""


def _mention_out_of_order(server: Server, entry: Entry) -> None:
    """Whoever gives callers to a side that cannot take them should hear of it."""
    try:
        shown = server.get(f"/api/v1/routes/{quote(entry.route, safe='')}")
    except NoAnswer:
        return
    if shown.get("out") and shown.get("share"):
        complain(
            f"{shown['extracted']} is out of order: until it is well, the legacy side answers, where `fallback` is on"
        )


def _say_whether_in_force(routes: Path, state: Path, entry: Entry) -> None:
    server = running(state)
    if server is None:
        say("written; no proxy is running with this state folder")
        return
    kept = entry.file_before == entry.file_after
    reason = taken(server, routes, entry.route, entry.key, parse_percent(entry.to) / 1000, kept=kept)
    if reason is None:
        say("in force")
        _mention_out_of_order(server, entry)
    else:
        complain(f"written, but the running proxy has not taken it yet: {reason}")
