"""A gateway worker's life: take the table, answer callers, take newer tables, drain, leave.

The supervisor hands over the listening socket, so that a worker that dies loses no caller who was still
waiting to be accepted: its successor takes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from strangler.control import Line, Message, Run
from strangler.control import Running as InForce
from strangler.exchange.sheet import Sheet
from strangler.gateway.feed import Feed
from strangler.gateway.forward import Forwarder, Running
from strangler.gateway.listener import Listener
from strangler.http.pool import Pool
from strangler.routes import Router, Table

#: While draining, a kept-alive connection that is silent for this long is closed (seconds). A caller who had
#: just sent a request on it still gets its answer.
LINGER = 1.0
#: No drain takes longer than this (seconds).
DRAIN = 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker is started with."""

    slot: int
    listener: int  # the listening socket's descriptor
    control: int  # the line to the supervisor
    feed: str  # the observer's socket
    state: Path


def main(settings: Settings) -> None:
    """Run a worker until it is told to leave."""
    uvloop.run(_Worker(settings).run())


class _Worker:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = f"{settings.slot}-{os.getpid()}-{time.time_ns():x}"
        self._first = asyncio.Event()
        self._leave = asyncio.Event()
        self._draining = False
        self._table: Table | None = None
        self._pools: dict[str, Pool] = {}
        self._forwarder: Forwarder | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        # The supervisor decides: a Ctrl-C reaches every process of the terminal's group.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self._leave.set)
        control = socket.socket(fileno=self._settings.control)
        _, self._line = await loop.create_connection(lambda: Line(self._take, self._leave.set), sock=control)
        sheet_path = self._settings.state / "workers" / f"{self._name}.sheet"
        with Sheet(sheet_path) as self._sheet:
            feed = Feed(self._settings.feed, self._sheet, self._name)
            feed.start()
            await _either(self._first, self._leave)
            if self._table is not None:
                await self._serve(feed, self._table)
            await feed.stop()
        self._line.close()

    async def _serve(self, feed: Feed, table: Table) -> None:
        self._forwarder = Forwarder(self._running(table), self._sheet, feed, lambda: self._draining)
        listener = Listener(self._forwarder.handle)
        sock = socket.socket(fileno=self._settings.listener)
        spare = sock.dup()  # ours to take the last callers from, when the server has let go of its own
        spare.setblocking(False)
        server = await asyncio.get_running_loop().create_server(listener, sock=sock, backlog=1024)
        # What exists now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self._line.send(InForce(table.digest))
        await self._leave.wait()
        await self._drain(server, spare, listener)

    async def _drain(self, server: asyncio.Server, spare: socket.socket, listener: Listener) -> None:
        """Answer what has arrived, tell callers that this connection ends, close what stays silent."""
        loop = asyncio.get_running_loop()
        self._draining = True
        server.close()
        with contextlib.suppress(BlockingIOError, OSError):
            while True:
                accepted, _ = spare.accept()
                await loop.connect_accepted_socket(listener, accepted)
        spare.close()
        deadline = loop.time() + DRAIN
        silent_until = loop.time() + LINGER
        while listener.connections and loop.time() < deadline:
            if loop.time() >= silent_until:
                listener.pre_shutdown()
            await asyncio.sleep(0.02)
        await listener.shutdown(1.0)
        for pool in self._pools.values():
            pool.close()

    def _take(self, message: Message) -> None:
        """A table from the supervisor: the new one replaces the old in one assignment."""
        if not isinstance(message, Run):
            return
        self._table = message.table
        if self._forwarder is None:
            self._first.set()
            return
        self._forwarder.running = self._running(message.table)
        self._line.send(InForce(message.table.digest))

    def _running(self, table: Table) -> Running:
        """The table made ready. Pools of upstreams that did not change go on."""
        pools: dict[str, Pool] = {}
        for name, upstream in table.upstreams.items():
            pool = self._pools.get(name)
            same = pool is not None and (pool.host, pool.port, pool.timeout) == (
                upstream.host,
                upstream.port,
                upstream.timeout,
            )
            if pool is None or not same:
                pool = Pool(upstream.host, upstream.port, timeout=upstream.timeout)
            pools[name] = pool
        for name, pool in self._pools.items():
            if pools.get(name) is not pool:
                pool.close()  # requests under way keep their connections until they are done
        self._pools = pools
        bases = {route.name: self._sheet.base(route.name) for route in table.routes}
        bases[""] = self._sheet.base("")
        return Running(Router(table), pools, bases)


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    waits = {asyncio.ensure_future(first.wait()), asyncio.ensure_future(second.wait())}
    _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
