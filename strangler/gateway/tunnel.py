"""After a 101: bytes both ways, as they come, until both ends have finished or nothing moves any more.

Nothing is taken apart: WebSocket frames, their extensions and close codes are not ours to read (RFC 6455).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from strangler.gateway.caller import CallerConnection
from strangler.http.connection import Connection

Ended = Callable[[int, int], None]  # bytes from the caller, bytes from the upstream


class Tunnel:
    """Two connections joined. `idle` is the longest silence, both ways, in seconds."""

    def __init__(self, caller: CallerConnection, upstream: Connection, idle: float, on_ended: Ended) -> None:
        self._caller = caller
        self._upstream = upstream
        self._idle = idle
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        self._from_caller = _Way(self, caller, upstream)
        self._from_upstream = _Way(self, upstream, caller)
        self._over = False
        self.since = 0.0

    def open(self, early: bytes) -> None:
        """Join the two ends. `early` is what the upstream sent right behind its 101."""
        self.since = self._loop.time()
        self._alarm = self._loop.call_later(self._idle, self._check)
        self._upstream.switch(self._from_upstream)
        said = self._caller.switch(self._from_caller)
        if said:
            self._from_caller.received(said)
        if early:
            self._from_upstream.received(early)

    def moved(self) -> None:
        """Bytes have passed."""
        self.since = self._loop.time()

    def half_ended(self) -> None:
        """One way has ended; when both have, so has the tunnel."""
        if self._from_caller.ended_ and self._from_upstream.ended_:
            self.over()

    def over(self) -> None:
        """Close both ends; what was written still goes out."""
        if self._over:
            return
        self._over = True
        if self._alarm is not None:
            self._alarm.cancel()
        for end in (self._caller, self._upstream):
            if end.transport is not None:
                end.transport.close()
        # A peer that never reads must not keep what was written for it for ever.
        self._loop.call_later(self._idle, self._abort)
        self._on_ended(self._from_caller.size, self._from_upstream.size)

    def _abort(self) -> None:
        for end in (self._caller, self._upstream):
            if end.transport is not None:
                end.transport.abort()

    def _check(self) -> None:
        due = self.since + self._idle
        now = self._loop.time()
        if now >= due:
            self._abort()
            self.over()
        else:
            self._alarm = self._loop.call_later(due - now, self._check)


class _Way:
    """One of a tunnel's two ways: what is read at one end is written at the other."""

    def __init__(
        self,
        tunnel: Tunnel,
        source: CallerConnection | Connection,
        sink: CallerConnection | Connection,
    ) -> None:
        self._tunnel = tunnel
        self._source = source
        self._sink = sink
        self.size = 0
        self.ended_ = False

    def received(self, data: bytes) -> None:
        """Pass bytes on; a sink that does not read holds up its source."""
        self._tunnel.moved()
        self.size += len(data)
        transport = self._sink.transport
        if transport is not None:
            transport.write(data)
            if self._sink.writing_paused and self._source.transport is not None:
                self._source.transport.pause_reading()

    def ended(self) -> None:
        """The source will send no more: tell the sink, and let the other way go on (RFC 9293 section 3.6)."""
        self.ended_ = True
        self._tunnel.moved()
        transport = self._sink.transport
        if transport is not None and transport.can_write_eof():
            transport.write_eof()
            self._tunnel.half_ended()
        else:
            self._tunnel.over()

    def lost(self) -> None:
        """The source is gone."""
        self._tunnel.over()

    def writable(self) -> None:
        """The source reads again, so the other way may go on."""
        if self._sink.transport is not None:
            self._sink.transport.resume_reading()
