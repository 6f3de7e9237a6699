"""Upgrades: bytes both ways after a 101. RFC 9110 section 7.8, RFC 9112 section 9.9 on half-closing, RFC 6455."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.gateway import gateway, get
from tests.support.raw import Conversation, ok, read_head, until
from tests.support.servers import application
from tests.support.wire import Arrived, caller, hear, recording

ASK = get("/chat", "Connection: keep-alive, Upgrade", "Upgrade: chat/1", "X-Mine: 1")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nX-Yours: 2\r\nConnection: upgrade\r\nUpgrade: chat/1\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nX-Yours: 2\r\nUpgrade: chat/1\r\nConnection: Upgrade\r\n\r\n"


def echoing(seen: list[bytes], *, early: bytes = b"") -> Conversation:
    """Switches, then says everything back, and `bye` when the other end has finished."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_head(reader))
        writer.write(SWITCH + early)
        while data := await reader.read(65536):
            writer.write(data)
        writer.write(b"bye")

    return conversation


async def test_bytes_go_both_ways_and_early_ones_are_not_lost(tmp_path: Path) -> None:
    seen: list[bytes] = []
    async with (
        gateway(tmp_path, echoing(seen, early=b"welcome"), observer=False) as made,
        caller(made.port) as (reader, writer),
    ):
        writer.write(ASK + b"first")
        assert await reader.readexactly(len(SWITCHED)) == SWITCHED
        assert await reader.readexactly(12) == b"welcomefirst"
        writer.write(b"\x00\xff\r\n\r\nGET / HTTP/1.1\r\n")
        assert await reader.readexactly(22) == b"\x00\xff\r\n\r\nGET / HTTP/1.1\r\n"
        writer.write_eof()
        assert await reader.read(-1) == b"bye"  # half-closed: the other way went on
        assert made.count("", "legacy_1xx") == 1
        await until(lambda: made.pools["old"].open == 0)
    assert b"Upgrade: chat/1\r\nConnection: Upgrade\r\n" in seen[0]
    assert b"X-Mine: 1\r\n" in seen[0]


async def test_a_megabyte_each_way_survives(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192
    async with (
        gateway(tmp_path, echoing([]), observer=False) as made,
        caller(made.port) as (reader, writer),
    ):
        writer.write(ASK)
        await read_head(reader)
        writer.write(data)
        assert await reader.readexactly(len(data)) == data


async def test_the_upstream_may_finish_first(tmp_path: Path) -> None:
    async def finishes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(SWITCH + b"done")
        writer.write_eof()
        got.append(await reader.read(-1))

    got: list[bytes] = []
    async with gateway(tmp_path, finishes, observer=False) as made, caller(made.port) as (reader, writer):
        writer.write(ASK)
        assert (await reader.read(-1)).endswith(b"done")
        writer.write(b"still here")
        writer.write_eof()
        await until(lambda: got == [b"still here"])


@pytest.mark.parametrize("who", ["caller", "upstream"])
async def test_an_end_that_dies_takes_the_other_along(tmp_path: Path, who: str) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(SWITCH)
        await die.wait() if who == "upstream" else await reader.read(-1)
        writer.transport.abort()

    die = asyncio.Event()
    async with gateway(tmp_path, conversation, observer=False) as made:
        async with caller(made.port) as (reader, writer):
            writer.write(ASK)
            await read_head(reader)
            die.set()
            if who == "upstream":
                assert await reader.read(-1) == b""
            else:
                writer.transport.abort()
        await until(lambda: made.pools["old"].open == 0)


async def test_silence_both_ways_ends_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, echoing([]), observer=False, patience="{tunnel: 200ms}") as made:
        heard = await hear(made.port, ASK)
    assert heard.statuses == [101]
    assert heard.end in ("closed", "reset")


@pytest.mark.parametrize("status", [200, 426])
async def test_an_upgrade_that_is_refused_is_an_ordinary_answer(tmp_path: Path, status: int) -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            target = (await read_head(reader)).split(b" ")[1]
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%b" % (status, len(target), target))

    async with gateway(tmp_path, refuses, observer=False) as made:
        heard = await hear(made.port, ASK + get("/next") + get("/last"), quiet=0.3)
    assert heard.statuses == [status] * 3
    assert heard.data.endswith(b"/last")
    assert heard.end == "open"


async def test_a_protocol_that_nobody_asked_for_is_502(tmp_path: Path) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(SWITCH.replace(b"chat/1", b"chat/2"))
        await reader.read(-1)

    async with gateway(tmp_path, other, observer=False) as made:
        heard = await hear(made.port, ASK, quiet=0.3)
    assert heard.statuses == [502]


async def test_an_upgrade_with_a_body_is_asked_without_the_upgrade(tmp_path: Path) -> None:
    """RFC 9110 section 7.8: a server may ignore an upgrade; so may we."""
    seen: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_head(reader))
            if b"POST" in seen[-1]:
                await reader.readexactly(2)
            writer.write(ok(b"hi"))

    said = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\nContent-Length: 2\r\n\r\nhi"
    )
    async with gateway(tmp_path, plain, observer=False) as made:
        heard = await hear(made.port, said + get("/next"), quiet=0.3)
    assert heard.statuses == [200, 200]
    assert b"pgrade" not in seen[0]


async def test_an_upgrade_goes_to_its_side_and_is_never_copied(tmp_path: Path) -> None:
    seen: list[bytes] = []
    ask = get("/pay/1", "Connection: Upgrade", "Upgrade: chat/1")
    async with (
        gateway(tmp_path, echoing([]), echoing(seen), share="100%", shadow="100%") as made,
        caller(made.port) as (reader, writer),
    ):
        writer.write(ask)
        assert b"101" in await read_head(reader)
        assert seen[0].startswith(b"GET /v2/1 HTTP/1.1\r\n")
        assert made.count("pay", "eligible") == 0
        assert made.taken == []


async def test_a_websocket_with_its_extensions_and_close_codes(tmp_path: Path) -> None:
    closed: list[int | None] = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        async for message in socket:
            if message.data == "leave":
                await socket.close(code=4001, message=b"as you wish")
            else:
                await socket.send_str(message.data * 100)
        closed.append(socket.close_code)
        return socket

    app = web.Application()
    app.router.add_get("/ws", serve)

    async def unused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with (
        application(app) as port,
        gateway(tmp_path, unused, observer=False) as made,
        aiohttp.ClientSession() as session,
    ):
        made.pools["old"].port = port
        url = f"http://127.0.0.1:{made.port}/ws"
        async with session.ws_connect(url, protocols=("chat",), compress=15) as socket:
            assert (socket.protocol, socket.compress) == ("chat", 15)
            await socket.send_str("ab")
            assert (await socket.receive()).data == "ab" * 100
            await socket.send_str("leave")
            assert (await socket.receive()).data == 4001
        async with session.ws_connect(url) as socket:
            await socket.close(code=4002)
        await until(lambda: 4002 in closed)
        await until(lambda: made.pools["old"].open == 0)


async def test_a_chunked_body_behind_an_upgrade_is_a_body(tmp_path: Path) -> None:
    arrived = Arrived()
    said = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        heard = await hear(made.port, said, b"2\r\nhi\r\n", b"0\r\n\r\n" + get("/next"), quiet=0.3)
    assert heard.statuses == [200, 200]
    assert arrived.bodies == [b"hi", b""]
