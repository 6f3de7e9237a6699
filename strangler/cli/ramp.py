"""`strangler ramp`: look at a ramp, pause it, let it go on, or take its next step without the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from strangler.cli.common import as_json_option, complain, places, print_json, say, who
from strangler.cli.share import tell_change, verdict_now
from strangler.compare import printable
from strangler.cutover import BadValue, read_table, set_order, skip_gate
from strangler.cutover.report import report_on
from strangler.evidence import duration
from strangler.routes import format_percent

_WHY = click.option("--why", default="", metavar="TEXT", help="The reason, for the ledger.")
_SIGNS = {"pass": "yes", "fail": "NO", "inconclusive": "not yet"}


@click.group(short_help="Look at ramps, pause them, let them go on.")
def ramp() -> None:
    """Look at ramps, pause them, let them go on.

    A ramp climbs by itself while `strangler serve` runs, and falls back by itself.

    \b
    Examples:
      strangler ramp show payment-read
      strangler ramp pause payment-read --why 'release day'
      strangler ramp resume payment-read
    """


@ramp.command(short_help="Show what each ramp waits for.")
@click.argument("route", required=False)
@as_json_option
@places
def show(routes: Path, state: Path, route: str | None, as_json: bool) -> int:
    """Show where the ramp of ROUTE stands, or all ramps, and every question of the gate with its answer.

    Exit code 0 when the next step may be taken, 1 when something is shown to be worse, 3 while it is not known.
    """
    table, _ = read_table(routes, state)
    found = [each for each in report_on(table, state, route)["routes"] if "ramp" in each]
    if not found:
        raise BadValue(f"route {route} has no ramp" if route else "no route has a ramp")
    if as_json:
        print_json([{"route": each["route"], "share": each["share"], **each["ramp"]} for each in found])
    else:
        for each in found:
            _tell(each)
    codes = {"pass": 0, "fail": 1, "inconclusive": 3}
    answers = {codes[each["ramp"]["verdict"]] for each in found}
    return 1 if 1 in answers else max(answers)


def _tell(route: dict[str, Any]) -> None:
    ramp = route["ramp"]
    steps = " ".join(f"[{step:g}%]" if step == route["share"] else f"{step:g}%" for step in ramp["steps"])
    say(f"{printable(route['route'], 100)}: {route['share']:g}%, steps {steps}, since {ramp['since']}")
    if ramp["waits"].startswith("for "):
        wait = ramp["wait_seconds"]
        when = f", at the present rate in about {duration(wait)}" if wait else ""
        say(f"  next is {ramp['next']:g}%, when every answer is yes{when}:")
    else:
        say(f"  {printable(ramp['waits'], 1000)}")
    for check in ramp["checks"]:
        say(f"  {_SIGNS[check['verdict']]:>7}  {printable(check['said'], 500)}")


@ramp.command(short_help="Stay on the present step.")
@click.argument("route")
@_WHY
@places
def pause(routes: Path, state: Path, route: str, why: str) -> int:
    """Let the share of ROUTE climb no further. It still falls back when something is shown to be worse."""
    return _order(routes, state, route, why, paused=True)


@ramp.command(short_help="Go on climbing.")
@click.argument("route")
@_WHY
@places
def resume(routes: Path, state: Path, route: str, why: str) -> int:
    """Let the ramp of ROUTE go on: after a pause, a rollback, or a share that was lowered by hand.

    The present step begins anew, and needs evidence of its own.
    """
    return _order(routes, state, route, why, paused=False)


def _order(routes: Path, state: Path, route: str, why: str, *, paused: bool) -> int:
    entry = set_order(routes, state, route, paused=paused, who=who(), why=why)
    say(f"{route}: ramp {entry.from_} -> {entry.to}")
    return 0


@ramp.command(short_help="Take the next step without the gate.")
@click.argument("route")
@_WHY
@places
def skip(routes: Path, state: Path, route: str, why: str) -> int:
    """Take the next step of ROUTE now, whatever the gate says. What it says is kept in the ledger."""
    told = verdict_now(routes, state, route)
    entry = skip_gate(routes, state, route, who=who(), why=why, evidence=told)
    if entry is None:
        share = format_percent(read_table(routes, state)[0].share_of(route) or 0)
        complain(f"{route}: the ramp is finished, at {share}")
        return 1
    return tell_change(routes, state, entry)
