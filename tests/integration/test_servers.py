"""The tests' own servers: whoever has connected when they end is let go, and a socket left open is found."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.gateway import gateway
from tests.support.left import left_since, open_sockets
from tests.support.proxy import service
from tests.support.raw import answering, serving, until

Server = Callable[[Path], contextlib.AbstractAsyncContextManager[int]]


@contextlib.asynccontextmanager
async def listener(folder: Path):  # type: ignore[no-untyped-def]
    async with gateway(folder, answering()) as made:
        yield made.port


SERVERS: dict[str, Server] = {
    "application": lambda folder: service(lambda request: web.Response()),
    "conversation": lambda folder: serving(answering()),
    "gateway": listener,
}


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
async def test_who_connects_while_a_server_ends_is_let_go(tmp_path: Path, server: Server, turns: int) -> None:
    with contextlib.ExitStack() as callers:
        before = open_sockets()
        async with server(tmp_path) as port:
            own = open_sockets() - before
            for _ in range(5):
                callers.enter_context(socket.create_connection(("127.0.0.1", port)))
            mine = open_sockets() - before - own
            for _ in range(turns):
                await asyncio.sleep(0)
        await until(lambda: open_sockets() - before <= mine, within=5)


def test_a_socket_left_open_is_found_and_named() -> None:
    before = open_sockets()
    assert left_since(before) == []
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = sock.getsockname()
        assert left_since(before) == [f"AF_INET socket {sock.fileno()} at {address}"]
        with socket.create_connection(address) as caller:
            assert left_since(before)[1] == (
                f"AF_INET socket {caller.fileno()} at {caller.getsockname()} to {address}"
            )
    assert left_since(before) == []
