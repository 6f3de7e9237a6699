"""What the admin API tells of the evidence: the report, at any releases, the releases there were, latencies, and what a
change would do."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

from strangler.console.answer import asked_once, json_answer
from strangler.console.panel import PANEL
from strangler.console.problems import Refusal
from strangler.cutover import settled_value
from strangler.cutover.question import question
from strangler.cutover.report import asked_for, latency_on, releases_on
from strangler.evidence import Releases, RouteReport
from strangler.routes import parse_percent


async def report(request: web.Request) -> web.Response:
    """The report on all routes, or on one; on one perhaps at a pair of releases."""
    panel, name = request.app[PANEL], request.match_info.get("name")
    asked_for(panel.table(), name)
    releases = None if name is None else _releases(request)
    return json_answer(await asyncio.to_thread(panel.report, name, releases))


async def releases(request: web.Request) -> web.Response:
    """The pairs of releases that there is evidence of."""
    panel, name = request.app[PANEL], request.match_info["name"]
    return json_answer(await asyncio.to_thread(releases_on, panel.table(), panel.state, name))


async def latency(request: web.Request) -> web.Response:
    """The latencies of a route as distributions."""
    panel, name = request.app[PANEL], request.match_info["name"]
    return json_answer(await asyncio.to_thread(latency_on, panel.table(), panel.state, name))


async def asked(request: web.Request) -> web.Response:
    """What it would do to set a share."""
    panel, name, share = request.app[PANEL], request.match_info["name"], asked_once(request, "share")
    (route,) = asked_for(panel.table(), name)
    if share is None:
        raise Refusal(400, "name the share that is asked about: ?share=25%25, which is 25% in a query")
    to = parse_percent(settled_value(share))
    found = await asyncio.to_thread(panel.report, name)
    return json_answer(question(route, cast(RouteReport, found["routes"][0]), to))


def _releases(request: web.Request) -> Releases | None:
    legacy, extracted = asked_once(request, "legacy"), asked_once(request, "extracted")
    if legacy is None and extracted is None:
        return None
    if legacy is None or extracted is None:
        raise Refusal(400, "name the releases of both sides: ?legacy=RELEASE&extracted=RELEASE")
    return Releases(legacy, extracted)
