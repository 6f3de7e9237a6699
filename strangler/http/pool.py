"""Kept-alive connections to one upstream.

The pool changes its state in one synchronous step; only connecting and waiting for a free place take time.
The connection used last is used next, so that a quiet pool shrinks to what it needs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Protocol

from strangler.http.connection import Connection, Times
from strangler.http.errors import ConnectFailed, NoConnectionFree, TimedOut
from strangler.http.tls import client_context

DEFAULT_LIMIT = 512


class Tls(Protocol):
    """How to speak TLS with an upstream: paths of PEM files, and the name its certificate must say."""

    @property
    def ca(self) -> str | None:
        """Whom to trust, instead of the system's authorities."""

    @property
    def certificate(self) -> str | None:
        """Our own certificate."""

    @property
    def key(self) -> str | None:
        """Its key."""

    @property
    def verify(self) -> bool:
        """False takes any certificate."""

    @property
    def name(self) -> str | None:
        """The name to expect, when it is not the host."""


class Place(Protocol):
    """Where an upstream is, and how it is to be spoken to (`routes.Upstream` is one)."""

    @property
    def host(self) -> str:
        """A name or an address."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def timeouts(self) -> Times:
        """How long things may take."""

    @property
    def tls(self) -> Tls | None:
        """None for plain HTTP."""


def pool_to(place: Place, *, limit: int) -> Pool:
    """A pool of connections to an upstream. Reads its TLS files; raises TlsFault when they cannot be used."""
    tls = place.tls
    if tls is None:
        return Pool(place.host, place.port, times=place.timeouts, limit=limit)
    context = client_context(ca=tls.ca, certificate=tls.certificate, key=tls.key, verify=tls.verify)
    return Pool(place.host, place.port, times=place.timeouts, limit=limit, tls=context, name=tls.name)


class Pool:
    """Connections to `host:port`, at most `limit` of them, over TLS when there is a context.

    `name` is what the upstream's certificate must say, and what is asked for (RFC 6066 section 3), when it is not
    the host.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        times: Times,
        limit: int = DEFAULT_LIMIT,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.times = times
        self.limit = limit
        self._tls = tls
        self._name = (name or host) if tls is not None else None
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __repr__(self) -> str:
        return (
            f"<Pool {self.host}:{self.port} open={self._open} idle={len(self._idle)} waiting={self.waiting}>"
        )

    @property
    def open(self) -> int:
        """Connections that exist or are being made."""
        return self._open

    @property
    def idle(self) -> int:
        """Connections that carry nothing right now."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection to be free."""
        return sum(not waiter.done() for waiter in self._waiting)

    def take(self) -> Connection | None:
        """An idle connection, or None when a new one has to be made."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            transport = connection.transport
            if transport is not None and not transport.is_closing():
                return connection
        return None

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection to use. `fresh` never gives one that was used before. Raises UpstreamError."""
        while True:
            if not fresh and (connection := self.take()) is not None:
                return connection
            if self._open < self.limit:
                return await self._connect()
            if fresh and self._idle:
                self._idle.pop(0).abort()  # make room; its place is free once it is lost
            await self._wait()

    def release(self, connection: Connection) -> None:
        """Give a connection back: it is kept when it may carry another exchange, closed otherwise."""
        if connection.finish() and not self._closed:
            self._idle.append(connection)
            self._wake()
        else:
            connection.abort()

    def close(self) -> None:
        """Close what is idle, and everything else when it comes back."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    async def _connect(self) -> Connection:
        self._open += 1
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.times.connect):
                _, connection = await loop.create_connection(
                    lambda: Connection(self.times),
                    self.host,
                    self.port,
                    ssl=self._tls,
                    server_hostname=self._name,
                    # Ours is the limit that counts; asyncio's own would make another error of it.
                    ssl_handshake_timeout=self.times.connect + 1.0 if self._tls is not None else None,
                )
        except TimeoutError as error:
            self._gone()
            raise TimedOut(f"no connection within {self.times.connect:g} s") from error
        except OSError as error:  # refused, unreachable, no such name; TLS errors are among them
            self._gone()
            raise ConnectFailed(str(error)) from error
        except BaseException:
            self._gone()
            raise
        connection.on_lost = self._lost
        if connection.transport is None:  # lost between being made and being handed over
            self._gone()
            raise ConnectFailed("closed as soon as it was opened")
        return connection

    def _lost(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        self._gone()

    def _gone(self) -> None:
        self._open -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self.times.wait):
                await waiter
        except TimeoutError as error:
            raise NoConnectionFree(f"all {self.limit} connections were in use") from error
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # the place it was woken for goes to the next in line
            raise
