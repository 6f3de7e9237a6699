"""The intake: takes exchanges from every gateway, in bounded number, and says when a connection is over.

It never drops: when it holds enough, it stops reading, the socket fills, and the gateway drops and counts.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial

from strangler.exchange.frames import BadFrame, Hello, Splitter, decode_exchange, decode_hello
from strangler.exchange.model import Exchange

#: Exchanges under way for one worker before its socket is no longer read.
HELD = 512
#: And bytes of theirs. The shadows' answers come to about as much again.
HELD_BYTES = 32 * 1024 * 1024

log = logging.getLogger("strangler.observer")

Taken = Callable[[str, Exchange, Callable[[], None]], None]


class Intake:
    """Listens for gateways. `on_hello(worker, handed)` comes before any `on_exchange` of that connection.

    `on_exchange(worker, exchange, done)` must call `done` once, when the exchange has been recorded.
    """

    def __init__(self, on_hello: Callable[[Hello], None], on_exchange: Taken) -> None:
        self._on_hello = on_hello
        self._on_exchange = on_exchange
        self._lines: dict[str, _Held] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, sock: socket.socket) -> None:
        """Begin to take exchanges from a listening socket."""
        self._server = await asyncio.start_unix_server(self._connected, sock=sock, limit=4 * 1024 * 1024)

    async def stop(self, deadline: float) -> None:
        """Wait, at most `deadline` seconds, until every gateway has hung up and every exchange is done."""
        if self._server is not None:
            self._server.close()
        try:
            async with asyncio.timeout(deadline):
                if self._connections:
                    await asyncio.wait(self._connections)
                for held in list(self._lines.values()):
                    await held.none()
        except TimeoutError:
            log.warning("leaving with exchanges under way: they will be booked as skipped")
        for task in self._connections:
            task.cancel()

    def busy(self, worker: str) -> bool:
        """True while exchanges of that worker are under way, or its connection is open."""
        held = self._lines.get(worker)
        return held is not None and (held.connected or held.count > 0)

    @property
    def under_way(self) -> int:
        """Exchanges taken and not yet recorded, of all workers. May be asked in a thread."""
        return sum(held.count for held in list(self._lines.values()))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._read(reader)
        except BadFrame as error:
            log.warning("a gateway's feed is not understood: %s", error)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        splitter = Splitter()
        worker = ""
        held: _Held | None = None
        try:
            while data := await reader.read(256 * 1024):
                for frame in splitter.feed(data):
                    if held is None:
                        hello = decode_hello(frame)
                        worker = hello.worker
                        line = self._lines.setdefault(worker, _Held())
                        await line.none()  # what an earlier connection brought must be settled first
                        held = line
                        held.connected = True
                        self._on_hello(hello)
                        continue
                    await held.room()
                    exchange = decode_exchange(frame)
                    self._on_exchange(worker, exchange, held.take(len(frame)))
        finally:
            if held is not None:
                held.hung_up()


class _Held:
    """How many exchanges of one worker are under way, and who waits for there to be fewer."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self.connected = False
        self._changed = asyncio.Event()

    def hung_up(self) -> None:
        self.connected = False
        self._changed.set()

    def take(self, size: int) -> Callable[[], None]:
        """Take one of so many bytes; gives what is to be called when it is done."""
        self.count += 1
        self.bytes += size
        return partial(self._done, size)

    def _done(self, size: int) -> None:
        self.count -= 1
        self.bytes -= size
        self._changed.set()

    async def room(self) -> None:
        while self.count >= HELD or self.bytes >= HELD_BYTES:
            await self._change()

    async def none(self) -> None:
        while self.connected or self.count:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
