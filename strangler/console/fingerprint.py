"""GET /api/v1/fingerprints/{id}: one kind of difference, as a page needs it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import msgspec
from aiohttp import web

from strangler.console.curl import base_address
from strangler.console.detail import detail_view
from strangler.console.panel import PANEL, Panel
from strangler.console.problems import Refusal
from strangler.cutover.report import fingerprint_on
from strangler.evidence import FingerprintDetail
from strangler.routes import Table


async def fingerprint(request: web.Request) -> web.Response:
    """The fingerprint with its examples, its request and its rules."""
    panel, identity = request.app[PANEL], request.match_info["id"]
    answer = await asyncio.to_thread(lambda: msgspec.json.encode(fingerprint_view(panel, identity)))
    return web.Response(body=answer, content_type="application/json", headers={"Cache-Control": "no-store"})


def fingerprint_view(panel: Panel, identity: str) -> FingerprintDetail:
    """The fingerprint of that identity, with all that is known of it. Raises Refusal, evidence.StoreError."""
    found = fingerprint_on(panel.state, identity)
    if found is None:
        raise Refusal(404, f"no fingerprint has the id {identity[:60]!a}")
    table = panel.table()
    return detail_view(found, table, _base(panel, table), time.time())


def _base(panel: Panel, table: Table) -> str:
    listen = table.listen
    if listen.port == 0:  # the system chose; the supervisor has written down which
        listen = replace(listen, port=_port(panel))
    return base_address(listen, tls=table.tls is not None)


def _port(panel: Panel) -> int:
    try:
        facts = msgspec.json.decode((panel.state / "server.json").read_bytes(), type=dict[str, object])
        return int(str(facts["listen"]).rpartition(":")[2])
    except (OSError, msgspec.MsgspecError, KeyError, ValueError):
        return 0
