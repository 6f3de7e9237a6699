"""One connection to an upstream: bytes out, one parsed answer in, with back-pressure both ways.

The protocol is an asyncio one; httptools (llhttp) parses. A connection carries one exchange at a time:
`send`, then `answer`, then `read` until it returns no bytes, after which it may carry the next one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httptools

from strangler.http.errors import CutShort, Malformed, Stale, TimedOut, UpstreamError

#: An upstream that is this far ahead of its reader is not read from until the reader has caught up.
HIGH_WATER = 256 * 1024
#: More than this much head is not an answer but an attack or a mistake.
MAX_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer. `length` is None unless the upstream announced one."""

    status: int
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    length: bytes | None
    chunked: bool


class Connection(asyncio.Protocol):
    """A connection to an upstream. `timeout` is the longest silence in seconds, at any point."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.exchanges = 0
        self.transport: asyncio.Transport | None = None
        self.on_informational: Any = None  # called with the status of a 1xx answer
        self.on_lost: Any = None  # called with the connection when it is gone
        self._loop = asyncio.get_running_loop()
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._writing_paused = False
        self._reading_paused = False
        self._timers: dict[asyncio.Future[None], asyncio.TimerHandle] = {}
        self._active = 0.0  # when the request last moved, in the loop's time
        self.sending = False  # the owner still has request body to send
        self._busy = False
        self._parser: Any = None
        self._clear()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "busy" if self._busy else "idle"
        return f"<Connection {state}, {self.exchanges} exchanges>"

    def _clear(self) -> None:
        self.head: Head | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._reason = b""
        self._length: bytes | None = None
        self._chunked = False
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._complete = False
        self._error: UpstreamError | None = None
        self._any_byte = False
        self._without_body = False
        self._keep_alive = False

    # -- what the owner calls ------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True when nothing can be sent any more."""
        return self.transport is None or self.transport.is_closing()

    @property
    def complete(self) -> bool:
        """True when the whole answer has arrived, read or not."""
        return self._complete

    @property
    def has_unread(self) -> bool:
        """True when bytes of the body have arrived that nobody has read."""
        return bool(self._chunks)

    def begin(self, data: bytes, *, without_body: bool = False) -> None:
        """Send the first bytes of a request. `without_body` says that its answer has none (HEAD)."""
        self._clear()
        self._without_body = without_body
        self._parser = httptools.HttpResponseParser(self)
        self._busy = True
        self.sending = False
        self.exchanges += 1
        if self.transport is None:
            self._error = Stale("closed before the request was sent")
            return
        self.transport.write(data)

    async def write(self, data: bytes) -> None:
        """Send more of the request; waits while the upstream does not read. Raises UpstreamError."""
        if self._error is not None:
            raise self._error
        if self.transport is None or self.transport.is_closing():
            raise CutShort("closed while the request was being sent")
        self.transport.write(data)
        if self._writing_paused:
            self._writer = self._loop.create_future()
            await self._wait(self._writer)

    async def answer(self) -> Head:
        """The head of the answer. Raises UpstreamError."""
        while self.head is None:
            if self._error is not None:
                raise self._error
            self._reader = self._loop.create_future()
            await self._wait(self._reader)
        return self.head

    async def read(self) -> bytes:
        """The next bytes of the body; b"" when it is complete. Raises UpstreamError."""
        while not self._chunks:
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error
            self._reader = self._loop.create_future()
            await self._wait(self._reader)
        return self.read_now()

    def read_now(self) -> bytes:
        """What has arrived of the body and was not read yet, perhaps nothing."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._buffered = 0
        self._read_again()
        return data

    def finish(self) -> bool:
        """End the exchange. True when the connection may carry another one."""
        self._busy = False
        reusable = (
            self._complete
            and not self._chunks
            and self._error is None
            and not self.closed
            and not self._writing_paused
            and self._keep_alive
        )
        if reusable:
            self._read_again()
        return bool(reusable)

    def _read_again(self) -> None:
        if self._reading_paused and self.transport is not None:
            self._reading_paused = False
            self.transport.resume_reading()

    def abort_with_error(self) -> None:
        """Close at once, and let whoever waits for the answer know."""
        self._fail(CutShort("the request could not be sent as a whole"))
        self._wake()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._busy = False
        if self.transport is not None:
            self.transport.abort()

    def sent(self) -> None:
        """The request is out as a whole: from now on the upstream is the one to be waited for."""
        self.sending = False
        self._active = self._loop.time()

    async def _wait(self, future: asyncio.Future[None]) -> None:
        timers = self._timers
        timers[future] = self._loop.call_later(self.timeout, self._expire, future)
        try:
            await future
        finally:
            timers.pop(future).cancel()

    def _expire(self, future: asyncio.Future[None]) -> None:
        if future.done():
            return
        reading = future is self._reader
        # While the caller is still sending its body, the answer's silence is not the upstream's fault.
        left = self.timeout if self.sending else self._active + self.timeout - self._loop.time()
        if reading and left > 0.001:
            self._timers[future] = self._loop.call_later(left, self._expire, future)
            return
        self._error = TimedOut(f"silent for {self.timeout:g} s")
        future.set_exception(self._error)

    def _wake(self) -> None:
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    # -- what the loop calls -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]  # a TCP transport reads and writes

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and wake whoever waits for it."""
        if not self._busy or self._complete:
            # Bytes that nobody asked for: an answer to them would go to the wrong caller.
            self.abort()
            return
        self._any_byte = True
        if self.head is None:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # a 101: on_headers_complete has dealt with it
        except httptools.HttpParserError as error:
            if not self._complete:  # after a complete answer the parser complains of the bytes behind it
                self._fail(Malformed(str(error)))
        if self.head is None and self._head_size > MAX_HEAD:
            self._fail(Malformed(f"the head is longer than {MAX_HEAD} bytes"))
        if self._buffered > HIGH_WATER and not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()
        self._wake()

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle the exchange: a body without a length ends here (RFC 9112 section 6.3), anything else is cut."""
        self.transport = None
        if self._busy and not self._complete and self._error is None:
            until_close = self.head is not None and self._length is None and not self._chunked
            if until_close and exc is None:
                self._complete = True
            elif not self._any_byte:
                self._error = Stale("closed before the first byte of an answer")
            else:
                self._error = CutShort("closed before the answer was complete")
        self._wake()
        writer = self._writer
        if writer is not None and not writer.done():
            writer.set_exception(self._error or CutShort("closed while the request was being sent"))
        if self.on_lost is not None:
            self.on_lost(self)

    def pause_writing(self) -> None:
        """The upstream does not read; `write` waits."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """The upstream reads again."""
        self._writing_paused = False
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    # -- what the parser calls -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A second answer on the same request is not an answer, unless the first was informational."""
        if self._complete and self.transport is not None:
            self.transport.abort()

    def on_status(self, reason: bytes) -> None:
        """The reason phrase, perhaps in parts."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field. Those that frame the body are noted on the way."""
        lower = name.lower()
        if lower == b"content-length":
            self._length = value
        elif lower == b"transfer-encoding":
            self._chunked = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole; an informational one (1xx) is not the answer (RFC 9110 section 15.2)."""
        status = self._parser.get_status_code()
        if status == 101:
            self._fail(Malformed("switched protocols without being asked"))
            return
        if 100 <= status < 200:
            return
        # Asked here, while the parser still knows how the body is framed.
        self._keep_alive = self._parser.should_keep_alive()
        self.head = Head(status, self._reason, tuple(self._headers), self._length, self._chunked)
        if self._without_body:
            self._complete = True

    def on_body(self, body: bytes) -> None:
        """Some bytes of the body."""
        if self._complete:
            return
        self._chunks.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        """The answer, or an informational one before it, is whole."""
        if self.head is None:
            if self.on_informational is not None:
                self.on_informational(self._parser.get_status_code())
            self._headers = []
            self._reason = b""
            self._length = None
            self._chunked = False
            self._head_size = 0
        else:
            self._complete = True
