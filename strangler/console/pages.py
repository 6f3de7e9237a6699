"""What each page shows. The numbers come from the same functions as the JSON API's; here they are only picked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web
from markupsafe import Markup

from strangler.console import board as boards
from strangler.console.fingerprint import fingerprint_view
from strangler.console.panel import Panel
from strangler.console.problems import Refusal
from strangler.console.route_page import route_page
from strangler.console.views import entry_view, history_view
from strangler.cutover import CutoverError, ledger, read_orders
from strangler.cutover.diagram import picture
from strangler.cutover.drawing import svg
from strangler.cutover.mermaid import mermaid
from strangler.cutover.past import parse_moment, table_at
from strangler.cutover.report import asked_for, latency_on, progress_on, seen_at_on
from strangler.cutover.views import past_view

#: Entries of the ledger on one page.
ENTRIES: Final = 100


def board(panel: Panel, request: web.Request) -> Mapping[str, Any]:
    """`/`: every route, and the migration as a whole."""
    table = panel.table()
    return boards.board(
        table,
        panel.report(None),
        panel.lately(),
        progress_on(table, panel.state),
        over=request.query.get("over", "hour"),
        query=request.query.get("q", "")[:200],
    )


def history(panel: Panel, request: web.Request) -> Mapping[str, Any]:
    """`/history`: the ledger, newest first, and the table as it was at a moment."""
    route, at = request.query.get("route") or None, request.query.get("at", "")
    told = ledger.read(panel.state, route)
    before = request.query.get("before", "")
    limit = int(before) if before.isascii() and before.isdigit() and len(before) < 12 else None
    view = history_view(told)
    entries = [each for each in reversed(view["entries"]) if limit is None or each["number"] < limit]
    past, wrong = None, []
    if at:
        now = datetime.now(UTC)
        try:
            then = parse_moment(at, now, UTC)
            routes, number = table_at(ledger.read(panel.state), then, now)
            past = past_view(routes, then, number)
        except CutoverError as error:
            wrong.append(str(error))
    return {
        "names": [each.name for each in panel.table().routes],
        "route": route,
        "asked_at": at,
        "past": past,
        "entries": entries[:ENTRIES],
        "total": len(entries),
        "broken": view["broken"],
        "troubles": [*wrong, *view["broken"], *view["torn"]],
    }


def entry(panel: Panel, request: web.Request) -> Mapping[str, Any]:
    """`/history/{number}`: one entry of the ledger, and whether it is in force."""
    asked = request.match_info["number"]
    told = ledger.read(panel.state)
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else 0
    if not 1 <= number <= len(told.entries):
        raise Refusal(404, f"the ledger has {len(told.entries)} entries")
    found = told.entries[number - 1]
    return {
        "number": number,
        "entry": entry_view(found),
        "is_last": number == len(told.entries),
        "in_force": panel.table().digest == found.file_after,
    }


def route(panel: Panel, request: web.Request) -> Mapping[str, Any]:
    """`/routes/{name}`: what is known of a route."""
    (known,) = asked_for(panel.table(), request.match_info["name"])
    report, order = panel.report(known.name), read_orders(panel.state).get(known.name)
    return route_page(
        known,
        report["routes"][0],
        latency_on(panel.table(), panel.state, known.name),
        report["generated_at"],
        paused=order is not None and order.paused,
        seen_at=seen_at_on(panel.state, known.name),
    )


def fingerprint(panel: Panel, request: web.Request) -> Mapping[str, Any]:
    """`/fingerprints/{id}`: one kind of difference, with both answers side by side."""
    return {"found": fingerprint_view(panel, request.match_info["id"])}


def diagram(panel: Panel, request: web.Request) -> Mapping[str, Any]:
    """`/diagram`: who answers what, as a picture."""
    drawn = picture(panel.table())
    # The drawing escapes what it shows by itself; nothing else on these pages is markup that no template has made.
    return {"picture": Markup(svg(drawn, alone=False)), "mermaid": mermaid(drawn)}
