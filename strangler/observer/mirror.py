"""The mirror: sends a shadow to the side that did not answer the caller, and reads its answer."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial

from strangler.control import aside
from strangler.exchange.model import Answer, Exchange
from strangler.http.connection import Connection
from strangler.http.errors import ConnectFailed, NoConnectionFree, Stale, TimedOut, UpstreamError
from strangler.http.pool import Pool
from strangler.http.pools import Pools
from strangler.observer.copy import NoShadow, request_of, writes
from strangler.routes import Route, Side, Table, Upstream

#: A longer answer is not compared.
ANSWER_LIMIT = 4 * 1024 * 1024
#: Shadows under way at one upstream. An upstream that hangs holds no more than these.
CONCURRENCY = 64


#: Why there was no shadow, where that is the asked side's own failure.
FAILURES = frozenset({"shadow_timeout", "shadow_unreachable", "shadow_broken"})


class Turns:
    """The pools of an upstream's endpoints, which take turns."""

    def __init__(self, pools: list[Pool]) -> None:
        self.pools = pools
        self._next = 0

    def order(self) -> list[Pool]:
        """All of them, in the order in which one shadow asks them: first the one whose turn it is."""
        self._next = (self._next + 1) % len(self.pools)
        return self.pools[self._next :] + self.pools[: self._next]


class Mirror:
    """Pools of its own to every upstream, so that no shadow takes a connection from a caller."""

    def __init__(self) -> None:
        self._pools: Pools[Upstream] = Pools(lambda upstream: CONCURRENCY)
        self._ready: dict[str, Turns] = {}
        self._running: Table | None = None

    async def use(self, table: Table) -> None:
        """From now on this is the table, and these are the upstreams. Raises TlsFault; then all is as before."""
        places = {key: place for each in table.upstreams.values() for key, place in each.apart().items()}
        pools = self._pools.use(await aside(self._pools.make, places))
        self._ready = {
            name: Turns([pools[key] for key in upstream.apart()])
            for name, upstream in table.upstreams.items()
        }
        self._running = table

    async def ask(self, table: Table, route: Route, exchange: Exchange, side: Side) -> Answer:
        """The answer of a side to the request of an exchange. Raises NoShadow."""
        upstream = table.upstreams[table.legacy if side == "legacy" else route.extracted]
        turns = self._ready.get(upstream.name)
        if turns is None:
            raise NoShadow("shadow_unreachable")
        write = writes(exchange)
        if write:
            self._check_marked(route.name)
        request = request_of(route, side, exchange)
        try:
            *others, last = turns.order()
            ask = partial(self._write_once, route.name) if write else _exchange
            for pool in others:  # an endpoint that cannot be reached was told nothing: the next is asked
                with suppress(ConnectFailed):
                    return await ask(pool, request, exchange.method)
            return await ask(last, request, exchange.method)
        except TimedOut as error:
            raise NoShadow("shadow_timeout") from error
        except NoConnectionFree as error:
            raise NoShadow("shadow_busy") from error
        except ConnectFailed as error:
            raise NoShadow("shadow_unreachable") from error
        except UpstreamError as error:
            raise NoShadow("shadow_broken") from error

    async def _write_once(self, route: str, pool: Pool, request: bytes, method: str) -> Answer:
        """Send a copy that may change something: once, on a connection that nothing was sent on before.

        A kept-alive connection that closes leaves open whether the request was carried out, and then there is no
        second try (RFC 9110 section 9.2.2). The wait for a connection may have been long enough for a new table.
        """
        connection = await pool.acquire(fresh=True)
        try:
            self._check_marked(route)
            return await _ask(connection, request, method)
        finally:
            pool.release(connection)

    def _check_marked(self, name: str) -> None:
        """The running table has the last word, whatever the table said that the gateway decided by."""
        route = self._running.route(name) if self._running is not None else None
        if route is None or route.shadow_writes != "marked":
            raise NoShadow("write_not_marked")

    def close(self) -> None:
        """Close every connection."""
        self._pools.close()


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
