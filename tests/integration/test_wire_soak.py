"""Hundreds of exchanges that end in every way there is: afterwards nothing is left of them."""

import asyncio
import random
from pathlib import Path

import psutil

from tests.support.gateway import gateway, get
from tests.support.raw import ok, read_head, until
from tests.support.wire import CHUNKED, caller, hear, read_body

MANY = 600
TOGETHER = 20
BLOCK = b"x" * 32_768


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Does what the target says."""
    while True:
        head = await read_head(reader)
        what = head.split(b" ")[1].rpartition(b"/")[2]
        if what == b"hang":
            await reader.read(-1)
            return
        if what == b"upgrade":
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            while data := await reader.read(1000):
                writer.write(data)
            return
        await read_body(reader, head)
        if what == b"die":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
            writer.transport.abort()
            return
        if what == b"chunks":
            writer.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n" + BLOCK + b"\r\n0\r\n\r\n"
            )
        elif what == b"pour":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not writer.transport.is_closing():
                writer.write(BLOCK)
                await writer.drain()
        else:
            writer.write(ok(b"hi"))
        await writer.drain()


async def ordinary(port: int, chosen: random.Random) -> None:
    await hear(port, get(f"/pay/{chosen.choice(['ok', 'chunks'])}", "Connection: close"))


async def a_body_in_pieces(port: int, chosen: random.Random) -> None:
    head = b"POST /pay/ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + CHUNKED
    await hear(port, head, *([b"8000\r\n" + BLOCK + b"\r\n"] * chosen.randint(1, 9)), b"0\r\n\r\n")


async def a_body_that_stops(port: int, chosen: random.Random) -> None:
    await hear(port, b"POST /pay/ok HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", b"half")


async def one_who_leaves(port: int, chosen: random.Random) -> None:
    async with caller(port) as (reader, writer):
        writer.write(get(f"/pay/{chosen.choice(['hang', 'pour', 'ok', 'chunks'])}"))
        if chosen.random() < 0.5:
            await asyncio.wait([asyncio.ensure_future(reader.read(100))], timeout=0.05)
        writer.transport.abort()


async def one_who_dies(port: int, chosen: random.Random) -> None:
    assert (await hear(port, get("/pay/die"))).end == "reset"


async def one_that_hangs(port: int, chosen: random.Random) -> None:
    assert (await hear(port, get("/pay/hang", "Connection: close"))).statuses == [504]


async def nonsense(port: int, chosen: random.Random) -> None:
    assert (await hear(port, get("/pay/ok") + b"GET / HTTP/1.1\r\nA : b\r\n\r\n")).statuses[-1] == 400


async def an_upgrade(port: int, chosen: random.Random) -> None:
    async with caller(port) as (reader, writer):
        writer.write(get("/pay/upgrade", "Connection: upgrade", "Upgrade: x"))
        await read_head(reader)
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"


KINDS = [
    *(ordinary, a_body_in_pieces, a_body_that_stops, one_who_leaves),
    *(one_who_dies, one_that_hangs, nonsense, an_upgrade),
]


async def test_nothing_is_left_of_hundreds_of_exchanges_that_ended_in_every_way(tmp_path: Path) -> None:
    chosen = random.Random(7)
    process = psutil.Process()
    turn = asyncio.Semaphore(TOGETHER)

    async def one(kind: int) -> None:
        async with turn:
            await KINDS[kind](made.port, chosen)

    options = {"patience": "{first_byte: 200ms, idle: 200ms}", "top": "limits: {stall: 200ms, idle: 500ms}"}
    async with gateway(tmp_path, upstream, upstream, share="50%", shadow="100%", **options) as made:
        await hear(made.port, get("/pay/ok", "Connection: close"))
        await until(lambda: made.listener.count == 0)
        tasks, files = len(asyncio.all_tasks()), process.num_fds()
        await asyncio.gather(*(one(number % len(KINDS)) for number in range(MANY)))

        await until(lambda: made.listener.count == 0)
        for pool in made.pools.values():
            await until(lambda pool=pool: pool.open == pool.idle)
            pool.close()
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: process.num_fds() <= files)
        counts = {
            column: made.count("pay", column) for column in ("eligible", "handed", "caller_left", "no_answer")
        }
        counts |= {
            column: made.count("pay", column) for column in ("body_too_large", "streaming", "queue_full")
        }
        assert counts.pop("eligible") == sum(counts.values())
        assert all(counts[column] for column in ("handed", "caller_left", "no_answer"))
