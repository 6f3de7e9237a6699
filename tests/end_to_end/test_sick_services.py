"""An extracted service that is dead, hangs or comes and goes, under load: no safe request fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.proxy import load, proxy, service
from tests.support.raw import ok, until
from tests.support.servers import stop

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: 127.0.0.1:0
identity: [header:x-user-id, client-address]
upstreams:
  old: {{url: "http://127.0.0.1:{old}", timeout: 10s}}
  new: {{url: "http://127.0.0.1:{new}", timeout: 300ms, breaker: {{window: 2s, open: 200ms}}}}
legacy: old
routes:
  - name: item
    match: GET /items/{{id}}
    extracted: new
    share: 60%
    shadow: 0%
"""


class Sick:
    """A service on a port of its own that is as sick as it is told to be."""

    def __init__(self) -> None:
        self.how = "well"
        self.port = 0
        self.answered = 0
        self._server: asyncio.Server | None = None

    @property
    def listens(self) -> bool:
        return self._server is not None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Nobody listens any more, and every connection is cut."""
        self.how = "dead"
        server, self._server = self._server, None
        if server is not None:
            await stop(server)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while self.how != "dead":
                await reader.readuntil(b"\r\n\r\n")
                if self.how == "hangs":
                    await reader.read(-1)
                elif self.how != "well":
                    break
                else:
                    self.answered += 1
                    writer.write(ok(b'{"path": 1}'))
                    await writer.drain()
        writer.transport.abort()


@contextlib.asynccontextmanager
async def sick() -> AsyncIterator[Sick]:
    made = Sick()
    await made.start()
    try:
        yield made
    finally:
        await made.die()


def well(request: web.Request) -> web.Response:
    return web.json_response({"path": 1})


async def flaps(made: Sick) -> None:
    """Dead and well by turns."""
    while True:
        await made.die()
        await asyncio.sleep(0.15)
        made.how = "well"
        await made.start()
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("how", ["dead", "hangs", "resets", "flaps"])
async def test_no_safe_request_fails(tmp_path: Path, how: str) -> None:
    async with (
        service(well) as old,
        sick() as new,
        proxy(tmp_path, old, new.port, routes=ROUTES) as made,
        load(lambda n: f"{made.url}/items/{n}", callers=30) as callers,
    ):
        await until(lambda: new.answered > 100, within=30)
        flapping = asyncio.create_task(flaps(new)) if how == "flaps" else None
        if how == "dead":
            await new.die()
        else:
            new.how = "well" if how == "flaps" else how
        asked = callers.asked
        await until(lambda: callers.asked > asked + 3_000, within=60)
        if flapping is not None:
            flapping.cancel()
            await asyncio.wait([flapping])
        new.how = "well"
        if not new.listens:
            await new.start()
        answered = new.answered
        await until(lambda: new.answered > answered + 50, within=30)
        assert callers.failed == 0, callers.last_error
        async with aiohttp.ClientSession() as session:
            traffic = (await made.settled(session))["traffic"]["extracted"]
    assert traffic["fallback"] > 0
    assert traffic["refused"] == 0
    assert traffic["requests"] > traffic["errors"] > 0
    assert "is out of order: " in made.log.read_text()
