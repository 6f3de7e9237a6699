"""The mirror: sends a shadow to the side that did not answer the caller, and reads its answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache

from strangler.control import aside
from strangler.exchange.model import Answer, Exchange
from strangler.http.connection import Connection
from strangler.http.errors import ConnectFailed, NoConnectionFree, Stale, TimedOut, UpstreamError
from strangler.http.headers import first, lines
from strangler.http.pool import Pool
from strangler.http.pools import Pools
from strangler.http.trace import marked
from strangler.routes import Matcher, Route, Side, Table, Upstream, edit_headers, target_for

#: A longer answer is not compared.
ANSWER_LIMIT = 1024 * 1024
#: Shadows under way at one upstream. An upstream that hangs holds no more than these.
CONCURRENCY = 64
#: Framing is ours to say anew, and a shadow waits for no permission to send its body.
_NOT_COPIED = frozenset({b"content-length", b"expect", b"trailer"})


class NoShadow(Exception):
    """The shadow brought nothing to compare. `reason` is the name under which the exchange is skipped."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Mirror:
    """Pools of its own to every upstream, so that no shadow takes a connection from a caller."""

    def __init__(self) -> None:
        self._pools: Pools[Upstream] = Pools(lambda upstream: CONCURRENCY)
        self._ready: dict[str, Pool] = {}

    async def use(self, table: Table) -> None:
        """From now on these are the upstreams. Raises TlsFault; then everything is as before."""
        self._ready = self._pools.use(await aside(self._pools.make, table.upstreams))

    async def ask(self, table: Table, route: Route, exchange: Exchange, side: Side) -> Answer:
        """The answer of a side to the request of an exchange. Raises NoShadow."""
        upstream = table.upstreams[table.legacy if side == "legacy" else route.extracted]
        pool = self._ready.get(upstream.name)
        if pool is None:
            raise NoShadow("shadow_unreachable")
        request = _request(route, side, exchange)
        try:
            return await _exchange(pool, request, exchange.method)
        except TimedOut as error:
            raise NoShadow("shadow_timeout") from error
        except (ConnectFailed, NoConnectionFree) as error:
            raise NoShadow("shadow_unreachable") from error
        except UpstreamError as error:
            raise NoShadow("shadow_broken") from error

    def close(self) -> None:
        """Close every connection."""
        self._pools.close()


def _request(route: Route, side: Side, exchange: Exchange) -> bytes:
    headers = exchange.headers
    target = exchange.target
    if side == "extracted":
        target = target_for(route, side, target, _parameters(route, exchange))
        headers = edit_headers(route.headers, headers)
    headers = tuple(field for field in headers if field[0].lower() not in _NOT_COPIED)
    length = b"Content-Length: %d\r\n" % len(exchange.body) if exchange.body else b""
    head = f"{exchange.method} {target} HTTP/1.1\r\n".encode("latin-1") + lines(marked(headers))
    return head + length + b"\r\n" + exchange.body


def _parameters(route: Route, exchange: Exchange) -> Mapping[str, str]:
    if route.rewrite is None:
        return {}

    def header(name: str) -> str | None:
        value = first(exchange.headers, name.encode())
        return value.decode("latin-1") if value is not None else None

    claim = _matcher(route).find(exchange.method, exchange.target, header)
    if claim is None:  # the route has changed its pattern since
        raise NoShadow("route_gone")
    return claim.parameters


@lru_cache(maxsize=1024)
def _matcher(route: Route) -> Matcher:
    return Matcher((route,))


async def _exchange(pool: Pool, request: bytes, method: str) -> Answer:
    connection = await pool.acquire()
    try:
        return await _ask(connection, request, method)
    except Stale:
        if connection.exchanges < 2:
            raise
    finally:
        pool.release(connection)
    connection = await pool.acquire(fresh=True)
    try:
        return await _ask(connection, request, method)
    finally:
        pool.release(connection)


async def _ask(connection: Connection, request: bytes, method: str) -> Answer:
    started = time.perf_counter()
    connection.begin(request, without_body=method == "HEAD")
    head = await connection.answer()
    parts: list[bytes] = []
    size = 0
    while data := await connection.read():
        size += len(data)
        if size > ANSWER_LIMIT:
            raise NoShadow("body_too_large")
        parts.append(data)
    took = (time.perf_counter() - started) * 1000.0
    return Answer(head.status, tuple(head.headers), b"".join(parts), took)
