"""The admin listener's application: every endpoint and page, as docs/commands.md lists them."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from strangler.console import compare_page, hands, login, looks, pages
from strangler.console.answer import json_answer
from strangler.console.changes import LARGEST_BODY, order, patch, rollback
from strangler.console.compare import TURN, compare
from strangler.console.diagram import diagram
from strangler.console.events import PULSE, Pulse, end_streams, events
from strangler.console.fingerprint import fingerprint
from strangler.console.guard import guard
from strangler.console.live import Page
from strangler.console.openapi import document
from strangler.console.panel import PANEL, Panel
from strangler.console.problems import problems
from strangler.console.readings import asked, latency, releases, report
from strangler.console.session import SESSIONS, Sessions
from strangler.console.views import OneRoute, history_view, route_view, table_view
from strangler.cutover import ledger
from strangler.cutover.past import parse_moment, table_at
from strangler.cutover.report import asked_for, progress_on
from strangler.cutover.views import past_view

#: Seconds that /metrics waits for the report: well within the ten that Prometheus waits for /metrics.
REPORT_WITHIN = 3.0
#: When it takes longer, for thousands of routes, the one before will do while it is not older than this (seconds).
REPORT_OLDEST = 60.0

log = logging.getLogger("strangler.console")


def make_app(panel: Panel) -> web.Application:
    """The application for `web.AppRunner`. To be called on the loop that will run it."""
    app = web.Application(middlewares=[problems, guard], client_max_size=LARGEST_BODY)
    app[PANEL] = panel
    app[PULSE] = Pulse()
    app[TURN] = asyncio.Lock()
    app[SESSIONS] = Sessions(panel.token)
    login.prepare(app)
    app.add_routes(
        [
            web.get("/", Page("board.html", pages.board).answer),
            web.get("/routes/{name}", Page("route.html", pages.route).answer),
            web.get("/routes/{name}/change", hands.ask),
            web.post("/routes/{name}/change", hands.make),
            web.get("/fingerprints/{id}", Page("fingerprint.html", pages.fingerprint).answer),
            web.get("/history", Page("history.html", pages.history).answer),
            web.get("/history/{number}", Page("entry.html", pages.entry).answer),
            web.get("/compare", compare_page.ask),
            web.post("/compare", compare_page.upload),
            web.get("/diagram", Page("diagram.html", pages.diagram).answer),
            web.get("/login", login.ask),
            web.post("/login", login.begin),
            web.post("/logout", login.end),
            web.get("/static/{name}", looks.static),
            web.get("/healthz", _healthz),
            web.get("/readyz", _readyz),
            web.get("/metrics", _metrics),
            web.get("/api/v1/openapi.json", _openapi),
            web.get("/api/v1/routes", _routes),
            web.get("/api/v1/routes/{name}", _route),
            web.get("/api/v1/routes/{name}/question", asked),
            web.patch("/api/v1/routes/{name}", patch),
            web.post("/api/v1/routes/{name}/rollback", rollback),
            web.post("/api/v1/routes/{name}/ramp", order),
            web.get("/api/v1/lately", _lately),
            web.get("/api/v1/progress", _progress),
            web.get("/api/v1/report", report),
            web.get("/api/v1/report/{name}", report),
            web.get("/api/v1/releases/{name}", releases),
            web.get("/api/v1/latency/{name}", latency),
            web.get("/api/v1/fingerprints/{id}", fingerprint),
            web.post("/api/v1/compare", compare),
            web.get("/api/v1/history", _history),
            web.get("/api/v1/diagram", diagram),
            web.get("/api/v1/events", events, allow_head=False),
        ]
    )
    app.on_shutdown.append(end_streams)
    return app


async def _healthz(request: web.Request) -> web.Response:
    return json_answer({"status": "ok"})


async def _readyz(request: web.Request) -> web.Response:
    ready = request.app[PANEL].ready()
    return json_answer({"status": "ready" if ready else "not ready"}, 200 if ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    """Whatever becomes of the evidence, the rest of the numbers is told, and in time: they say what is wrong."""
    panel = request.app[PANEL]
    text = await asyncio.to_thread(panel.metrics, await _report_in_time(request.app[PULSE], panel))
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


async def _report_in_time(pulse: Pulse, panel: Panel) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(REPORT_WITHIN):
            return await pulse.report(panel)
    except TimeoutError:
        return pulse.known_report(REPORT_OLDEST)
    except Exception as error:
        log.warning("/metrics goes without the report: %s", error or type(error).__name__)
        return None


async def _openapi(request: web.Request) -> web.Response:
    return json_answer(await asyncio.to_thread(document))


async def _routes(request: web.Request) -> web.Response:
    panel = request.app[PANEL]
    return json_answer(table_view(panel.table(), panel.faults(), panel.out()))


async def _route(request: web.Request) -> web.Response:
    panel = request.app[PANEL]
    table = panel.table()
    (route,) = asked_for(table, request.match_info["name"])
    found: OneRoute = {
        **route_view(route),
        "table": table.digest,
        "faults": panel.faults(),
        "out": route.extracted in panel.out(),
    }
    return json_answer(found)


async def _lately(request: web.Request) -> web.Response:
    return json_answer(await asyncio.to_thread(request.app[PANEL].lately))


async def _progress(request: web.Request) -> web.Response:
    panel = request.app[PANEL]
    return json_answer(await asyncio.to_thread(progress_on, panel.table(), panel.state))


async def _history(request: web.Request) -> web.Response:
    state, moment = request.app[PANEL].state, request.query.get("at")
    if moment is not None:
        now = datetime.now(UTC)
        then = parse_moment(moment, now, UTC)
        routes, number = table_at(await asyncio.to_thread(ledger.read, state), then, now)
        return json_answer(past_view(routes, then, number))
    history = await asyncio.to_thread(ledger.read, state, request.query.get("route"))
    return json_answer(history_view(history))
