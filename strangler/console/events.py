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

from strangler.console.panel import PANEL, Panel
from strangler.console.problems import Refusal
from strangler.console.views import summary, table_view

#: Seconds between two looks, and between two signs of life when nothing changes.
INTERVAL = 1.0
SIGN_OF_LIFE = 15.0
#: Open streams. A page holds one while it is looked at.
MOST = 32
#: Under which name the report is shared, and how long it is kept for whoever cannot wait (seconds).
_REPORT = "report"
_REPORT_KEPT = 60.0

T = TypeVar("T")

log = logging.getLogger("strangler.console")


class Pulse:
    """What streams and /metrics share: each thing looked at once a second for all, and the end of the process."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.open = 0
        self._kept: dict[str, _Kept] = {}

    async def shared(self, what: str, make: Callable[[], T], *, keep: float = 0.0) -> T:
        """What `make` gives, called in a thread unless somebody has asked for the same within the interval.

        Whoever asks while it is made waits for the same one, and may leave: it is made all the same. It is let go
        of when nobody has asked for it for ten intervals, or for `keep` seconds.
        """
        kept = self._kept.setdefault(what, _Kept(keep))
        if kept.task is None or (kept.task.done() and time.monotonic() - kept.taken >= INTERVAL * 0.9):
            kept.task = asyncio.create_task(kept.take(make))
            kept.task.add_done_callback(_heard)
            self._let_go()
        value: T = await asyncio.shield(kept.task)
        return value

    async def report(self, panel: Panel) -> dict[str, Any]:
        """The report on all routes, at most one interval old."""
        return await self.shared(_REPORT, lambda: panel.report(None), keep=_REPORT_KEPT)

    def known_report(self, oldest: float) -> dict[str, Any] | None:
        """The last report that was made, if that was begun no longer ago than so many seconds (60 at most)."""
        kept = self._kept.get(_REPORT)
        if kept is None or time.monotonic() - kept.begun > oldest:
            return None
        report: dict[str, Any] = kept.value
        return report

    async def rest(self) -> None:
        """Wait for one interval, but not beyond the end of the process."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), INTERVAL)

    def _let_go(self) -> None:
        """Of what nobody has asked for lately."""
        now = time.monotonic()
        for what in [what for what, kept in self._kept.items() if kept.is_forgotten(now)]:
            del self._kept[what]


class _Kept:
    """One thing: the making of it, when that ended, the last one that was made, and when it was begun."""

    def __init__(self, keep: float) -> None:
        self.keep = keep
        self.task: asyncio.Task[Any] | None = None
        self.taken = float("-inf")
        self.value: Any = None
        self.begun = float("-inf")

    async def take(self, make: Callable[[], T]) -> T:
        begun = time.monotonic()
        try:
            value = await asyncio.to_thread(make)
        finally:
            self.taken = time.monotonic()
        self.value, self.begun = value, begun
        return value

    def is_forgotten(self, now: float) -> bool:
        done = self.task is not None and self.task.done()
        return done and now - self.taken > max(10 * INTERVAL, self.keep)


def _heard(task: asyncio.Task[Any]) -> None:
    """An error is for those who asked. When all of them have left, it is nobody's."""
    if not task.cancelled():
        task.exception()


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
        now = {"table": msgspec.json.encode(table_view(panel.table(), panel.faults(), panel.out()))}
        try:
            report = await asyncio.to_thread(summary, await pulse.report(panel))
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
