"""Connections to an upstream that behaves, and to ones that do not. RFC 9112 sections 6 and 9."""

import asyncio

import pytest

from strangler.http.connection import Connection
from strangler.http.errors import (
    ConnectFailed,
    CutShort,
    Malformed,
    NoConnectionFree,
    Stale,
    TimedOut,
    UpstreamError,
)
from strangler.http.pool import Pool
from strangler.routes import Timeouts
from tests.support.raw import answering, ok, read_head, serving, until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def ask(pool: Pool, request: bytes = GET, *, head: bool = False) -> tuple[int, bytes]:
    connection = await pool.acquire()
    try:
        return await talk(connection, request, head=head)
    finally:
        pool.release(connection)


async def talk(connection: Connection, request: bytes = GET, *, head: bool = False) -> tuple[int, bytes]:
    connection.begin(request, without_body=head)
    answer = await connection.answer()
    body = b""
    while data := await connection.read():
        body += data
    return answer.status, body


def pool_for(port: int, *, timeout: float = 5.0, limit: int = 4) -> Pool:
    return Pool("127.0.0.1", port, times=Timeouts.of(timeout), limit=limit)


async def test_one_connection_carries_many_exchanges() -> None:
    async with serving(answering(ok(b"one"), ok(b"two"), ok(b""))) as port:
        pool = pool_for(port)
        assert [await ask(pool) for _ in range(3)] == [(200, b"one"), (200, b"two"), (200, b"")]
        assert pool.open == 1
        pool.close()


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            200,
            b"abcd",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok(b"after"), 200, b"after"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"x"), 200, b"x"),
    ],
)
async def test_answers_of_every_framing_keep_the_connection(answer: bytes, status: int, body: bytes) -> None:
    async with serving(answering(answer, ok(b"next"))) as port:
        pool = pool_for(port)
        assert await ask(pool) == (status, body)
        assert await ask(pool) == (200, b"next")
        assert pool.open == 1
        pool.close()


async def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", ok(b"next"))) as port:
        pool = pool_for(port)
        assert await ask(pool, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", head=True) == (200, b"")
        assert await ask(pool) == (200, b"next")
        assert pool.open == 1
        pool.close()


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\nall of it")) as port:
        pool = pool_for(port)
        assert await ask(pool) == (200, b"all of it")
        await until(lambda: pool.open == 0)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", Stale),
        (b"HTTP/1.1 20", CutShort),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", CutShort),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", CutShort),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Malformed),
        (b"SSH-2.0-OpenSSH\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Malformed),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000 + b"\r\n", Malformed),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Malformed),
    ],
)
async def test_an_answer_that_is_none_is_an_error_and_the_connection_goes(
    answer: bytes, error: type[UpstreamError]
) -> None:
    async with serving(answering(answer)) as port:
        pool = pool_for(port)
        with pytest.raises(error):
            await ask(pool)
        await until(lambda: pool.open == 0)


async def test_silence_is_a_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with serving(silent) as port:
        pool = pool_for(port, timeout=0.1)
        with pytest.raises(TimedOut):
            await ask(pool)
        await until(lambda: pool.open == 0)


async def test_a_caller_who_sends_slowly_is_not_the_upstreams_fault() -> None:
    async def takes_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(6)
        writer.write(ok(b"thanks"))
        await reader.read(-1)

    async with serving(takes_a_body) as port:
        pool = pool_for(port, timeout=0.1)
        connection = await pool.acquire()
        connection.begin(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n", more=True)
        answer = asyncio.create_task(connection.answer())
        for byte in b"abcdef":
            await asyncio.sleep(0.05)  # the caller's pace: longer in all than the upstream's timeout
            connection.write(bytes([byte]))
        connection.sent()
        assert (await answer).status == 200
        assert await connection.read() == b"thanks"
        pool.release(connection)
        pool.close()


async def test_nobody_listening_is_told_at_once() -> None:
    async with serving(answering()) as port:
        pass
    with pytest.raises(ConnectFailed):
        await pool_for(port).acquire()


async def test_bytes_nobody_asked_for_close_an_idle_connection() -> None:
    async with serving(answering(ok(b"one") + ok(b"poison"), ok(b"two"))) as port:
        pool = pool_for(port)
        assert await ask(pool) == (200, b"one")
        await until(lambda: pool.idle == 0 and pool.open == 0)


async def test_a_full_pool_makes_wait_and_then_says_so() -> None:
    async with serving(answering(ok(b"one"), ok(b"two"))) as port:
        pool = pool_for(port, limit=1, timeout=0.1)
        held = await pool.acquire()
        with pytest.raises(NoConnectionFree):
            await pool.acquire()
        waiting = asyncio.create_task(ask(pool))
        await talk(held)
        pool.release(held)
        assert await waiting == (200, b"two")
        pool.close()


async def test_an_upstream_far_ahead_is_not_read_from() -> None:
    size = 64 * 1024 * 1024
    written = 0

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = b"x" * 65536
        while written < size:
            writer.write(block)
            await writer.drain()
            written += len(block)

    async with serving(pours) as port:
        pool = pool_for(port)
        connection = await pool.acquire()
        connection.begin(GET)
        await connection.answer()
        before = -1
        while before != written:  # until the server has stalled
            before = written
            await asyncio.sleep(0.1)
        assert written < size / 2
        got = 0
        while data := await connection.read():
            got += len(data)
        assert got == size
        pool.release(connection)
        pool.close()
