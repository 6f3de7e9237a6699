"""Bodies both ways: as they come, at the pace of the slower end. RFC 9112 sections 6 and 7, RFC 9110 section 10.1.1."""

import asyncio
from pathlib import Path

import pytest

from tests.support.gateway import gateway
from tests.support.raw import ok, read_head, until
from tests.support.wire import CHUNKED, GET, POST, Arrived, caller, hear, read_body, recording

BLOCK = b"x" * 65_536
BOUND = 16 * 1024 * 1024  # what kernels and the gateway may hold between two ends, generously


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_a_body_in_small_packets_arrives_whole(tmp_path: Path, size: int) -> None:
    arrived = Arrived()
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        await hear(made.port, POST + CHUNKED, *parts, quiet=0.3)
    assert arrived.bodies == [b"hello world"]
    assert b"Transfer-Encoding: chunked" in arrived.fields()


async def test_a_sized_body_keeps_its_size(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        await hear(made.port, POST + b"content-LENGTH: 5\r\n\r\n", b"he", b"llo", quiet=0.3)
    assert arrived.bodies == [b"hello"]
    assert arrived.fields()[:2] == [b"Host: shop", b"content-LENGTH: 5"]


async def test_thousands_of_tiny_chunks_in_one_packet_are_one_body(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        await hear(made.port, POST + CHUNKED + b"1\r\na\r\n" * 30_000 + b"0\r\n\r\n", quiet=1.0)
    assert arrived.bodies == [b"a" * 30_000]


async def test_an_upstream_that_does_not_read_holds_up_its_caller(tmp_path: Path) -> None:
    async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()

    over = asyncio.Event()
    async with gateway(tmp_path, never_reads, observer=False) as made, caller(made.port) as (_, writer):
        writer.write(POST + CHUNKED)
        written = 0
        try:
            while written < 4 * BOUND:
                writer.write(b"10000\r\n" + BLOCK + b"\r\n")
                async with asyncio.timeout(0.5):
                    await writer.drain()
                written += len(BLOCK)
        except TimeoutError:
            pass
        over.set()
    assert written < BOUND


async def test_a_caller_who_does_not_read_holds_up_the_upstream(tmp_path: Path) -> None:
    written = 0

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while written < 4 * BOUND:
            writer.write(b"10000\r\n" + BLOCK + b"\r\n")
            await writer.drain()
            written += len(BLOCK)

    async with gateway(tmp_path, pours, observer=False) as made, caller(made.port) as (_reader, writer):
        writer.transport.pause_reading()
        writer.write(GET + b"\r\n")
        before = -1
        while before != written or not written:  # until the upstream has stalled
            before = written
            await asyncio.sleep(0.2)
        assert written < BOUND


async def test_a_slow_reader_gets_every_byte(tmp_path: Path) -> None:
    size = 8 * 1024 * 1024

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for number in range(size // 4096):
            writer.write(number.to_bytes(4, "big") * 1024)
            await writer.drain()
        await reader.read(-1)

    async with gateway(tmp_path, pours, observer=False) as made, caller(made.port) as (reader, writer):
        writer.write(GET + b"\r\n")
        await read_head(reader)
        for number in range(size // 4096):
            assert await reader.readexactly(4096) == number.to_bytes(4, "big") * 1024
            if number % 64 == 0:
                await asyncio.sleep(0)


async def test_100_continue_is_the_upstreams_to_give(tmp_path: Path) -> None:
    async def careful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Expect: 100-continue" in await read_head(reader)
        await asked.wait()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(5) == b"hello"
        writer.write(ok(b"thanks"))
        await reader.read(-1)

    asked = asyncio.Event()
    async with gateway(tmp_path, careful, observer=False) as made, caller(made.port) as (reader, writer):
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        await writer.drain()
        asked.set()
        assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert b"200 OK" in await read_head(reader)
        assert await reader.readexactly(6) == b"thanks"


async def test_a_body_that_is_not_wanted_ends_the_connection(tmp_path: Path) -> None:
    """RFC 9110 section 10.1.1: a final answer instead of 100; the body may or may not come."""

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        await reader.read(-1)

    async with gateway(tmp_path, refuses, observer=False) as made:
        heard = await hear(made.port, POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert heard.data == b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert heard.end == "closed"


async def test_an_old_callers_expectation_is_not_passed_on(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        await hear(
            made.port, b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"
        )
    assert arrived.bodies == [b"x"]
    assert b"Expect: 100-continue" not in arrived.fields()


async def test_an_answer_before_the_body_is_whole_reaches_the_caller(tmp_path: Path) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
        await reader.read(-1)

    async with gateway(tmp_path, hasty, observer=False) as made:
        heard = await hear(made.port, POST + b"Content-Length: 1000000\r\n\r\n", BLOCK)
        assert heard.data == b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
        assert heard.end == "closed"
        await until(lambda: made.pools["old"].open == 0)  # half a request cannot be followed by another


LIMIT = "limits: {body: 10B}"


async def test_a_body_beyond_the_limit_goes_nowhere_when_it_says_so(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False, top=LIMIT) as made:
        heard = await hear(made.port, POST + b"Content-Length: 11\r\n\r\n")
        fine = await hear(made.port, POST + b"Content-Length: 10\r\n\r\n0123456789", quiet=0.2)
    assert heard.statuses == [413]
    assert fine.statuses == [200]
    assert len(arrived.heads) == 1


@pytest.mark.parametrize("together", [True, False])
async def test_a_body_beyond_the_limit_is_cut_off_when_it_does_not(tmp_path: Path, together: bool) -> None:
    arrived = Arrived()
    parts = [POST + CHUNKED, b"8\r\n01234567\r\n", b"3\r\n890\r\n0\r\n\r\n"]
    async with gateway(tmp_path, recording(arrived), observer=False, top=LIMIT) as made:
        heard = await hear(made.port, *([b"".join(parts)] if together else parts))
    assert heard.statuses == [413]
    assert arrived.heads == []  # no request of which the upstream could think that it was whole


async def test_trailers_go_on_but_for_those_that_frame_route_or_authenticate(tmp_path: Path) -> None:
    """RFC 9110 section 6.5.1, RFC 9112 section 7.1.2."""
    arrived = Arrived()
    answer = (
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nhi\r\n0\r\nX-Sum: 2\r\nSet-Cookie: a=1\r\nVia: x\r\n\r\n"
    )
    body = b"3\r\nabc\r\n0\r\nx-SUM: 3\r\nHost: evil\r\nAuthorization: x\r\nCookie: y\r\n\r\n"
    async with (
        gateway(tmp_path, recording(arrived, answer), observer=False) as made,
        caller(made.port) as ends,
    ):
        reader, writer = ends
        writer.write(POST + b"TE: trailers\r\nTrailer: x-SUM\r\n" + CHUNKED + body)
        head = await read_head(reader)
        assert await read_body(reader, head) == (b"hi", b"X-Sum: 2\r\n")
    assert b"Trailer: X-Sum" in head
    assert arrived.trailers == [b"x-SUM: 3\r\n"]
    assert {b"TE: trailers", b"Connection: TE", b"Trailer: x-SUM"} <= set(arrived.fields())


async def test_te_is_passed_on_only_as_far_as_we_keep_it(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        await hear(made.port, GET + b"TE: gzip\r\nConnection: TE\r\n\r\n", quiet=0.2)
    assert not any(line.startswith((b"TE", b"Connection")) for line in arrived.fields())


async def test_a_body_that_came_before_there_was_a_connection_goes_on_when_there_is(tmp_path: Path) -> None:
    """The caller is held up while its request waits for a connection; it must be let go again."""
    size = 4 * 1024 * 1024

    async def one_at_a_time(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_body(reader, await read_head(reader))
            await go.wait()
            writer.write(ok(b"thanks"))

    go = asyncio.Event()
    async with gateway(tmp_path, one_at_a_time, observer=False, upstream=", connections: 1") as made:
        first = asyncio.create_task(hear(made.port, GET + b"\r\n", quiet=1.0))
        await until(lambda: made.pools["old"].open == 1)
        async with caller(made.port) as (reader, writer):
            writer.write(POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
            await until(lambda: "waiting=1" in repr(made.pools["old"]))
            go.set()
            assert b"200 OK" in await read_head(reader)
        assert (await first).statuses == [200]
