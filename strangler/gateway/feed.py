"""Copies out: exchanges on their way to the observer, over a local socket, without ever waiting.

What cannot be written at once is not kept: it is dropped, and counted on the worker's sheet. When the observer
is gone the feed reconnects in the background and begins with a Hello, from which the observer learns what was
lost in between.
"""

from __future__ import annotations

import asyncio
import contextlib

from strangler.exchange.frames import MAX_FRAME, Hello, encode
from strangler.exchange.model import Exchange
from strangler.exchange.sheet import INDEX, Sheet

#: Bytes that may wait for the observer to read them. Beyond this, exchanges are dropped.
HIGH_WATER = 8 * 1024 * 1024
RETRY_AFTER = 0.2  # seconds between attempts to reach the observer


class Feed(asyncio.Protocol):
    """The worker's end of the socket. `offer` takes an exchange or counts why not."""

    def __init__(self, path: str, sheet: Sheet, worker: str) -> None:
        self._path = path
        self._sheet = sheet
        self._worker = worker
        self._transport: asyncio.WriteTransport | None = None
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def offer(self, exchange: Exchange, base: int) -> None:
        """Hand an exchange over, or drop it. `base` is the route's place on the sheet."""
        counts = self._sheet.counts
        transport = self._transport
        if transport is None or transport.is_closing():
            counts[base + INDEX["observer_down"]] += 1
            return
        if transport.get_write_buffer_size() > HIGH_WATER:
            counts[base + INDEX["queue_full"]] += 1
            return
        frame = encode(exchange)
        if len(frame) > MAX_FRAME:
            counts[base + INDEX["body_too_large"]] += 1
            return
        # Counted first: what is counted and lost shows as lost, what is recorded and not counted would not add up.
        counts[base + INDEX["handed"]] += 1
        transport.write(frame)

    @property
    def connected(self) -> bool:
        """True while there is an observer to hand exchanges to."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def waiting(self) -> int:
        """Bytes that the observer has not read yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def start(self) -> None:
        """Keep connected from now on."""
        self._task = asyncio.get_running_loop().create_task(self._stay_connected())

    async def stop(self, deadline: float = 2.0) -> None:
        """Send what waits, for at most `deadline` seconds, and close."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        transport = self._transport
        if transport is not None:
            transport.close()  # flushes first
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline):
                    await self._lost.wait()
            transport.abort()

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._lost.clear()
            try:
                await loop.create_unix_connection(lambda: self, self._path)
            except OSError:
                await asyncio.sleep(RETRY_AFTER)
                continue
            await self._lost.wait()
            await asyncio.sleep(RETRY_AFTER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who speaks and what was handed over before, in the same step in which exchanges may follow."""
        self._transport = transport  # type: ignore[assignment]  # a socket transport writes
        assert self._transport is not None
        self._transport.write(encode(Hello(self._worker, self._sheet.column("handed"))))

    def connection_lost(self, exc: Exception | None) -> None:
        """From here on exchanges are dropped as `observer_down`, until the next connection."""
        self._transport = None
        self._lost.set()
