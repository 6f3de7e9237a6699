"""Servers in the tests' own process, and an end to them at which no connection is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

#: The turns of the loop that a connection takes from its accept until somebody has it who will close it: its
#: transport is made, its protocol hears of it, and the task that talks on it begins.
TURNS = 3


async def stop(server: asyncio.Server) -> None:
    """Close a server. Every connection that it has accepted is in its protocol's hands by then.

    `Server.close` alone forgets those that were accepted in the turn of the loop before: their transports fail
    to be made, and nobody closes their sockets (https://github.com/python/cpython/issues/109564).
    """
    loop = server.get_loop()
    for sock in server.sockets:
        loop.remove_reader(sock)
    try:
        for _ in range(TURNS):
            await asyncio.sleep(0)
    finally:
        server.close()


@contextlib.asynccontextmanager
async def application(app: web.Application) -> AsyncIterator[int]:
    """An aiohttp application on a free port of loopback."""
    async with at_a_port(web.AppRunner(app, access_log=None, shutdown_timeout=1)) as port:
        yield port


@contextlib.asynccontextmanager
async def at_a_port(runner: web.AppRunner) -> AsyncIterator[int]:
    """What an aiohttp runner runs, on a free port of loopback. It is set up and cleaned up here."""
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop(server)
        await runner.cleanup()
