"""Health checks: an endpoint that is not well is asked no more, until it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strangler.exchange import sheet as sheets
from strangler.exchange.sheet import Sheet
from strangler.gateway.services import Endpoint
from strangler.gateway.tables import Tables
from strangler.routes import Table, parse
from tests.support.raw import Conversation, ok, serving, until

ROUTES = """
version: 1
upstreams:
  old: {{url: "http://127.0.0.1:{port}"}}
  new: {{url: "http://127.0.0.1:{port}", health: {{path: /healthz, every: 10ms, timeout: 200ms, down: 2, up: 2}}{more}}}
legacy: old
routes:
  - {{name: r, match: /r, extracted: new}}
"""


def table(port: int, more: str = "") -> Table:
    return parse(ROUTES.format(port=port, more=more).encode(), file="r", check_rule=lambda *rule: None)


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[Tables]:
    with Sheet(tmp_path / "w.sheet") as sheet:
        made = Tables(sheet)
        yield made
        made.close()
        await asyncio.sleep(0)


class Service:
    """Answers as it is told at the moment."""

    def __init__(self) -> None:
        self.says: bytes | None = ok(b"fine")
        self.heads: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if self.says is None:
            await reader.read(-1)
        else:
            writer.write(self.says)
            await writer.drain()


async def endpoint(tables: Tables, port: int, more: str = "") -> Endpoint:
    return (await tables.ready(table(port, more))).services["new"].endpoints[0]


def answers(status: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"


SICK = {
    "503": answers(b"503 Sorry"),
    "404": answers(b"404 Not Found"),
    "302": answers(b"302 Found"),
    "nothing": b"",
    "nonsense": b"\x00\xff\r\n" * 100,
    "silence": None,
}


@pytest.mark.parametrize("says", SICK.values(), ids=SICK)
async def test_one_that_is_not_well_is_taken_out_and_brought_back(tables: Tables, says: bytes | None) -> None:
    service = Service()
    async with serving(service) as port:
        found = await endpoint(tables, port)
        await until(lambda: len(service.heads) > 3)
        assert found.usable
        service.says = says
        await until(lambda: not found.usable)
        service.says = ok(b"fine")
        await until(lambda: found.usable)
    assert service.heads[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_an_answer_without_an_end_is_no_burden(tables: Tables) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    ended = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ended
        try:
            await endless(reader, writer)
        finally:
            ended += 1

    async with serving(counted) as port:
        found = await endpoint(tables, port)
        await until(lambda: ended > 3)
        assert found.usable


async def test_one_that_nobody_listens_at_is_taken_out(tables: Tables, unused_tcp_port: int) -> None:
    found = await endpoint(tables, unused_tcp_port)
    await until(lambda: not found.usable)


async def test_a_reload_forgets_nothing_of_what_did_not_change(tables: Tables, unused_tcp_port: int) -> None:
    first = await endpoint(tables, unused_tcp_port)
    await until(lambda: not first.usable)
    assert await endpoint(tables, unused_tcp_port) is first
    changed = await endpoint(tables, unused_tcp_port, ", breaker: none")
    assert changed is not first


async def test_what_is_found_is_on_the_sheet(tables: Tables, tmp_path: Path, unused_tcp_port: int) -> None:
    await endpoint(tables, unused_tcp_port)
    row = f"/new 127.0.0.1:{unused_tcp_port}"
    await until(lambda: sheets.read(tmp_path / "w.sheet").get(row) == {"opened": 1, "out": 1})
    await endpoint(tables, unused_tcp_port, ", breaker: none")
    assert sheets.read(tmp_path / "w.sheet")[row] == {"opened": 1}, "another one in its place begins in order"
    await until(lambda: sheets.read(tmp_path / "w.sheet")[row] == {"opened": 2, "out": 1})
    async with serving(Service(), port=unused_tcp_port):
        await until(lambda: sheets.read(tmp_path / "w.sheet")[row] == {"opened": 2})


async def test_the_checks_close_a_breaker_that_callers_have_opened(tables: Tables) -> None:
    service: Conversation = Service()
    async with serving(service) as port:
        found = await endpoint(tables, port, ", breaker: {least: 1, open: 50ms}")
        found.failed("it was slow")
        assert not found.usable
        assert not found.may_try(0.0), "where there are checks, no caller has to try"
        await until(lambda: found.usable)


async def test_tables_that_are_left_are_asked_no_more(tables: Tables) -> None:
    service = Service()
    async with serving(service) as port, serving(Service()) as other:
        await endpoint(tables, port)
        await until(lambda: len(service.heads) > 1)
        await endpoint(tables, other)
        asked = len(service.heads)
        newer = (await tables.ready(table(other))).services["new"].endpoints[0]
        assert newer.usable
        await asyncio.sleep(0)
        assert len(service.heads) <= asked + 1  # one may have been under way
