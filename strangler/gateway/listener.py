"""aiohttp's low-level server, with the seams that a proxy needs: a request that is only a view of what came in,
and an answer that has already been written when the handler returns.

aiohttp parses requests, keeps connections alive, and calls the handler once per request, in order. Its own
Request and Response classes would copy, invent and re-encode headers; here they are not used at all
(docs/decisions/0001-upstream-pool.md).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler


class Inbound:
    """A request as it came in; nothing of it is ever changed. `started` is set once an answer is under way."""

    __slots__ = ("_task", "client", "message", "payload", "protocol", "started", "writer")

    def __init__(
        self, message: RawRequestMessage, payload: StreamReader, protocol: Any, writer: Any, task: Any
    ) -> None:
        self.message = message
        self.payload = payload
        self.protocol = protocol
        self.writer = writer
        self.started = False
        self.client: str = protocol.client
        self._task = task

    @property
    def method(self) -> str:
        """The method, as sent."""
        return self.message.method

    @property
    def target(self) -> str:
        """The request target, as sent."""
        return self.message.path

    @property
    def has_body(self) -> bool:
        """True when a body was announced (RFC 9112 section 6)."""
        return self.payload is not EMPTY_PAYLOAD

    def header(self, name: str) -> str | None:
        """The first value of a header field, whatever the case of its name."""
        return self.message.headers.get(name)

    def write(self, data: bytes) -> None:
        """Send bytes to the caller. Raises ConnectionResetError when it has left."""
        transport = self.protocol.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller has left")
        self.started = True
        transport.write(data)

    async def drain(self) -> None:
        """Wait until the caller reads again."""
        if self.protocol.writing_paused:
            await self.writer.drain()

    def reset(self) -> None:
        """Cut the caller off, so that half an answer cannot be taken for a whole one."""
        transport = self.protocol.transport
        if transport is not None:
            transport.abort()

    # aiohttp's protocol calls these two on whatever its request factory made.
    def _finish(self) -> None:
        pass

    def _cancel(self, exc: BaseException) -> None:
        if self.has_body and self.payload.exception() is None:
            self.payload.set_exception(exc)


class Sent:
    """What the handler returns to aiohttp: the answer is out, and this is whether the connection stays open."""

    __slots__ = ("keep_alive",)

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: Any) -> None:
        """Nothing is left to write."""

    async def write_eof(self) -> None:
        """Nothing is left to write."""


KEEP = Sent(keep_alive=True)
CLOSE = Sent(keep_alive=False)


class Refusal(Sent):
    """An answer to a request that could not even be read. aiohttp writes it by calling `prepare`."""

    __slots__ = ("_answer",)

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(keep_alive=False)
        self._answer = problem(status, detail, close=True)

    async def prepare(self, request: Any) -> None:
        """Write the problem, unless an answer is already under way."""
        if request.started:
            request.reset()
        else:
            request.write(self._answer)


def problem(
    status: int,
    detail: str,
    *,
    close: bool,
    without_body: bool = False,
    extra: dict[str, str] | None = None,
    headers: bytes = b"",
) -> bytes:
    """A whole answer that says what went wrong, as `application/problem+json` (RFC 9457)."""
    title = HTTPStatus(status).phrase
    members = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(extra or {})}
    body = json.dumps(members).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
    ).encode()
    if close:
        head += b"Connection: close\r\n"
    return head + headers + b"\r\n" + (b"" if without_body else body)


class CallerConnection(RequestHandler):
    """A caller's connection. Refusals are problems in JSON, and bad requests leave no traceback in the log."""

    __slots__ = ("client",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the caller's address once per connection."""
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if peer else ""
        super().connection_made(transport)

    def handle_error(
        self,
        request: Any,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Any:
        """The answer to a request that aiohttp could not parse, or that our handler failed on."""
        if status >= 500:
            self.log_exception("Could not handle a request from %s", self.client, exc_info=exc)
            return Refusal(500, "The proxy failed on this request. It has been logged.")
        reason = " ".join((message or "not valid HTTP/1.1").split())[:200]
        return Refusal(status, f"The request could not be understood: {reason}")


Handler = Callable[[Inbound], Awaitable[Sent]]


class Listener(web.Server):
    """aiohttp's server, making our connections and our view of a request."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(
            handler,  # type: ignore[arg-type]  # Inbound and Sent stand in for aiohttp's own classes
            request_factory=Inbound,  # type: ignore[arg-type]
            handler_cancellation=True,  # a caller who leaves cancels the request to the upstream
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=75.0,
            lingering_time=5.0,
        )

    def __call__(self) -> RequestHandler:
        """A protocol for one caller's connection."""
        return CallerConnection(self, loop=self._loop, **self._kwargs)
