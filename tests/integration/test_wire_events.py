"""Answers without an end: each part is with the caller before the next one is sent."""

import asyncio
from pathlib import Path

import pytest

from tests.support.gateway import gateway, get
from tests.support.raw import read_head, until
from tests.support.wire import caller

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "until it closes"])
async def test_every_event_arrives_before_the_next_is_sent(tmp_path: Path, chunked: bool) -> None:
    heard = asyncio.Semaphore(1)

    async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(OK + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        for number in range(100):
            await heard.acquire()
            event = b"data: %03d\n\n" % number
            writer.write(b"b\r\n" + event + b"\r\n" if chunked else event)
        await reader.read(-1)

    async with (
        gateway(tmp_path, events, shadow="100%") as made,
        caller(made.port) as (reader, writer),
    ):
        writer.write(get("/pay/1"))
        await read_head(reader)
        for number in range(100):
            async with asyncio.timeout(5):
                await reader.readuntil(b"data: %03d\n\n" % number)
            heard.release()
        writer.close()
        await until(lambda: made.count("pay", "caller_left") == 1)


async def test_a_stream_that_ends_is_counted_as_streaming(tmp_path: Path) -> None:
    async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(OK + b"Content-Length: 9\r\n\r\ndata: 1\n\n")
        await reader.read(-1)

    async with (
        gateway(tmp_path, events, shadow="100%") as made,
        caller(made.port) as (reader, writer),
    ):
        writer.write(get("/pay/1"))
        await reader.readuntil(b"data: 1\n\n")
        await until(lambda: made.count("pay", "streaming") == 1)
        assert (made.count("pay", "eligible"), made.count("pay", "handed")) == (1, 0)
