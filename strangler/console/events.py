"""GET /api/v1/events: what changes, as server-sent events (WHATWG HTML section 9.2); and what all streams share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from strangler.console.panel import PANEL
from strangler.console.problems import Refusal
from strangler.console.views import summary, table_view

#: Seconds between two looks, and between two signs of life when nothing changes.
INTERVAL = 1.0
SIGN_OF_LIFE = 15.0
#: Open streams. A page holds one while it is looked at.
MOST = 32

T = TypeVar("T")

log = logging.getLogger("strangler.console")


class Pulse:
    """What all streams share: each thing looked at once a second for all of them, and the end of the process."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.open = 0
        self._kept: dict[str, _Kept] = {}

    async def shared(self, what: str, make: Callable[[], T]) -> T:
        """What `make` gives, called in a thread unless somebody has asked for the same within the interval."""
        kept = self._kept.setdefault(what, _Kept())
        async with kept.lock:
            if time.monotonic() - kept.taken >= INTERVAL * 0.9:
                kept.value = await asyncio.to_thread(make)
                kept.taken = time.monotonic()
                self._let_go()
            value: T = kept.value
            return value

    async def rest(self) -> None:
        """Wait for one interval, but not beyond the end of the process."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), INTERVAL)

    def _let_go(self) -> None:
        """Of what nobody has asked for lately."""
        long_ago = time.monotonic() - 10 * INTERVAL
        for what in [
            what for what, kept in self._kept.items() if kept.taken < long_ago and not kept.lock.locked()
        ]:
            del self._kept[what]


class _Kept:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.taken = float("-inf")
        self.value: Any = None


PULSE = web.AppKey("pulse", Pulse)

#: Writes to a stream until its caller leaves or the process ends.
Stream = Callable[[web.Request, web.StreamResponse, Pulse], Awaitable[None]]


async def streaming(request: web.Request, stream: Stream) -> web.StreamResponse:
    """Answer with a stream of events. Raises Refusal when too many are open."""
    pulse = request.app[PULSE]
    if pulse.open >= MOST:
        raise Refusal(503, f"{MOST} streams are open already", Retry_After="5")
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    pulse.open += 1
    try:
        await response.prepare(request)
        await stream(request, response, pulse)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the caller left
    finally:
        pulse.open -= 1
    return response


async def events(request: web.Request) -> web.StreamResponse:
    """Stream `table` and `report` events until the caller leaves or the process ends."""
    return await streaming(request, _follow)


async def _follow(request: web.Request, response: web.StreamResponse, pulse: Pulse) -> None:
    panel = request.app[PANEL]
    sent: dict[str, bytes] = {}
    quiet_since = time.monotonic()
    # Without a transport the caller has left; when nothing changes, no write would tell.
    while not pulse.ending.is_set() and request.transport is not None:
        now = {"table": msgspec.json.encode(table_view(panel.table(), panel.faults()))}
        try:
            report = await pulse.shared("report", lambda: summary(panel.report(None)))
            now["report"] = msgspec.json.encode(report)
        except Exception as error:  # the evidence is busy or gone; the stream tells so and goes on
            now["trouble"] = msgspec.json.encode({"detail": str(error)})
        for name, data in now.items():
            if sent.get(name) != data:
                await response.write(b"event: " + name.encode() + b"\ndata: " + data + b"\n\n")
                sent[name], quiet_since = data, time.monotonic()
        if time.monotonic() - quiet_since >= SIGN_OF_LIFE:
            await response.write(b": still here\n\n")
            quiet_since = time.monotonic()
        await pulse.rest()


async def end_streams(app: web.Application) -> None:
    """Let every stream come to its end."""
    app[PULSE].ending.set()
