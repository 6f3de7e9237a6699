"""One request from a caller to a side and the answer back: decide, send, stream, and hand over a copy.

The caller's answer is sacred: nothing here waits for anything but the caller and the side that answers it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_exceptions import HTTPException

from strangler.exchange.model import Answer, Exchange
from strangler.exchange.sheet import INDEX, Sheet
from strangler.gateway import plan as plans
from strangler.gateway.feed import Feed
from strangler.gateway.listener import CLOSE, KEEP, Inbound, Sent, problem
from strangler.http.connection import Connection, Head
from strangler.http.errors import Stale, UpstreamError
from strangler.http.pool import Pool
from strangler.routes import Decision, Router, caller_hash

#: A body longer than this is not copied for comparison; the caller gets it all the same.
COPY_LIMIT = 1024 * 1024

_STATUS = {side: INDEX[f"{side}_1xx"] - 1 for side in ("legacy", "extracted")}
_FAILED = {side: INDEX[f"{side}_failed"] for side in ("legacy", "extracted")}
_RETRIED = INDEX["retried"]
_ELIGIBLE = INDEX["eligible"]


@dataclass(frozen=True, slots=True)
class Running:
    """A table in force: its router, a pool per upstream, and each route's place on the sheet."""

    router: Router
    pools: Mapping[str, Pool]
    bases: Mapping[str, int]


def mint() -> str:
    """A new identity, for a caller who brought none."""
    return secrets.token_hex(16)


class Copy:
    """What is kept of an exchange while it passes, up to the limit. `skipped` says why it will not be compared."""

    __slots__ = ("at", "body", "request_body", "size", "skipped", "started")

    def __init__(self) -> None:
        self.at = time.time()
        self.started = time.perf_counter()
        self.request_body: list[bytes] = []
        self.body: list[bytes] = []
        self.size = 0
        self.skipped: str | None = None

    def keep(self, parts: list[bytes], data: bytes) -> None:
        """Keep some bytes, or give up on the copy when they are too many."""
        self.size += len(data)
        if self.size > COPY_LIMIT:
            self.skipped = self.skipped or "body_too_large"
            self.body.clear()
            self.request_body.clear()
        else:
            parts.append(data)


@dataclass(slots=True)
class Passage:
    """One request on its way: what was decided, what is shared by both sides, and the copy."""

    inbound: Inbound
    decision: Decision
    origin: plans.Origin
    shared: list[tuple[bytes, bytes]]
    pool: Pool
    base: int
    head: bytes
    copy: Copy | None
    body: bytes | None = None  # the whole framed body, when it is at hand
    pump: asyncio.Task[None] | None = None
    bad_body: BaseException | None = None


class Forwarder:
    """The handler behind the listener. `running` is replaced whole when the table changes."""

    def __init__(self, running: Running, sheet: Sheet, feed: Feed, draining: Callable[[], bool]) -> None:
        self.running = running
        self._sheet = sheet
        self._feed = feed
        self._draining = draining

    async def handle(self, inbound: Inbound) -> Sent:
        """Answer one request. Never raises for anything that an upstream or a caller does."""
        running = self.running  # a request keeps the table it began with
        message = inbound.message
        try:
            if message.method == "CONNECT":
                raise plans.BadTarget("this is a reverse proxy: it opens no tunnels")
            origin = plans.origin_form(message.path)
        except plans.BadTarget as error:
            inbound.write(problem(400, str(error), close=True))
            return CLOSE
        decision = running.router.decide(_Asked(inbound, origin.target), mint)
        passage = self._prepare(running, inbound, decision, origin)
        try:
            return await self._forward(passage)
        except UpstreamError as error:
            return self._failed(passage, error)
        except (ConnectionError, asyncio.CancelledError):
            self._skip(passage, "caller_left")
            raise
        except Exception:
            self._skip(passage, "no_answer")
            raise

    def _prepare(
        self, running: Running, inbound: Inbound, decision: Decision, origin: plans.Origin
    ) -> Passage:
        message = inbound.message
        shared = plans.shared_headers(
            message.raw_headers,
            peer=inbound.client,
            origin=origin,
            scheme=b"http",
            believed=running.router.trusts(inbound.client),
        )
        head = plans.request_head(
            decision, message.method, origin.target, shared, chunked=bool(message.chunked)
        )
        base = running.bases[decision.route.name if decision.route else ""]
        pool = running.pools[decision.upstream.name]
        copy = None
        if decision.shadow:
            copy = Copy()
            self._sheet.counts[base + _ELIGIBLE] += 1
        return Passage(inbound, decision, origin, shared, pool, base, head, copy)

    async def _forward(self, passage: Passage) -> Sent:
        inbound = passage.inbound
        if inbound.has_body and inbound.payload.is_eof():
            passage.body = self._frame(passage, inbound.payload.read_nowait(), last=True)
        connection = await self._send(passage)
        try:
            head = await connection.answer()
        except Stale:
            if not self._may_repeat(passage, connection):
                passage.pool.release(connection)
                raise
            passage.pool.release(connection)
            self._sheet.counts[passage.base + _RETRIED] += 1
            connection = await self._send(passage, fresh=True)
            return await self._answer(passage, connection)
        except BaseException:
            self._stop(passage, connection)
            raise
        return await self._answer(passage, connection, head)

    async def _send(self, passage: Passage, *, fresh: bool = False) -> Connection:
        """A connection on which the request has begun, and its body, if it has one, is on its way."""
        pool = passage.pool
        connection = None if fresh else pool.take()
        if connection is None:
            connection = await pool.acquire(fresh=fresh)
        inbound = passage.inbound
        connection.on_informational = lambda status: _informational(inbound, status)
        without_body = inbound.message.method == "HEAD"
        if passage.body is not None:
            connection.begin(passage.head + passage.body, without_body=without_body)
        else:
            connection.begin(passage.head, without_body=without_body)
        if inbound.has_body and passage.body is None:
            connection.sending = True
            passage.pump = asyncio.get_running_loop().create_task(self._pump(passage, connection))
        else:
            connection.sent()
        return connection

    def _may_repeat(self, passage: Passage, connection: Connection) -> bool:
        """RFC 9110 section 9.2.2: idempotent, body still at hand, and the connection was a kept-alive one."""
        return (
            connection.exchanges > 1
            and passage.pump is None
            and passage.inbound.message.method in plans.IDEMPOTENT
        )

    def _frame(self, passage: Passage, data: bytes, *, last: bool = False) -> bytes:
        """Bytes of the request's body as they go upstream."""
        if passage.copy is not None and data:
            passage.copy.keep(passage.copy.request_body, data)
        if not passage.inbound.message.chunked:
            return data
        return (plans.chunk(data) if data else b"") + (plans.LAST_CHUNK if last else b"")

    async def _pump(self, passage: Passage, connection: Connection) -> None:
        """Send the request's body as it arrives, at the pace of the slower of caller and upstream."""
        payload = passage.inbound.payload
        try:
            while data := await payload.readany():
                await connection.write(self._frame(passage, data))
            if passage.inbound.message.chunked:
                await connection.write(plans.LAST_CHUNK)
            connection.sent()
        except UpstreamError:
            pass  # the reader of the answer finds out by itself, or has an answer already
        except (HttpProcessingError, HTTPException, ConnectionError, OSError) as error:
            passage.bad_body = error
            connection.abort_with_error()

    async def _answer(self, passage: Passage, connection: Connection, head: Head | None = None) -> Sent:
        """Stream the answer to the caller and give the connection back."""
        inbound, message = passage.inbound, passage.inbound.message
        try:
            if head is None:
                head = await connection.answer()
            answer = plans.answer_plan(
                head,
                method=message.method,
                http_1_0=message.version < (1, 1),
                close=bool(message.should_close) or self._draining() or _unread(passage),
                minted=passage.decision.minted,
            )
            if passage.copy is not None:
                _look_at(passage.copy, head)
            await _stream(inbound, connection, answer, passage.copy)
        except BaseException:
            self._stop(passage, connection)
            raise
        if passage.pump is not None and not passage.pump.done():
            passage.pump.cancel()
            connection.abort()
        passage.pool.release(connection)
        self._count(passage, head.status)
        if passage.copy is not None:
            self._hand_over(passage, passage.copy, head)
        return CLOSE if answer.close else KEEP

    def _stop(self, passage: Passage, connection: Connection) -> None:
        """Give up on an exchange: the upstream's connection cannot be used again."""
        if passage.pump is not None:
            passage.pump.cancel()
        connection.abort()
        passage.pool.release(connection)

    def _count(self, passage: Passage, status: int) -> None:
        self._sheet.counts[passage.base + _STATUS[passage.decision.side] + min(max(status // 100, 1), 5)] += 1

    def _skip(self, passage: Passage, reason: str) -> None:
        if passage.copy is not None:
            self._sheet.counts[passage.base + INDEX[reason]] += 1

    def _hand_over(self, passage: Passage, copy: Copy, head: Head) -> None:
        if copy.skipped is not None:
            self._skip(passage, copy.skipped)
            return
        decision = passage.decision
        assert decision.route is not None  # only a route's exchanges are copied
        took = (time.perf_counter() - copy.started) * 1000.0
        self._feed.offer(
            Exchange(
                route=decision.route.name,
                side=decision.side,
                method=passage.inbound.message.method,
                target=passage.origin.target,
                headers=tuple(passage.shared),
                body=b"".join(copy.request_body),
                caller=caller_hash(decision.identity or passage.inbound.client),
                at=copy.at,
                answer=Answer(head.status, head.headers, b"".join(copy.body), took),
            ),
            passage.base,
        )

    def _failed(self, passage: Passage, error: UpstreamError) -> Sent:
        """The one place where an upstream's failure becomes an answer, or a reset when one had begun."""
        inbound, decision = passage.inbound, passage.decision
        if passage.bad_body is not None:
            self._skip(passage, "caller_left")
            if not inbound.started:
                inbound.write(
                    problem(400, "The body of the request is not what its head promised.", close=True)
                )
            return CLOSE
        self._skip(passage, "no_answer")
        self._sheet.counts[passage.base + _FAILED[decision.side]] += 1
        if inbound.started:
            inbound.reset()
            return CLOSE
        upstream = decision.upstream
        name = decision.route.name if decision.route else None
        extra = {"upstream": upstream.name, "route": name or "(legacy)"}
        close = bool(inbound.message.should_close) or self._draining() or _unread(passage)
        where = f", the {decision.side} side of route {name}," if name else ", the legacy side,"
        inbound.write(
            problem(
                error.status,
                f"{upstream.name}{where} {error.what}.",
                close=close,
                without_body=inbound.message.method == "HEAD",
                extra=extra,
                headers=b"Retry-After: 1\r\n" if error.status == 503 else b"",
            )
        )
        return CLOSE if close else KEEP


class _Asked:
    """What the router asks of a request, answered from aiohttp's view of it."""

    __slots__ = ("_inbound", "client", "method", "target")

    def __init__(self, inbound: Inbound, target: str) -> None:
        self._inbound = inbound
        self.method = inbound.message.method
        self.target = target
        self.client = inbound.client

    def header(self, name: str) -> str | None:
        headers = self._inbound.message.headers
        if name == "x-forwarded-for":
            return ",".join(headers.getall(name, ())) or None
        return headers.get(name)


def _unread(passage: Passage) -> bool:
    """True when the caller is still sending: the rest cannot be told from a next request, so we close."""
    return passage.inbound.has_body and not passage.inbound.payload.is_eof()


def _informational(inbound: Inbound, status: int) -> None:
    """`100 Continue` is the upstream's to give (RFC 9110 section 10.1.1); others go no further yet."""
    if status == 100 and inbound.header("expect") and inbound.message.version >= (1, 1):
        inbound.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        inbound.started = False  # an informational answer is not the answer


def _look_at(copy: Copy, head: Head) -> None:
    for name, value in head.headers:
        if name.lower() == b"content-type" and value[:17].lower() == b"text/event-stream":
            copy.skipped = "streaming"


async def _stream(
    inbound: Inbound, connection: Connection, answer: plans.AnswerPlan, copy: Copy | None
) -> None:
    """Write head and body as they come. What has already arrived goes out in one write."""
    data = b"" if answer.without_body else connection.read_now()
    out = answer.head
    while True:
        if data:
            if copy is not None and copy.skipped is None:
                copy.keep(copy.body, data)
            out += plans.chunk(data) if answer.chunked else data
        if connection.complete and not connection.has_unread:
            break
        if out:
            inbound.write(out)
            await inbound.drain()
            out = b""
        data = await connection.read()
    if answer.chunked:
        out += plans.LAST_CHUNK
    if out:
        inbound.write(out)
        await inbound.drain()
