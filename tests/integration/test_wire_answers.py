"""Answers: passed on in the one reading that they have, or not at all. RFC 9112 sections 4, 6; RFC 9110 section 15."""

import asyncio
from pathlib import Path

import pytest

from tests.support.gateway import gateway
from tests.support.raw import Conversation, answering, ok, read_head
from tests.support.wire import GET, hear

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def saying(answer: bytes, *, close: bool = False) -> Conversation:
    """Says this to the first request, and something else to every later one."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer)
        await writer.drain()
        while not close:
            await read_head(reader)
            writer.write(ok(b"later"))

    return conversation


PASSED = {
    # RFC 9110 section 15.3.5: 204 has neither body nor length.
    "204": (
        "GET",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ),
    # Section 15.4.5: the length of a 304 speaks of the body that it does not have.
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n", None),
    "205": ("GET", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", None),
    # Section 9.3.2.
    "HEAD": ("HEAD", OK + b"Content-Length: 9\r\n\r\n", None),
    "HEAD without a length": ("HEAD", CHUNKED, OK + b"\r\n"),
    "no reason": (
        "GET",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    ),
    "an odd reason": ("GET", b"HTTP/1.1 299 Fine (\xe9)!\r\nContent-Length: 0\r\n\r\n", None),
    "a status beyond 599": ("GET", b"HTTP/1.1 777 Luck\r\nContent-Length: 0\r\n\r\n", None),
    "chunks": ("GET", CHUNKED + b"1;x=y\r\na\r\n2\r\nbc\r\n0\r\n\r\n", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"),
    # RFC 9110 section 5.3: order, case and repetition.
    "fields": (
        "GET",
        OK + b"SET-cookie: a=1\r\nContent-Length: 2\r\nset-Cookie: b=2\r\nX:\r\n\r\nhi",
        OK + b"SET-cookie: a=1\r\nContent-Length: 2\r\nset-Cookie: b=2\r\nX: \r\n\r\nhi",
    ),
    # RFC 9110 section 7.6.1.
    "hop-by-hop fields": (
        "GET",
        OK
        + b"Connection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"Content-Length: 2\r\n\r\nhi",
    ),
    # Section 15.2: any number of informational answers, and then the answer.
    "103": ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok(b"hi"), None),
    "several 1xx": ("GET", b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + ok(b"hi"), None),
}


@pytest.mark.parametrize(("method", "said", "heard"), PASSED.values(), ids=PASSED)
async def test_an_answer_is_passed_on(tmp_path: Path, method: str, said: bytes, heard: bytes | None) -> None:
    async with gateway(tmp_path, saying(said), observer=False) as made:
        got = await hear(made.port, b"%b / HTTP/1.1\r\nHost: shop\r\n\r\n" % method.encode(), quiet=0.2)
    assert (got.data, got.end) == (said if heard is None else heard, "open")


OLD = {
    "no 1xx": (
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok(b"hi"),
        b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    ),
    "no chunks": (CHUNKED + b"2\r\nhi\r\n0\r\nX: y\r\n\r\n", b"\r\nConnection: close\r\n\r\nhi"),
}


@pytest.mark.parametrize(("said", "heard"), OLD.values(), ids=OLD)
async def test_an_http_1_0_caller_is_spared_what_it_does_not_know(
    tmp_path: Path, said: bytes, heard: bytes
) -> None:
    async with gateway(tmp_path, saying(said), observer=False) as made:
        got = await hear(made.port, b"GET / HTTP/1.0\r\nHost: shop\r\n\r\n")
    assert (got.data, got.end) == (b"HTTP/1.1 200 OK" + heard, "closed")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_body_without_a_length_ends_with_the_connection(tmp_path: Path, version: bytes) -> None:
    """RFC 9112 section 6.3: the upstream's end is the body's; a caller of 1.1 gets chunks instead."""
    async with gateway(tmp_path, saying(OK + b"\r\nhello", close=True), observer=False) as made:
        got = await hear(made.port, b"GET / HTTP/%b\r\nHost: shop\r\n\r\n" % version, quiet=0.3)
    if version == b"1.0":
        assert (got.data, got.end) == (OK + b"Connection: close\r\n\r\nhello", "closed")
    else:
        assert got.data.startswith(CHUNKED)
        assert got.data.endswith(b"0\r\n\r\n")


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of 0": b"HTTP/1.1 000 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 1000 OK\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a length and a coding": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding nobody asked for": OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "a coding below chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded line": OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "NUL": OK + b"A: \0\r\nContent-Length: 0\r\n\r\n",
    "a control character in the reason": b"HTTP/1.1 200 a\x01b\r\nContent-Length: 0\r\n\r\n",
    "a head too long": OK + b"A: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "a head without an end": OK + b"A: " + b"x" * 700_000,
    "fields too many": OK + b"A: b\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
    "no size of a chunk": CHUNKED + b"zz\r\n",
    "101 that nobody asked for": b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "informational answers without an end": b"HTTP/1.1 102 P\r\n\r\n" * 150,
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_answer_is_502(tmp_path: Path, said: bytes) -> None:
    async with gateway(tmp_path, saying(said), observer=False) as made:
        got = await hear(made.port, GET + b"\r\n", quiet=0.3)
        assert [status for status in got.statuses if status >= 200] == [502]
        assert made.count("", "legacy_failed") == 1


CUT = {
    "before anything": (b"", 502),
    "in the head": (b"HTTP/1.1 20", 502),
    "in a sized body": (OK + b"Content-Length: 10\r\n\r\nabc", None),
    "in a chunk": (CHUNKED + b"5\r\nabc", None),
    "between chunks": (CHUNKED + b"3\r\nabc\r\n", None),
    "in the trailers": (CHUNKED + b"3\r\nabc\r\n0\r\nX: y\r\n", None),
}


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(("said", "status"), CUT.values(), ids=CUT)
async def test_half_an_answer_never_looks_whole(
    tmp_path: Path, said: bytes, status: int | None, version: bytes
) -> None:
    """RFC 9112 section 8: 502 as long as nothing has gone out, and a reset afterwards."""
    async with gateway(tmp_path, saying(said, close=True), observer=False) as made:
        got = await hear(made.port, b"GET / HTTP/%b\r\nHost: shop\r\n\r\n" % version, quiet=0.3)
    if status is not None:
        assert got.statuses == [status]
    else:
        assert got.end == "reset"
        assert not got.data.endswith(b"0\r\n\r\n")


async def test_a_bad_chunk_after_good_ones_is_a_reset(tmp_path: Path) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        await seen.wait()
        writer.write(b"zz\r\n")
        await reader.read(-1)

    seen = asyncio.Event()
    async with gateway(tmp_path, conversation, observer=False) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(GET + b"\r\n")
        await reader.readuntil(b"abc\r\n")
        seen.set()
        with pytest.raises(ConnectionError):
            await reader.read(-1)
        writer.close()


async def test_bytes_behind_an_answer_are_nobodys(tmp_path: Path) -> None:
    """An upstream that says more than it was asked must not answer the next caller."""
    upstream = answering(ok(b"mine") + ok(b"poison"), ok(b"late"))
    async with gateway(tmp_path, upstream, observer=False) as made:
        first = await hear(made.port, GET + b"\r\n", quiet=0.2)
        second = await hear(made.port, GET + b"\r\n", quiet=0.2)
    assert first.data.endswith(b"mine")
    assert b"poison" not in second.data
