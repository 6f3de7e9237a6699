"""Connections: kept, pipelined, left, cut. RFC 9112 section 9; RFC 9110 section 9.2.2 on sending twice."""

import asyncio
from pathlib import Path

import pytest

from tests.support.gateway import gateway
from tests.support.raw import Conversation, answering, ok, read_head, until
from tests.support.wire import CHUNKED, GET, POST, Arrived, caller, hear, recording

KEPT = {
    "1.1": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "open", b""),
    "1.1 with close": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "closed",
        b"Connection: close\r\n",
    ),
    "1.0": (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "closed", b"Connection: close\r\n"),
    "1.0 with keep-alive": (
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "open",
        b"Connection: keep-alive\r\n",
    ),
}


@pytest.mark.parametrize(("said", "end", "line"), KEPT.values(), ids=KEPT)
async def test_a_connection_is_kept_when_its_caller_may_go_on(
    tmp_path: Path, said: bytes, end: str, line: bytes
) -> None:
    async with gateway(tmp_path, recording(Arrived()), observer=False) as made:
        heard = await hear(made.port, said, quiet=0.3)
    assert heard.end == end
    assert line in heard.data


@pytest.mark.parametrize("many", [50, 500])
async def test_pipelined_requests_are_answered_in_order(tmp_path: Path, many: int) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(ok((await read_head(reader)).split(b" ")[1]))

    said = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(many))
    async with gateway(tmp_path, echo, observer=False) as made:
        heard = await hear(made.port, said, quiet=0.5)
        assert made.pools["old"].open == 1  # one at a time
    assert heard.data == b"".join(ok(b"/%d" % number) for number in range(many))


async def test_a_body_and_the_next_request_may_share_a_packet(tmp_path: Path) -> None:
    arrived = Arrived()
    said = POST + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + POST + b"Content-Length: 2\r\n\r\nde" + GET + b"\r\n"
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        heard = await hear(made.port, said, quiet=0.3)
    assert heard.statuses == [200, 200, 200]
    assert arrived.bodies == [b"abc", b"de", b""]


async def test_what_follows_close_is_not_read(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(tmp_path, recording(arrived), observer=False) as made:
        heard = await hear(made.port, GET + b"Connection: close\r\n\r\n" + GET + b"\r\n")
    assert (heard.statuses, heard.end) == ([200], "closed")
    assert len(arrived.heads) == 1


def hanging(left: asyncio.Event, *, head: bytes = b"") -> Conversation:
    """An upstream that never finishes, and notes when it is left."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(head)
        try:
            await reader.read(-1)
        finally:
            left.set()

    return conversation


LEAVING = {
    "before the answer": b"",
    "in the answer": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "in an endless answer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
}


@pytest.mark.parametrize("head", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("said", [GET + b"\r\n", POST + CHUNKED + b"3\r\nabc\r\n"], ids=["GET", "POST"])
async def test_a_caller_who_leaves_takes_the_request_along(tmp_path: Path, head: bytes, said: bytes) -> None:
    left = asyncio.Event()
    async with gateway(tmp_path, hanging(left, head=head), observer=False) as made:
        async with caller(made.port) as (reader, writer):
            writer.write(said)
            if head:
                await reader.readuntil(b"abc")
            else:
                await until(lambda: made.pools["old"].open == 1)
        async with asyncio.timeout(5):
            await left.wait()
        await until(lambda: made.pools["old"].open == 0)


async def test_requests_behind_that_of_a_caller_who_left_go_nowhere(tmp_path: Path) -> None:
    left = asyncio.Event()
    arrived = Arrived()

    async def first_hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.heads.append(await read_head(reader))
        await hanging(left)(reader, writer)

    async with gateway(tmp_path, first_hangs, observer=False) as made:
        async with caller(made.port) as (_, writer):
            writer.write((GET + b"\r\n") * 5)
            await until(lambda: bool(arrived.heads))
        await until(lambda: made.pools["old"].open == 0)
    assert len(arrived.heads) == 1


def once_kept(seen: list[bytes]) -> Conversation:
    """Answers the first request of a connection, reads the second, and closes without a word."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await read_head(reader)).split(b" ")[0])
        writer.write(ok(b"hi"))
        seen.append((await read_head(reader)).split(b" ")[0])

    return conversation


STALE = {
    "GET": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 2),
    "PUT with its body at hand": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 200, 2),
    "POST": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 502, 1),
    "PATCH": (b"PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", 502, 1),
    "PUT with its body on the way": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhi", 502, 1),
}


@pytest.mark.parametrize(("said", "status", "times"), STALE.values(), ids=STALE)
async def test_a_request_is_sent_twice_only_where_that_is_harmless(
    tmp_path: Path, said: bytes, status: int, times: int
) -> None:
    seen: list[bytes] = []
    async with gateway(tmp_path, once_kept(seen), observer=False) as made:
        await hear(made.port, GET + b"\r\n", quiet=0.2)
        heard = await hear(made.port, said, quiet=0.5)
        assert heard.statuses == [status]
        assert len(seen) == 1 + times
        assert made.count("", "retried") == times - 1


async def test_a_fresh_connection_that_closes_is_not_tried_again(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_head(reader))

    async with gateway(tmp_path, closes, observer=False) as made:
        heard = await hear(made.port, GET + b"\r\n", quiet=0.3)
    assert heard.statuses == [502]
    assert len(seen) == 1


async def test_a_request_is_not_sent_a_third_time(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_head(reader))
        if len(seen) == 1:
            writer.write(ok(b"hi"))
            seen.append(await read_head(reader))

    async with gateway(tmp_path, conversation, observer=False) as made:
        await hear(made.port, GET + b"\r\n", quiet=0.2)
        heard = await hear(made.port, GET + b"\r\n", quiet=0.3)
    assert heard.statuses == [502]
    assert len(seen) == 3  # the first, the second, and the second once more


async def test_an_idle_connection_that_the_upstream_closes_costs_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path, answering(ok(b"one")), observer=False) as made:
        await hear(made.port, GET + b"\r\n", quiet=0.2)
        await until(lambda: made.pools["old"].open == 0)
        heard = await hear(made.port, POST + b"Content-Length: 0\r\n\r\n", quiet=0.2)
        assert heard.statuses == [200]
        assert made.count("", "retried") == 0
