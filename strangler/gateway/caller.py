"""A caller's connection: requests in, one at a time and in order; answers out; and the limits that it must keep.

Requests that arrive behind the one being answered wait, bounded, in order
(RFC 9112 section 9.3.2). Nothing here knows of routes or upstreams: `Handler` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from typing import TYPE_CHECKING, Protocol

from strangler.gateway.inbound import Inbound, Refused
from strangler.gateway.plan import problem
from strangler.gateway.requests import Requests
from strangler.http.connection import Raw
from strangler.http.outbox import Sender
from strangler.routes import Limits

if TYPE_CHECKING:
    from strangler.gateway.listener import Listener

#: This much of a body, or of another protocol's bytes, may wait here until somebody takes it.
HIGH_WATER = 128 * 1024
#: So many whole requests may wait behind the one being answered.
QUEUE = 32
#: After the last answer, what the caller still sends is thrown away for this long (seconds), so that the answer
#: is not lost in a reset (RFC 9112 section 9.6).
LINGER = 2.0


_NO_LINGER = struct.pack("ii", 1, 0)

log = logging.getLogger("strangler.gateway")


class Passage(Protocol):
    """One request on its way, as the caller's connection sees it."""

    def body_arrived(self) -> None:
        """More of the body, or its end, has arrived."""

    def refuse(self, refused: Refused) -> None:
        """The rest of the request cannot be accepted."""

    def writable(self) -> None:
        """The caller reads again."""

    def caller_lost(self) -> None:
        """The caller has left."""


class Handler(Protocol):
    """Who answers requests."""

    @property
    def limits(self) -> Limits:
        """The limits in force."""

    def handle(self, caller: CallerConnection, inbound: Inbound) -> Passage | None:
        """Begin to answer a request. None when it has been answered already, through `caller.answered`."""

    def refused(self, caller: CallerConnection, inbound: Inbound, refused: Refused) -> None:
        """A request was refused before it went anywhere."""


class CallerConnection(Sender, asyncio.Protocol):
    """One caller's connection."""

    def __init__(self, listener: Listener, handler: Handler) -> None:
        super().__init__()
        self._listener = listener
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self.client = ""
        self.peer = b""
        self.scheme = b"http"
        self.started = False  # bytes of the present answer have gone out
        self.writing_paused = False
        self._current: Inbound | None = None  # what is being answered
        self._passage: Passage | None = None
        self._raw: Raw | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._reading_paused = False
        self._closing = False  # to be closed after the present answer
        self._ending: float | None = None  # the last answer is out: when to give up on the rest
        self._left = 0  # bytes that the caller had not read, when last looked at
        self._gone: asyncio.Future[None] | None = None  # for whoever waits until the caller is gone

    # -- what the loop calls -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the caller's address, once per connection; refuse one connection too many."""
        self.transport = transport  # type: ignore[assignment]  # a socket transport
        address = transport.get_extra_info("peername")
        self.client = str(address[0]) if address else ""
        self.peer = self.client.encode()
        self._requests = Requests(self._handler, self.client)
        if transport.get_extra_info("ssl_object") is not None:
            self.scheme = b"https"
        self._since = self._idle_since = self._loop.time()
        self._listener.opened(self)
        self._set_alarm()
        if self._listener.count > self._handler.limits.connections:
            self._listener.turn_away()
            self.write(
                problem(503, "Too many connections are open.", close=True, headers=b"Retry-After: 1\r\n")
            )
            self._end(linger=True)

    @property
    def authority(self) -> bytes:
        """The address that the caller has connected to."""
        address = self.transport.get_extra_info("sockname") if self.transport is not None else None
        if not address:
            return b"localhost"
        host, port = address[:2]
        return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone: whatever is under way for it ends."""
        self.transport = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._listener.closed(self)
        passage, self._passage = self._passage, None
        if self._raw is not None:
            self._raw.lost()
        elif passage is not None:
            passage.caller_lost()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def eof_received(self) -> bool:
        """The caller sends no more. In a tunnel the other way goes on; elsewhere it has left (docs/routes.md)."""
        if self._raw is None:
            return False
        self._raw.ended()
        return True

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and begin or go on with what can be answered."""
        self._since = self._loop.time()
        if self._raw is not None:
            self._raw.received(data)
            return
        if self._ending is not None:
            return
        requests = self._requests
        begun = requests.begun
        requests.feed(data)
        if self._current is None and requests.begun != begun:
            self._idle_since = self._since
        self._advance()

    def pause_writing(self) -> None:
        """The caller does not read."""
        self.writing_paused = True
        self._since = self._loop.time()
        self._left = 0

    def resume_writing(self) -> None:
        """The caller reads again."""
        self.writing_paused = False
        if self._raw is not None:
            self._raw.writable()
        elif self._passage is not None:
            self._passage.writable()

    # -- answering -----------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go on with the request being answered, or begin the next one; then read on, or wait."""
        try:
            passage, current, queue = self._passage, self._current, self._requests.queue
            if passage is not None and current is not None:
                if current.refused is not None:
                    passage.refuse(current.refused)
                else:
                    passage.body_arrived()
            while self._current is None and queue and self._ending is None:
                self._begin(queue.popleft())
        except Exception:
            log.exception("Could not handle a request from %s", self.client)
            self.reset()
            return
        self._read_or_wait()

    def _begin(self, inbound: Inbound) -> None:
        self._current = inbound
        self.started = False
        if inbound.refused is None:
            self._passage = self._handler.handle(self, inbound)
            if self._current is not inbound:
                self._passage = None
        else:
            self._handler.refused(self, inbound, inbound.refused)
            self.refuse(inbound.refused)

    def refuse(self, refused: Refused) -> None:
        """Say why a request goes no further, and close."""
        current = self._current
        without_body = current is not None and current.method == "HEAD"
        self.write(
            problem(
                refused.status,
                refused.detail,
                close=True,
                without_body=without_body,
                headers=refused.headers,
            )
        )
        self.answered(close=True)

    def answered(self, *, close: bool) -> None:
        """The answer is out as a whole. `close` when its caller was told that the connection ends here."""
        current, self._current = self._current, None
        self._passage = None
        if close or self._closing:
            requests = self._requests
            rest = requests.deaf or requests.queue or current is None or not current.complete
            self._end(linger=bool(rest))
            return
        self._idle_since = self._loop.time()
        if self._requests.tail is not None:
            self._requests.go_on()
        if self._requests.queue or self._requests.deaf or self._reading_paused:
            self._loop.call_soon(self._advance)

    def _read_or_wait(self) -> None:
        """Read no further while what has arrived is more than can be dealt with."""
        current, requests = self._current, self._requests
        queue, tail = requests.queue, requests.tail
        if (
            not queue
            and tail is None
            and not self._reading_paused
            and (current is None or not current.chunks)
        ):
            return  # nothing waits
        waiting = current.waiting if current is not None else 0
        waiting += sum(inbound.waiting for inbound in queue)
        if tail is not None:
            waiting += len(tail)
        if waiting > HIGH_WATER or len(queue) > QUEUE:
            self.pause_reading()
        elif self._reading_paused and self._raw is None:
            self.resume_reading()

    def taken(self) -> None:
        """The upstream has taken what had arrived of the body: read on."""
        if self._reading_paused:
            self._read_or_wait()

    def write(self, data: bytes) -> None:
        """Send bytes to the caller, if it is still there."""
        if self.transport is not None:
            self.started = True
            self.push(data)

    def pause_reading(self) -> None:
        """Take no more from the caller for now."""
        if not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading."""
        if self._reading_paused:
            self._reading_paused = False
            self._since = self._loop.time()
            if self.transport is not None:
                self.transport.resume_reading()

    def switch(self, raw: Raw) -> bytes:
        """From now on the connection carries something else than HTTP. Gives the bytes that came early."""
        self.flush()
        self._raw = raw
        early, self._requests.tail = bytes(self._requests.tail or b""), None
        self.resume_reading()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        return early

    # -- endings -------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Cut the caller off, so that half an answer cannot be taken for a whole one."""
        transport = self.transport
        if transport is not None:
            # An orderly end is how HTTP/1.0 says that an answer is whole: this must not be one.
            if (sock := transport.get_extra_info("socket")) is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()

    def close(self) -> None:
        """Close when the present answer is out. (aiohttp's Server calls this before it shuts down.)"""
        self._closing = True
        if self._current is None and self._raw is None and self._ending is None:
            self._end(linger=False)

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's Server calls it so
        """Close, after waiting at most `timeout` seconds for the present answer to be read."""
        self.close()
        if self.transport is not None and self._raw is None and timeout:
            self._gone = self._loop.create_future()
            await asyncio.wait([self._gone], timeout=timeout)
        if self.transport is not None:
            self.transport.abort()

    def _end(self, *, linger: bool) -> None:
        transport = self.transport
        if transport is None or self._ending is not None:
            return
        self.flush()
        self._requests.deaf = True
        self._requests.queue.clear()
        self._since = self._loop.time()
        if not linger:
            self._ending = float("inf")  # until what was written has been read, or `stall`
            transport.close()
            return
        self._ending = self._since + LINGER
        self._set_alarm(LINGER)
        if transport.can_write_eof() and self.scheme == b"http":
            with contextlib.suppress(OSError):  # the caller may be gone already
                transport.write_eof()
        self.resume_reading()

    # -- time ----------------------------------------------------------------------------------------------

    def _set_alarm(self, within: float | None = None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        limits = self._handler.limits
        tick = min(limits.head_time, limits.idle, limits.stall)
        self._alarm = self._loop.call_later(tick if within is None else min(tick, within), self._check)

    def _check(self) -> None:
        """Look whether the caller has taken too long; look again before it could (see http/connection.py)."""
        self._alarm = None
        if self.transport is None or self._raw is not None:
            return
        now = self._loop.time()
        due = self._due()
        if now >= due:
            self._too_late()
            if self._ending is None:
                return
            due = self._due()
        self._set_alarm(max(due - now, 0.001))

    def _due(self) -> float:
        """When the present wait for the caller has lasted too long."""
        limits = self._handler.limits
        if self.writing_paused or self._ending == float("inf"):
            self._note_progress()
            return self._since + limits.stall
        if self._ending is not None:
            return self._ending
        current = self._current
        if current is not None:
            if current.complete or self._reading_paused:
                return float("inf")
            return self._since + limits.stall
        if self._requests.incoming is not None:
            return self._idle_since + limits.head_time
        return self._idle_since + limits.idle

    def _note_progress(self) -> None:
        """A caller that reads slowly reads: what waits for it has become less, or something else."""
        assert self.transport is not None
        left = self.transport.get_write_buffer_size()
        if left != self._left:
            self._left = left
            self._since = self._loop.time()

    def _too_late(self) -> None:
        if self._ending is not None or self.writing_paused:
            self.reset()
        elif self._current is not None:
            refused = Refused(408, "The body of the request did not arrive in time.")
            if self._passage is not None:
                self._passage.refuse(refused)
            else:
                self.reset()
        elif self._requests.incoming is not None:
            self._requests.give_up(Refused(408, "The head of the request did not arrive in time."))
            self._advance()
        else:
            self._end(linger=False)
