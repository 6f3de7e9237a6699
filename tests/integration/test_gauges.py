"""What a worker has in hand stands on its sheet."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from strangler.exchange.sheet import WORKER
from strangler.gateway import gauges
from tests.support.gateway import Gateway, gateway, get, say
from tests.support.raw import Conversation, answering, ok, read_head, until


def _place(made: Gateway, side: str) -> dict[str, int]:
    made.gauges.note()
    row = f"/{made.services[side].endpoints[0].name}"
    return {column: made.count(row, column) for column in ("busy", "idle", "waiting")}


class Slow:
    """Answers each request when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            self.asked += 1
            await self.go.wait()
            writer.write(ok(b"fine"))


async def test_connections_to_an_endpoint_are_busy_idle_or_waited_for(tmp_path: Path) -> None:
    slow = Slow()
    async with gateway(tmp_path, slow, observer=False, upstream=", connections: 2") as made:
        assert _place(made, "old") == {"busy": 0, "idle": 0, "waiting": 0}
        callers = [asyncio.create_task(say(made.port, get(f"/{number}"))) for number in range(5)]
        await until(lambda: slow.asked == 2)
        await until(lambda: _place(made, "old") == {"busy": 2, "idle": 0, "waiting": 3})
        assert _place(made, "new") == {"busy": 0, "idle": 0, "waiting": 0}
        slow.go.set()
        await asyncio.gather(*callers)
        assert _place(made, "old") == {"busy": 0, "idle": 2, "waiting": 0}


async def test_who_has_given_up_waiting_waits_no_more(tmp_path: Path) -> None:
    slow = Slow()
    options = {"patience": "{wait: 50ms}", "upstream": ", connections: 1"}
    async with gateway(tmp_path, slow, observer=False, **options) as made:
        first = asyncio.create_task(say(made.port, get("/1")))
        await until(lambda: slow.asked == 1)
        assert b" 503 " in await say(made.port, get("/2"))
        assert _place(made, "old") == {"busy": 1, "idle": 0, "waiting": 0}
        slow.go.set()
        await first


async def test_connections_of_callers_are_counted_while_they_are_open(tmp_path: Path) -> None:
    async with gateway(tmp_path, answering(ok(b"fine")), observer=False) as made:
        _, writer = await asyncio.open_connection("127.0.0.1", made.port)
        await until(lambda: made.listener.count == 1)
        made.gauges.note()
        assert made.count(WORKER, "callers") == 1
        writer.close()
        await until(lambda: made.listener.count == 0)
        made.gauges.note()
        assert made.count(WORKER, "callers") == 0


async def test_bytes_that_the_observer_does_not_read_wait(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def reads_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        await reader.read(-1)
        writer.close()

    big = ok(b"x" * 3_000_000)
    async with gateway(tmp_path, answering(big, big), shadow="100%", observer=reads_late) as made:
        for _ in range(2):
            assert (await say(made.port, get("/pay/1"))).endswith(b"xxx")
        made.gauges.note()
        assert made.count("pay", "handed") == 2
        assert 5_000_000 < made.count(WORKER, "feed_bytes") < 6_100_000
        go.set()

        def left() -> int:
            made.gauges.note()
            return made.count(WORKER, "feed_bytes")

        await until(lambda: left() == 0)


async def test_copies_in_the_making_are_counted_until_they_are_made(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 1000)
        await go.wait()
        writer.write(b"x" * 1000)

    async with gateway(tmp_path, half, shadow="100%") as made:
        made.gauges.note()
        before = made.count(WORKER, "copies_bytes")
        caller = asyncio.create_task(say(made.port, get("/pay/1")))

        def held() -> int:
            made.gauges.note()
            return made.count(WORKER, "copies_bytes") - before

        await until(lambda: held() == 1000)
        go.set()
        await caller
        await until(lambda: held() == 0)


async def test_requests_that_are_answered_in_the_others_place_are_counted(tmp_path: Path) -> None:
    slow = Slow()
    broken: Conversation = answering(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    async with gateway(tmp_path, slow, broken, share="100%", observer=False) as made:
        caller = asyncio.create_task(say(made.port, get("/pay/1")))
        await until(lambda: slow.asked == 1)
        made.gauges.note()
        assert made.count(WORKER, "instead") == 1
        slow.go.set()
        await caller
        made.gauges.note()
        assert made.count(WORKER, "instead") == 0


async def test_the_worker_itself_is_noted_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "EVERY", 0.01)
    async with gateway(tmp_path, answering(), observer=False) as made:
        noting = asyncio.create_task(made.gauges.keep_noting())
        await until(lambda: made.count(WORKER, "cpu_ms") > 0)
        first = made.count(WORKER, "cpu_ms")
        assert made.count(WORKER, "memory_bytes") > 10_000_000
        assert time.process_time() * 1000 >= first
        await until(lambda: made.count(WORKER, "cpu_ms") > first)
        noting.cancel()
