"""`strangler status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table as Grid
from rich.text import Text

from strangler.cli.common import (
    as_json_option,
    complain,
    console,
    mention_missing_evidence,
    places,
    print_json,
    say,
)
from strangler.cli.running import NoAnswer, Server, running
from strangler.compare import printable
from strangler.cutover import read_table
from strangler.cutover.progress import IDLE_DAYS
from strangler.cutover.report import progress_on, report_on
from strangler.evidence import number, percent

WIDE = 100  # columns of a terminal, from which on there is room between those of the table
_COLOURS = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}


@click.command(short_help="Show every route: stage, share, verdict.")
@as_json_option
@click.option(
    "--alive",
    is_flag=True,
    help="Only say whether a proxy runs and answers: exit 0 if so, 1 if not. For health checks.",
)
@click.option(
    "--idle",
    type=click.FloatRange(min=0),
    default=IDLE_DAYS,
    show_default=True,
    metavar="DAYS",
    help="A finished route whose legacy side was not asked for so long can be deleted there.",
)
@places
def status(routes: Path, state: Path, as_json: bool, alive: bool, idle: float) -> int:
    """Show every route: its stage, its share, what the evidence says so far and what a ramp waits for; and how far the
    whole migration is.

    Asks the running proxy when there is one, otherwise reads routes.yaml and the evidence kept on disk.

    \b
    Example:
      strangler status --json
    """
    if alive:
        return _alive(state)
    facts = _facts(routes, state)
    facts["progress"] = (
        progress_on(read_table(routes, state)[0], state, idle) if not facts["faults"] else None
    )
    if as_json:
        print_json(facts)
    else:
        _tell(facts, state)
    return 0


def _alive(state: Path) -> int:
    server = running(state)
    if server is None:
        say("no proxy is running here")
        return 1
    try:
        server.get("/readyz", timeout=2.0)
    except NoAnswer as error:
        complain(str(error))
        return 1
    say(f"running: pid {server.pid}, on {server.listen}")
    return 0


def _facts(routes: Path, state: Path) -> dict[str, Any]:
    server, trouble = running(state), None
    if server is not None:
        try:
            return _from(server)
        except NoAnswer as error:
            trouble = str(error)
    table, _ = read_table(routes, state)
    shown = _described(server, trouble)
    return {
        "server": shown,
        "table": table.digest,
        "faults": [],
        "out": [],
        "legacy": table.legacy,
        "kept": [{"route": name, "file": share / 1000} for name, share in table.kept],
        "routes": [_line(route) for route in report_on(table, state)["routes"]],
    }


def _from(server: Server) -> dict[str, Any]:
    table, report = server.get("/api/v1/routes"), server.get("/api/v1/report")
    return {
        "server": _described(server, None),
        "table": table.get("table"),
        "faults": table.get("faults", []),
        "out": table.get("out", []),
        "legacy": table.get("legacy"),
        "kept": table.get("kept", []),
        "routes": [_line(route) for route in report.get("routes", [])],
    }


def _described(server: Server | None, trouble: str | None) -> dict[str, Any]:
    if server is None:
        return {"running": False}
    facts = {"running": True, "pid": server.pid, "listen": server.listen, "admin": server.admin}
    return facts | ({"trouble": trouble} if trouble else {})


def _line(route: dict[str, Any]) -> dict[str, Any]:
    outcomes = route["outcomes"]
    return {
        "route": route["route"],
        "stage": route["stage"],
        "share": route["share"],
        "shadow": route["shadow"],
        "verdict": route["verdict"],
        "reasons": route["reasons"],
        "pairs": sum(count for outcome, count in outcomes.items() if outcome != "transient"),
        "mismatches": outcomes["mismatch"],
        "eligible": route["coverage"]["eligible"],
        "skipped": sum(route["coverage"]["skipped"].values()),
        "traffic": route.get("traffic"),
        "ramp": route.get("ramp"),
    }


def _tell(facts: dict[str, Any], state: Path) -> None:
    server = facts["server"]
    if server["running"]:
        say(f"running: pid {server['pid']}, on {server['listen']}, admin on {server['admin']}")
    else:
        say("not running")
        mention_missing_evidence(state)
    if "trouble" in server:
        complain(f"strangler: {server['trouble']}; this is what the files say")
    for fault in facts["faults"]:
        complain(fault)
    for kept in facts["kept"]:
        complain(
            f"{_plain(kept['route'])}: the share holds in place of {kept['file']:g}%, as routes.yaml still says"
        )
    if facts["faults"]:
        complain("routes.yaml was saved with faults; the table before it is still running")
    for name in facts["out"]:
        complain(_out_of_order(name, facts["legacy"]))
    console().print(_grid(facts["routes"], narrow=console().width < WIDE))
    _tell_reasons(facts["routes"])
    if facts["progress"] is not None:
        _tell_progress(facts["progress"], len(facts["routes"]))


def _out_of_order(upstream: str, legacy: str | None) -> str:
    if upstream == legacy:
        return f"{_plain(upstream)} is out of order: it is the legacy side, and nobody answers in its place"
    return f"{_plain(upstream)} is out of order: where `fallback` is on, the legacy side answers in its place"


def _tell_progress(found: dict[str, Any], routes: int) -> None:
    say("")
    if found["moved"] is None:
        say("no request in the last 24 hours")
    else:
        moved, requests = percent(found["moved"]), number(found["requests"])
        say(f"the monolith no longer answers {moved} of {requests} requests (last 24 hours)")
    days = [day for day in found["over_time"] if day["moved"] is not None]
    if len(days) > 1:
        say("by day: " + ", ".join(f"{day['day']} {percent(day['moved'])}" for day in days[-7:]))
    say(f"{len(found['finished'])} of {routes} routes finished")
    for each in found["can_be_deleted"]:
        last = f"since {each['last_asked']}" if each["last_asked"] else "as long as there is evidence"
        say(f"{_plain(each['route'])}: the legacy side was not asked {last}: it can be deleted there")


def _plain(value: str) -> str:
    return printable(value, 500)


def _grid(routes: list[dict[str, Any]], *, narrow: bool) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 1 if narrow else 2, 0, 0))
    grid.add_column("route", overflow="fold")
    grid.add_column("stage", no_wrap=True)
    for name in ("share", "shadow", "legacy", "extracted", "pairs", "differ"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("verdict", no_wrap=True)
    for route in routes:
        callers = route["traffic"] or {"legacy": {"requests": 0}, "extracted": {"requests": 0}}
        grid.add_row(
            _text(route["route"]),
            _text(route["stage"]),
            f"{route['share']:g}%",
            f"{route['shadow']:g}%",
            *(str(callers[side]["requests"]) for side in ("legacy", "extracted")),
            str(route["pairs"]),
            str(route["mismatches"]),
            Text(route["verdict"], _COLOURS.get(route["verdict"], "")),
        )
    return grid


def _tell_reasons(routes: list[dict[str, Any]]) -> None:
    """Below the table, where there is room: why each verdict is what it is, or what its ramp waits for."""
    reasons = [(route["route"], reason) for route in routes if (reason := _reason(route))]
    if reasons:
        say("")
    for name, reason in reasons:
        say(f"{_plain(name)}: {_plain(reason)}")


def _reason(route: dict[str, Any]) -> str:
    if route["ramp"] is not None:
        return f"ramp: {route['ramp']['waits']}"
    return route["reasons"][0] if route["reasons"] else ""


def _text(value: str) -> Text:
    return Text(printable(value, 500))
