"""Tables made ready beside the loop, the pools that go on from one to the next, and the line they come by."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from strangler import control
from strangler.control import Faulty, Line, Message, Run, Running
from strangler.exchange import sheet as sheets
from strangler.exchange.sheet import Sheet, SheetFull
from strangler.gateway import passage
from strangler.gateway.tables import Tables
from strangler.http.pool import Pool
from strangler.http.tls import TlsFault
from strangler.routes import Table, parse
from tests.support.raw import answering, ok, serving, until
from tests.support.tls import Authority

TEXT = """\
version: 1
upstreams:
  old: {{url: "http://127.0.0.1:{port}", timeout: 5s}}
  new: {{url: "https://127.0.0.1:{port}", tls: {{ca: {ca}}}}}
legacy: old
routes:
  - {{name: one, match: /one, extracted: new}}
"""


@pytest.fixture
def sheet(tmp_path: Path) -> Iterator[Sheet]:
    with Sheet(tmp_path / "w.sheet") as made:
        yield made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def table_of(text: str, **values: object) -> Table:
    return parse(text.format(**values).encode(), file="routes.yaml", check_rule=lambda *rule: None)


def many(
    count: int, upstreams: str = "old: {url: http://127.0.0.1:1}, new: {url: http://127.0.0.1:2}"
) -> Table:
    routes = "".join(
        f"  - {{name: r{n}, match: 'GET /a{n}/{{id}}/b', extracted: new}}\n" for n in range(count)
    )
    text = f"version: 1\nupstreams: {{{upstreams}}}\nlegacy: old\nroutes:\n{routes}"
    return parse(text.encode(), file="routes.yaml", check_rule=lambda *rule: None)


async def use(pool: Pool) -> None:
    """One exchange, after which the connection is idle."""
    connection = await pool.acquire()
    connection.begin(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await connection.answer()
    while await connection.read():
        pass
    pool.release(connection)


def pools(running: passage.Running) -> dict[str, Pool]:
    """The pool of each upstream's first endpoint."""
    return {name: service.endpoints[0].pool for name, service in running.services.items()}


# -- pools ---------------------------------------------------------------------------------------------------


async def test_pools_of_upstreams_that_did_not_change_go_on(sheet: Sheet, authority: Authority) -> None:
    async with serving(answering(ok(b""), ok(b""))) as port:
        table = table_of(TEXT, port=port, ca=authority.file)
        tables = Tables(sheet)
        before = await tables.ready(table)
        await use(pools(before)["old"])
        changed = replace(table.upstreams["old"], health="/health")
        after = await tables.ready(
            replace(table, routes=(), trace=0, upstreams={**table.upstreams, "old": changed})
        )
        assert dict(pools(after)) == dict(pools(before))
        assert pools(after)["old"].idle == 1
        assert after.router is not before.router
        tables.close()
        await until(lambda: pools(before)["old"].open == 0)


async def test_pools_of_upstreams_that_changed_are_replaced_and_closed(
    sheet: Sheet, authority: Authority
) -> None:
    async with serving(answering(ok(b""), ok(b""))) as port:
        table = table_of(TEXT, port=port, ca=authority.file)
        tables = Tables(sheet)
        before = pools(await tables.ready(table))["old"]
        await use(before)
        old = replace(table.upstreams["old"], connections=7)
        after = pools(await tables.ready(replace(table, upstreams={**table.upstreams, "old": old})))["old"]
        assert after is not before
        assert after.limit == 7
        await until(lambda: before.open == 0)


async def test_a_request_under_way_keeps_its_connection_until_it_is_done(
    sheet: Sheet, authority: Authority
) -> None:
    async with serving(answering(ok(b"whole"), ok(b""))) as port:
        table = table_of(TEXT, port=port, ca=authority.file)
        tables = Tables(sheet)
        pool = pools(await tables.ready(table))["old"]
        connection = await pool.acquire()
        other = {"old": replace(table.upstreams["old"], connections=7), "new": table.upstreams["new"]}
        await tables.ready(replace(table, upstreams=other))
        connection.begin(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await connection.answer()
        assert await connection.read() == b"whole"
        assert pool.open == 1
        pool.release(connection)
        await until(lambda: pool.open == 0)


async def test_an_upstream_that_is_left_out_is_closed(sheet: Sheet) -> None:
    async with serving(answering(ok(b""), ok(b""))) as port:
        tables = Tables(sheet)
        before = await tables.ready(
            many(0, f"old: {{url: http://127.0.0.1:1}}, new: {{url: http://127.0.0.1:{port}}}")
        )
        await use(pools(before)["new"])
        after = await tables.ready(many(0, "old: {url: http://127.0.0.1:1}"))
        assert list(pools(after)) == ["old"]
        await until(lambda: pools(before)["new"].open == 0)


async def test_tls_files_are_read_again_when_they_have_changed_and_only_then(
    sheet: Sheet, authority: Authority, tmp_path: Path
) -> None:
    table = table_of(TEXT, port=1, ca=authority.file)
    tables = Tables(sheet)
    first = pools(await tables.ready(table))["new"]
    assert pools(await tables.ready(table))["new"] is first
    Authority(tmp_path)  # another one in the same file
    assert pools(await tables.ready(table))["new"] is not first


async def test_files_that_cannot_be_used_leave_everything_as_it_was(
    sheet: Sheet, authority: Authority
) -> None:
    async with serving(answering(ok(b""), ok(b""))) as port:
        table = table_of(TEXT, port=port, ca=authority.file)
        tables = Tables(sheet)
        before = await tables.ready(table)
        await use(pools(before)["old"])
        faulty = table_of(TEXT.replace("timeout: 5s", "timeout: 6s"), port=port, ca=authority.file + ".not")
        with pytest.raises(TlsFault, match="No such file"):
            await tables.ready(faulty)
        assert pools(before)["old"].idle == 1
        assert pools(await tables.ready(table)) == pools(before)
        tables.close()
        await until(lambda: pools(before)["old"].open == 0)


async def test_more_routes_than_the_sheet_has_rows_leave_everything_as_it_was(
    sheet: Sheet, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(ok(b""), ok(b""))) as port:
        tables = Tables(sheet)
        before = await tables.ready(
            many(1, f"old: {{url: http://127.0.0.1:{port}}}, new: {{url: http://127.0.0.1:2}}")
        )
        await use(pools(before)["old"])
        monkeypatch.setattr(sheets, "CAPACITY", 3)
        with pytest.raises(SheetFull):
            await tables.ready(many(5))
        assert pools(before)["old"].idle == 1
        tables.close()
        await until(lambda: pools(before)["old"].open == 0)


async def test_each_route_keeps_its_place_on_the_sheet(sheet: Sheet) -> None:
    tables = Tables(sheet)
    before = (await tables.ready(many(1_200))).bases
    assert len(set(before.values())) == 1_201
    sheet.counts[before["r7"] + sheets.INDEX["handed"]] += 3
    after = (await tables.ready(many(600))).bases
    assert set(after) == {"", *(f"r{n}" for n in range(600))}
    assert all(before[name] == base for name, base in after.items())
    assert sheets.read(sheet.path) == {
        "r7": {"handed": 3},
        **{name: {} for name in before if name != "r7"},
        **{f"/{key}": {} for up in many(1).upstreams.values() for key in up.apart()},
    }


# -- beside the loop -----------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[list[int]]:
    """Counts the turns of the loop."""
    ticks = [0]

    async def tick() -> None:
        while True:
            ticks[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        yield ticks
    finally:
        task.cancel()


async def test_the_loop_goes_on_while_three_thousand_routes_are_made_ready(sheet: Sheet) -> None:
    table = many(3_000)
    async with ticking() as ticks:
        before = ticks[0]
        running = await Tables(sheet).ready(table)
        during = ticks[0] - before
    assert len(running.bases) == 3_001
    assert during > 100


async def test_the_loop_goes_on_while_certificates_are_read(
    sheet: Sheet, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_by: list[threading.Thread] = []
    make = Pool.__init__

    def making(self: Pool, *arguments: object, **named: object) -> None:
        read_by.append(threading.current_thread())
        make(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Pool, "__init__", making)
    await Tables(sheet).ready(table_of(TEXT, port=1, ca=authority.file))
    assert len(read_by) == 2
    assert threading.main_thread() not in read_by


async def test_what_runs_aside_leaves_the_interpreter_as_it_was_even_when_two_do() -> None:
    before = sys.getswitchinterval()
    first, second = threading.Event(), threading.Event()
    one = asyncio.create_task(control.aside(first.wait))
    await until(lambda: not gc.isenabled())
    two = asyncio.create_task(control.aside(second.wait))
    await asyncio.sleep(0)
    first.set()
    await one
    assert not gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(control.SWITCH)
    second.set()
    await two
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(before)


# -- the line ------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def line(heard: list[Message]) -> AsyncIterator[tuple[Line, asyncio.Event]]:
    """The sending end. The other one hears."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    closed = asyncio.Event()
    _, sender = await loop.create_connection(lambda: Line(heard.append, lambda: None), sock=ours)
    _, hearer = await loop.create_connection(lambda: Line(heard.append, closed.set), sock=theirs)
    try:
        yield sender, closed
    finally:
        sender.close()
        hearer.close()
        await closed.wait()


async def test_messages_arrive_in_their_order_when_a_long_one_stands_between_short_ones() -> None:
    heard: list[Message] = []
    long = Run(many(1_500))
    assert len(pickle.dumps(long)) > control.LONG
    sent: list[Message] = [
        *(Running("a"), Faulty(("b",)), long, Running("c"), Faulty(()), long, long, Running("d")),
    ]
    async with line(heard) as (sender, _):
        for message in sent:
            sender.send(message)
        await until(lambda: len(heard) == len(sent))
        sender.send(Running("e"))  # and so do those that come later
        await until(lambda: len(heard) > len(sent))
    assert heard == [*sent, Running("e")]


async def test_the_end_of_the_line_is_told_once_and_what_is_sent_after_it_goes_nowhere() -> None:
    heard: list[Message] = []
    async with line(heard) as (sender, closed):
        sender.close()
        await closed.wait()
        await until(lambda: sender._transport is None)
        sender.send(Running("nobody"))
    assert heard == []
