"""GET /api/v1/events: what changes, as server-sent events (WHATWG HTML section 9.2)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from strangler.console.panel import PANEL, Panel
from strangler.console.problems import Refusal
from strangler.console.views import summary, table_view

#: Seconds between two looks, and between two signs of life when nothing changes.
INTERVAL = 1.0
SIGN_OF_LIFE = 15.0
#: Open streams. A page holds one.
MOST = 32


class Pulse:
    """What all streams share: one report a second for all of them, and the end of the process."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.open = 0
        self._lock = asyncio.Lock()
        self._summary: list[dict[str, Any]] = []
        self._taken = float("-inf")

    async def summary(self, panel: Panel) -> list[dict[str, Any]]:
        """The report in short, at most one interval old."""
        async with self._lock:
            if time.monotonic() - self._taken >= INTERVAL * 0.9:
                self._summary = summary(await asyncio.to_thread(panel.report, None))
                self._taken = time.monotonic()
            return self._summary

    async def rest(self, seconds: float) -> None:
        """Wait, but not beyond the end of the process."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), seconds)


PULSE = web.AppKey("pulse", Pulse)


async def events(request: web.Request) -> web.StreamResponse:
    """Stream `table` and `report` events until the caller leaves or the process ends."""
    pulse, panel = request.app[PULSE], request.app[PANEL]
    if pulse.open >= MOST:
        raise Refusal(503, f"{MOST} streams are open already", Retry_After="5")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    pulse.open += 1
    try:
        await response.prepare(request)
        await _stream(request, response, pulse, panel)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the caller left
    finally:
        pulse.open -= 1
    return response


async def _stream(request: web.Request, response: web.StreamResponse, pulse: Pulse, panel: Panel) -> None:
    sent: dict[str, bytes] = {}
    quiet_since = time.monotonic()
    # Without a transport the caller has left; when nothing changes, no write would tell.
    while not pulse.ending.is_set() and request.transport is not None:
        now = {"table": msgspec.json.encode(table_view(panel.table(), panel.faults()))}
        try:
            now["report"] = msgspec.json.encode(await pulse.summary(panel))
        except Exception as error:  # the evidence is busy or gone; the stream tells so and goes on
            now["trouble"] = msgspec.json.encode({"detail": str(error)})
        for name, data in now.items():
            if sent.get(name) != data:
                await response.write(b"event: " + name.encode() + b"\ndata: " + data + b"\n\n")
                sent[name], quiet_since = data, time.monotonic()
        if time.monotonic() - quiet_since >= SIGN_OF_LIFE:
            await response.write(b": still here\n\n")
            quiet_since = time.monotonic()
        await pulse.rest(INTERVAL)


async def end_streams(app: web.Application) -> None:
    """Let every stream come to its end."""
    app[PULSE].ending.set()
