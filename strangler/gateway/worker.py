"""A gateway worker's life: take the table, answer callers, take newer tables, drain, leave.

The supervisor hands over the listening socket, so that a worker that dies loses no caller who was still
waiting to be accepted: its successor takes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from strangler.control import Line, Message, Run
from strangler.control import Running as InForce
from strangler.exchange.sheet import WORKER, Sheet, SheetFull
from strangler.gateway.access import Access
from strangler.gateway.feed import Feed
from strangler.gateway.forward import Forwarder
from strangler.gateway.gauges import Gauges
from strangler.gateway.listener import Listener
from strangler.gateway.passage import Running
from strangler.gateway.tables import Tables
from strangler.http.tls import Certificate, TlsFault
from strangler.routes import Table

#: While draining, a kept-alive connection that is silent for this long is closed (seconds). A caller who had
#: just sent a request on it still gets its answer.
LINGER = 1.0
#: No drain takes longer than this (seconds).
DRAIN = 30.0
#: A caller over TLS need not say goodbye before its connection is closed (RFC 8446 section 6.1), and the pools of
#: clients do not, since they read nothing while they ask nothing. They have this long for the last answer (seconds).
GOODBYE = 2.0
#: A caller has this long to shake hands. It holds no place among `limits.connections` while it does (seconds).
HANDSHAKE = 10.0
#: What was written before a close waits for its caller as long as `limits.stall` allows, and not just for the half
#: minute that the loop would give it over TLS (seconds).
FAREWELL = 3600.0
#: Seconds between two looks at the files of the listener's certificate.
RENEWAL = 2.0

log = logging.getLogger("strangler.gateway")


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
    form = f"strangler: worker {settings.slot}: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stderr)
    try:
        uvloop.run(_Worker(settings).run())
    except (TlsFault, SheetFull) as error:
        # Files can be spoilt between two starts. The supervisor tries again, and the line says what to mend.
        log.error("%s", error)
        sys.exit(1)


class _Worker:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = f"{settings.slot}-{os.getpid()}-{time.time_ns():x}"
        self._newest: Table | None = None  # the last one that the supervisor sent
        self._news = asyncio.Event()
        self._leave = asyncio.Event()
        self._draining = False
        self._certificate: Certificate | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        # The supervisor decides: a Ctrl-C reaches every process of the terminal's group.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self._leave.set)
        _allow_many_files()
        control = socket.socket(fileno=self._settings.control)
        _, self._line = await loop.create_connection(lambda: Line(self._take, self._leave.set), sock=control)
        sheet_path = self._settings.state / "workers" / f"{self._name}.sheet"
        with Sheet(sheet_path) as sheet:
            feed = Feed(self._settings.feed, sheet, self._name)
            feed.start()
            await _either(self._news, self._leave)
            if not self._leave.is_set():
                await self._serve(feed, sheet)
            await feed.stop()
        self._line.close()

    async def _serve(self, feed: Feed, sheet: Sheet) -> None:
        table = self._newest
        assert table is not None
        self._news.clear()
        tables = Tables(sheet)
        with contextlib.closing(Access(partial(sheet.add, WORKER, "lines_dropped"))) as access:
            access.use(table.access_log)
            running = await tables.ready(table)
            forwarder = Forwarder(running, sheet, feed, lambda: self._draining, access)
            self._use_certificate(table)
            listener = Listener(forwarder, sheet)
            gauges = Gauges(sheet, forwarder, listener)
            server, spare = await self._listen(listener)
            # What exists now lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            self._line.send(InForce(table.version))
            followers = [
                asyncio.create_task(self._follow(tables, forwarder, access)),
                asyncio.create_task(self._renew()),
            ]
            noting = asyncio.create_task(gauges.keep_noting())
            await self._leave.wait()
            for follower in followers:
                follower.cancel()
            await self._drain(server, spare, listener)
            noting.cancel()
            gauges.note()  # the CPU time is a count, and this is its last word
            tables.close()

    async def _listen(self, listener: Listener) -> tuple[asyncio.Server, socket.socket]:
        sock = socket.socket(fileno=self._settings.listener)
        spare = sock.dup()  # ours to take the last callers from, when the server has let go of its own
        spare.setblocking(False)
        loop = asyncio.get_running_loop()
        return await loop.create_server(listener, sock=sock, backlog=1024, **self._tls), spare

    @property
    def _tls(self) -> dict[str, Any]:
        if self._certificate is None:
            return {}
        return {
            "ssl": self._certificate.context,
            "ssl_handshake_timeout": HANDSHAKE,
            "ssl_shutdown_timeout": FAREWELL,
        }

    async def _drain(self, server: asyncio.Server, spare: socket.socket, listener: Listener) -> None:
        """Answer what has arrived, tell callers that this connection ends, close what stays silent."""
        loop = asyncio.get_running_loop()
        self._draining = True
        server.close()
        last = self._accept_the_last(spare, listener)
        deadline = loop.time() + DRAIN
        silent_until = loop.time() + LINGER
        shaking_until = silent_until if self._tls else 0.0  # who is shaking hands is not counted yet
        leave_at = loop.time() + GOODBYE
        while loop.time() < deadline:
            arriving = loop.time() < shaking_until or not all(task.done() for task in last)
            if not arriving and not listener.count:
                break
            if loop.time() >= silent_until:
                listener.pre_shutdown()
            if any(map(_is_open, listener.connections)):
                leave_at = loop.time() + GOODBYE
            elif loop.time() >= leave_at:
                break
            await asyncio.sleep(0.02)
        for task in last:
            task.cancel()
        await listener.shutdown(1.0)

    def _accept_the_last(self, spare: socket.socket, listener: Listener) -> list[asyncio.Task[None]]:
        """Callers who had come before the server let go. None of them waits for another one's handshake."""
        last = []
        with contextlib.suppress(OSError):  # nobody else is there
            while True:
                accepted, _ = spare.accept()
                last.append(asyncio.create_task(self._connect(listener, accepted)))
        spare.close()
        return last

    async def _connect(self, listener: Listener, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the handshake has failed, or never came
            await asyncio.get_running_loop().connect_accepted_socket(listener, accepted, **self._tls)

    def _take(self, message: Message) -> None:
        """A table from the supervisor. When several come at once, the last is the one to use."""
        if isinstance(message, Run):
            self._newest = message.table
            self._news.set()

    async def _follow(self, tables: Tables, forwarder: Forwarder, access: Access) -> None:
        """Take newer tables into force, one after the other."""
        while True:
            await self._news.wait()
            self._news.clear()
            table = self._newest
            assert table is not None
            try:
                running = await tables.ready(table)
            except (TlsFault, SheetFull) as error:
                log.error("the table of before stays in force: %s", error)
                continue
            old = forwarder.running
            forwarder.use(running)
            access.use(table.access_log)
            if self._certificate is not None and table.tls is not None:
                self._certificate.use(table.tls.certificate, table.tls.key)
            self._line.send(InForce(table.version))
            gc.freeze()
            await asyncio.to_thread(_let_go_of, [old])

    def _use_certificate(self, table: Table) -> None:
        if table.tls is not None:
            self._certificate = Certificate(table.tls.certificate, table.tls.key)

    async def _renew(self) -> None:
        """Take up a renewed certificate. Callers who are connected notice nothing."""
        certificate = self._certificate
        while certificate is not None:
            await asyncio.sleep(RENEWAL)
            news = certificate.poll()
            if isinstance(news, TlsFault):
                log.error("the certificate of before stays in use: %s", news)
            elif news is not None:
                log.info("the certificate was renewed")


def _is_open(connection: Any) -> bool:
    """False for a caller's connection that only waits for the caller to let go, too."""
    transport = connection.transport
    return transport is not None and not (transport.is_closing() and not transport.get_write_buffer_size())


def _let_go_of(tables: list[Running]) -> None:
    """Taking ten thousand routes apart takes time, too; this is done in a thread."""
    tables.clear()


def _allow_many_files() -> None:
    """Every caller and every upstream's connection is a file: take as many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    waits = {asyncio.ensure_future(first.wait()), asyncio.ensure_future(second.wait())}
    _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
