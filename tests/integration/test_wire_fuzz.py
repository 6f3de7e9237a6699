"""Mutated requests and answers: nothing goes on that a second, independent reading does not share."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.gateway import gateway
from tests.support.strict import Odd, Unfinished, read_answer, read_request

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
PROBE = b"GET /probe HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class World:
    """A gateway in a thread, before an upstream that writes everything down and says what it is told to say."""

    def __init__(self, folder: Path) -> None:
        self.requests = 0  # that arrived
        self.odd: list[str] = []  # and had no single reading
        self.answer: bytes | None = None  # said once and then closed; None answers every request with OK
        self._folder = folder
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> World:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        options = {
            "patience": "{first_byte: 300ms, idle: 300ms}",
            "top": "limits: {head_time: 60ms, stall: 60ms, idle: 60ms}",
        }
        async with gateway(self._folder, self._converse, observer=False, **options) as made:
            self.port = made.port
            self._up.set()
            await self._over.wait()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived = b""
        while data := await reader.read(65536):
            arrived += data
            if self.answer is not None:
                writer.write(self.answer)
                await writer.drain()
                return
            try:
                while arrived:
                    message, end = read_request(arrived)
                    arrived = arrived[end:]
                    self.requests += 1
                    if message.every(b"via")[-1:] != [b"1.1 strangler"]:
                        self.odd.append(f"not ours: {message}")
                    writer.write(OK)
            except Unfinished:
                continue
            except Odd as odd:
                self.odd.append(f"{odd}: {arrived!r}")
                return

    def say(self, parts: list[bytes]) -> tuple[bytes, bool]:
        """Everything that comes back for some bytes, and whether it ended in good order."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for part in parts:
                    sock.sendall(part)
                while data := sock.recv(65536):
                    got += data
            except OSError:
                return got, False
        return got, True


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made


SEEDS = [
    b"GET /a?b HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n",
    b"GET http://shop/a HTTP/1.1\r\nHost: other\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: shop\r\nTE: trailers\r\nExpect: 100-continue\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
]
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 404 Not Found\r\nA: b\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
]
SPICE = [
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\r\n",
    b"\r\n\r\n",
    b"0",
    b"-1",
    b"\xff",
    b",",
    b";",
    b"chunked",
]
SPICE += [
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: evil\r\n",
    b"GET /x HTTP/1.1\r\n",
    b"#",
]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], most: int) -> bytes:
    """One or more seeds in a row, with some bytes changed, put in, or taken out."""
    data = b"".join(draw(st.lists(st.sampled_from(seeds), min_size=1, max_size=most)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["put in", "change", "take out", "cut"]))
        if kind == "put in":
            data = data[:at] + draw(st.sampled_from(SPICE)) + data[at:]
        elif kind == "change":
            data = data[:at] + draw(st.binary(min_size=1, max_size=2)) + data[at + 1 :]
        elif kind == "take out":
            data = data[:at] + data[at + draw(st.integers(1, 4)) :]
        elif at:
            data = data[:at]
    return data


@FUZZ
@given(data=mutated(SEEDS, 3), size=st.integers(1, 200))
def test_what_reaches_an_upstream_has_one_reading(world: World, data: bytes, size: int) -> None:
    world.answer = None
    before = world.requests
    got, _ = world.say([data[at : at + size] for at in range(0, len(data), size)])
    answers = at = 0
    while at < len(got):
        try:
            message, at = read_answer(got, at)
        except Unfinished:
            break
        answers += message.start[1] == b"200"
    assert world.odd == []
    assert answers <= world.requests - before
    assert world.say([PROBE])[0].startswith(b"HTTP/1.1 200 OK\r\n")


@FUZZ
@given(said=mutated(ANSWERS, 1))
@example(said=b"HTTP/1.1 200\r\n\r\n OK\r\nContent-Length: 5\r\n\r\nhello")
@example(said=b"HTTP/1.1 103 Early Hints\r\n\r\n\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
def test_an_answer_is_passed_on_in_its_one_reading_or_not_at_all(world: World, said: bytes) -> None:
    world.answer = said
    got, orderly = world.say([b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"])
    try:
        heard, _ = read_answer(got, closed=orderly)
    except Unfinished:
        return  # cut, and looks like it
    if heard.every(b"content-type") == [b"application/problem+json"] and heard.start[1] in (b"502", b"504"):
        return
    meant, _ = read_answer(said, skips=True)  # Odd or Unfinished fails the test: then it had to be 502
    assert (heard.start[1], heard.body) == (meant.start[1], meant.body)
