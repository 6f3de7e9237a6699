"""What goes wrong in benchmarks.shop: a plan drawn from a seed, and the wire that it is done to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

Kind = Literal["killed", "slowed", "partitioned", "answers lost", "reset"]
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to a service: `after` the last one has ended, and for so long, both in seconds."""

    kind: Kind
    service: str
    after: float
    seconds: float


def plan(random: Random, services: list[str]) -> Iterator[Fault]:
    """Faults without end; the same for the same seed."""
    while True:
        kind: Kind = random.choice(get_args(Kind))
        seconds = 0.0 if kind == "reset" else random.uniform(0.1, 2.0)
        yield Fault(kind, random.choice(services), random.uniform(0.1, 2.0), seconds)


class Wire:
    """Carries bytes to a service, and does to them what a network may do."""

    def __init__(self, to: int, random: Random) -> None:
        self.fault: Kind | None = None
        self.port = 0
        self._to = to
        self._random = random
        self._open: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen on `port` for as long as the block lasts."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self.reset()
            await server.wait_closed()

    def reset(self) -> None:
        """Break all connections, in the middle of whatever they carry."""
        for writer in self._open:
            writer.transport.abort()

    async def _carry(self, caller: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._open.add(back)
        try:
            service, forth = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            self._open.discard(back)
            back.transport.abort()
            return
        self._open.add(forth)
        try:
            with contextlib.suppress(OSError, ExceptionGroup):
                async with asyncio.TaskGroup() as pipes:
                    pipes.create_task(self._pipe(caller, forth, "there"))
                    pipes.create_task(self._pipe(service, back, "back"))
        finally:
            for writer in (back, forth):
                self._open.discard(writer)
                writer.transport.abort()

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str) -> None:
        while data := await source.read(CHUNK):
            if self.fault == "slowed":
                await asyncio.sleep(self._random.uniform(0.05, 0.4))
            if self.fault == "partitioned" or (self.fault == "answers lost" and way == "back"):
                continue  # the bytes are gone, and nobody is told
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError  # one side has closed: the other has nothing more to say to it
