"""One connection to an upstream: bytes out, one parsed answer in, with back-pressure both ways.

A connection carries one exchange at a time: `begin`,
then `read_now` until `complete`, then `finish`. Whoever owns the exchange is told through `on_moved`
that something has happened, and looks: there is one place to look at, and no future, task or timer per exchange
(docs/decisions/0007-callbacks.md). `answer` and `read` are the same for a coroutine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from strangler.http.errors import Stale, TimedOut
from strangler.http.outbox import Sender
from strangler.http.reading import AnswerReader, Head

#: An upstream that is this far ahead of its reader is not read from until the reader has caught up.
HIGH_WATER = 256 * 1024


class Times(Protocol):
    """How long things may take, in seconds; None is for ever. What they mean: docs/routes.md, `timeout`."""

    @property
    def connect(self) -> float:
        """Making a connection."""

    @property
    def wait(self) -> float:
        """Waiting for a free connection."""

    @property
    def first_byte(self) -> float:
        """From the request being sent to the answer's head."""

    @property
    def idle(self) -> float:
        """The longest silence inside an answer, and of an upstream that does not read."""

    @property
    def total(self) -> float | None:
        """From the request to the answer's last byte."""

    @property
    def tunnel(self) -> float:
        """Silence both ways on an upgraded connection."""


class Raw(Protocol):
    """Who takes the bytes of an upgraded connection (RFC 9110 section 7.8)."""

    def received(self, data: bytes) -> None:
        """Bytes from the peer."""

    def ended(self) -> None:
        """The peer will send no more."""

    def lost(self) -> None:
        """The connection is gone."""

    def writable(self) -> None:
        """The peer reads again."""


class Connection(AnswerReader, Sender, asyncio.Protocol):
    """A connection to an upstream."""

    def __init__(self, times: Times) -> None:
        AnswerReader.__init__(self)
        Sender.__init__(self)
        self.times = times
        self.exchanges = 0
        self.on_moved: Callable[[], None] | None = None
        self.on_lost: Callable[[Connection], None] | None = None  # called when it is gone
        self.writing_paused = False  # the upstream does not read: send no more for now
        self._loop = asyncio.get_running_loop()
        #: No limit is shorter than this, so a check this often never comes late (see `_check`).
        self._tick = min(times.first_byte, times.idle, times.total or times.idle)
        self._alarm: asyncio.TimerHandle | None = None
        self._reading_paused = False
        self._busy = False
        self._raw: Raw | None = None
        self.sending = False  # the owner still has request body to send

    def __repr__(self) -> str:
        state = "closed" if self.closed else "busy" if self._busy else "idle"
        return f"<Connection {state}, {self.exchanges} exchanges>"

    # -- what the owner calls ------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True when nothing can be sent any more."""
        return self.transport is None or self.transport.is_closing()

    def begin(
        self, data: bytes, *, without_body: bool = False, upgrade: bool = False, more: bool = False
    ) -> None:
        """Send the first bytes of a request.

        `without_body` says that its answer has none (HEAD), `upgrade` that it asks for another protocol, `more`
        that there is more of it to come: `write`, and at the end `sent`.
        """
        self.expect(without_body=without_body, upgrade=upgrade)
        self._busy = True
        self.sending = more
        self.exchanges += 1
        self._began = self._asked = self._since = self._loop.time()
        if self.transport is None:
            self.error = Stale("closed before the request was sent")
            self._loop.call_soon(self._moved)
            return
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._tick, self._check)
        self.push(data)

    def write(self, data: bytes) -> None:
        """Send more of the request. While `writing_paused` is true, nobody should."""
        if self.transport is not None and self.error is None:
            self.push(data)
            self._since = self._loop.time()

    def sent(self) -> None:
        """The request is out as a whole: from now on the upstream is the one to be waited for."""
        self.sending = False
        self._asked = self._since = self._loop.time()

    def read_now(self) -> bytes:
        """What has arrived of the body and was not read yet, perhaps nothing."""
        if self._reading_paused:
            self._read_again()
        return self.take()

    def finish(self) -> bool:
        """End the exchange. True when the connection may carry another one."""
        self._busy = False
        self.on_moved = self.on_informational = None
        self.forget()
        return bool(
            self.complete
            and self.keep_alive
            and not self.sending
            and not self._chunks
            and self.error is None
            and not self.closed
            and not self.writing_paused
            and self._raw is None
        )

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._busy = False
        self.on_moved = self.on_informational = None
        if self.transport is not None:
            self.transport.abort()

    def switch(self, raw: Raw) -> None:
        """From now on the connection carries something else than HTTP."""
        self.flush()
        self._raw = raw
        self.on_moved = self.on_informational = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # -- the same, for a coroutine -------------------------------------------------------------------------

    async def answer(self) -> Head:
        """The head of the answer. Raises UpstreamError."""
        while self.head is None:
            if self.error is not None:
                raise self.error
            await self._something()
        return self.head

    async def read(self) -> bytes:
        """The next bytes of the body; b"" when it is complete. Raises UpstreamError."""
        while not self._chunks:
            if self.complete:
                return b""
            if self.error is not None:
                raise self.error
            await self._something()
        return self.read_now()

    async def drain(self) -> None:
        """Wait until the upstream reads again. Raises UpstreamError."""
        while self.writing_paused and self.error is None:
            await self._something()
        if self.error is not None:
            raise self.error

    async def _something(self) -> None:
        moved = self._loop.create_future()
        self.on_moved = lambda: None if moved.done() else moved.set_result(None)
        try:
            await moved
        finally:
            self.on_moved = None

    # -- time ----------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Look whether anything has taken too long; look again before anything could.

        A timer for each wait would cost more than the waits. One look every `_tick` seconds, and one at the very
        moment when a limit is reached, are as exact.
        """
        self._alarm = None
        if not self._busy or self.complete or self.error is not None:
            return  # the next exchange sets it anew
        now = self._loop.time()
        due, limit = self._due()
        if now >= due:
            self.fail(TimedOut(f"silent for {limit:g} s"))
            if self.transport is not None:
                self.transport.abort()
            self._moved()
            return
        self._alarm = self._loop.call_later(min(due - now, self._tick), self._check)

    def _due(self) -> tuple[float, float]:
        """When the present wait has lasted too long, and the limit that it then has reached."""
        times = self.times
        due, limit = float("inf"), 0.0
        if self.writing_paused:
            due, limit = self._since + times.idle, times.idle
        elif self.head is None:
            if not self.sending:
                # However it drips, and whatever 1xx comes first: the head is due.
                due, limit = self._asked + times.first_byte, times.first_byte
        elif not self._reading_paused and not self._chunks:
            due, limit = self._since + times.idle, times.idle
        if times.total is not None and self._began + times.total < due:
            due, limit = self._began + times.total, times.total
        return due, limit

    def _moved(self) -> None:
        if self.on_moved is not None:
            self.on_moved()

    def _read_again(self) -> None:
        self._reading_paused = False
        self._since = self._loop.time()
        if self.transport is not None:
            self.transport.resume_reading()

    # -- what the loop calls -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]  # a TCP transport reads and writes

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and say that something has moved."""
        if self._raw is not None:
            self._raw.received(data)
            return
        if not self._busy or self.complete:
            # Bytes that nobody asked for: an answer to them would go to the wrong caller.
            self.keep_alive = False
            if self.transport is not None:
                self.transport.abort()
            return
        self._since = self._loop.time()
        self.feed(data)
        if self.error is not None and self.transport is not None:
            self.transport.abort()
        if self.buffered > HIGH_WATER and not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()
        if self.on_moved is not None:
            self.on_moved()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; so is what had not arrived."""
        self.transport = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._busy and exc is None:
            self.end()
        elif self._busy:
            self.cut()
        if self._raw is not None:
            self._raw.lost()
        self._moved()
        if self.on_lost is not None:
            self.on_lost(self)

    def eof_received(self) -> bool:
        """The upstream sends no more: a tunnel goes on the other way, an exchange is over."""
        if self._raw is None:
            return False
        self._raw.ended()
        return True

    def pause_writing(self) -> None:
        """The upstream does not read."""
        self.writing_paused = True
        self._since = self._loop.time()

    def resume_writing(self) -> None:
        """The upstream reads again."""
        self.writing_paused = False
        if self._raw is not None:
            self._raw.writable()
        self._moved()
