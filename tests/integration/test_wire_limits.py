"""Every limit on a caller and on an upstream, with the answer beyond it (docs/http.md, docs/routes.md)."""

import asyncio
from pathlib import Path

import pytest

from strangler.exchange.sheet import WORKER
from tests.support.gateway import gateway
from tests.support.raw import ok, read_head, until
from tests.support.wire import GET, POST, Arrived, caller, hear, recording

OK = b"HTTP/1.1 200 OK\r\n"


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def test_a_refused_connection_is_502(tmp_path: Path) -> None:
    async with gateway(tmp_path, silent, observer=False) as made:
        made.pools["old"].port = 1
        heard = await hear(made.port, GET + b"\r\n", quiet=0.5)
    assert heard.statuses == [502]
    assert "could not be reached" in str(heard.problem["detail"])


async def test_an_upstream_that_never_shakes_hands_is_504(tmp_path: Path) -> None:
    more = ", tls: {verify: false}"
    async with gateway(
        tmp_path, silent, observer=False, scheme="https", patience="{connect: 100ms}", upstream=more
    ) as made:
        heard = await hear(made.port, GET + b"\r\n", quiet=0.8)
    assert heard.statuses == [504]


async def test_no_free_connection_is_503_with_retry_after(tmp_path: Path) -> None:
    options = {"patience": "{wait: 100ms}", "upstream": ", connections: 1"}
    async with gateway(tmp_path, silent, observer=False, **options) as made, caller(made.port) as (_, writer):
        writer.write(GET + b"\r\n")
        await until(lambda: made.pools["old"].open == 1)
        heard = await hear(made.port, GET + b"\r\n", quiet=0.5)
        assert heard.statuses == [503]
        assert b"Retry-After: 1\r\n" in heard.data
        assert made.pools["old"].open == 1


async def test_who_waits_for_a_connection_gets_the_next_one(tmp_path: Path) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            await go.wait()
            writer.write(ok(b"hi"))

    go = asyncio.Event()
    async with gateway(tmp_path, slow, observer=False, upstream=", connections: 1") as made:
        asking = [asyncio.create_task(hear(made.port, GET + b"\r\n", quiet=0.5)) for _ in range(5)]
        await until(lambda: made.pools["old"].open == 1)
        go.set()
        assert [heard.statuses for heard in await asyncio.gather(*asking)] == [[200]] * 5


SILENCE = {
    "before a byte": (b"", "{first_byte: 100ms}", 504),
    "within the head": (b"HTTP/1.1 200 OK\r\n", "{first_byte: 100ms}", 504),
    "after a 1xx": (b"HTTP/1.1 103 Early Hints\r\n\r\n", "{first_byte: 100ms}", 504),
    "within the body": (OK + b"Content-Length: 9\r\n\r\nabc", "{idle: 100ms}", None),
    "in all": (OK + b"Content-Length: 9\r\n\r\nabc", "{total: 100ms}", None),
    "in all, before a byte": (b"", "{total: 100ms}", 504),
}


@pytest.mark.parametrize(("said", "patience", "status"), SILENCE.values(), ids=SILENCE)
async def test_an_upstreams_silence_ends(
    tmp_path: Path, said: bytes, patience: str, status: int | None
) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(said)
        await reader.read(-1)

    async with gateway(tmp_path, conversation, observer=False, patience=patience) as made:
        heard = await hear(made.port, GET + b"\r\n", quiet=0.8)
        if status is None:
            assert heard.end == "reset"
        else:
            assert heard.statuses[-1] == status
        await until(lambda: made.pools["old"].open == 0)


async def test_a_head_that_drips_is_as_late_as_none(tmp_path: Path) -> None:
    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not reader.at_eof():
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async with gateway(tmp_path, drips, observer=False, patience="{first_byte: 200ms}") as made:
        heard = await hear(made.port, GET + b"\r\n", quiet=2)
    assert heard.statuses == [504]


async def test_an_upstream_that_stops_reading_is_504(tmp_path: Path) -> None:
    async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()

    over = asyncio.Event()
    async with (
        gateway(tmp_path, never_reads, observer=False, patience="{idle: 200ms}") as made,
        caller(made.port) as (reader, writer),
    ):
        writer.write(POST + b"Content-Length: 99999999\r\n\r\n" + b"x" * 50_000_000)
        assert b"504 Gateway Timeout" in await read_head(reader)
        over.set()


async def test_a_slow_caller_is_not_the_upstreams_fault(tmp_path: Path) -> None:
    arrived = Arrived()
    async with (
        gateway(tmp_path, recording(arrived), observer=False, patience="{first_byte: 100ms}") as made,
        caller(made.port) as (reader, writer),
    ):
        writer.write(POST + b"Content-Length: 5\r\n\r\n")
        for byte in b"hello":
            await asyncio.sleep(0.05)  # the caller's own pace, longer in all than the upstream may take
            writer.write(bytes([byte]))
        assert b"200 OK" in await read_head(reader)
    assert arrived.bodies == [b"hello"]


SLOW = {
    "a head": ("head_time", b"GET / HTTP/1.1\r\nHost:", 408),
    "a head behind a request": ("head_time", GET + b"\r\nGET / HTTP", 408),
    "a body": ("stall", POST + b"Content-Length: 5\r\n\r\nhe", 408),
}


@pytest.mark.parametrize(("limit", "said", "status"), SLOW.values(), ids=SLOW)
async def test_a_caller_who_stops_sending_is_told(
    tmp_path: Path, limit: str, said: bytes, status: int
) -> None:
    arrived = Arrived()
    async with gateway(
        tmp_path, recording(arrived), observer=False, top=f"limits: {{{limit}: 150ms}}"
    ) as made:
        heard = await hear(made.port, said)
    assert (heard.statuses[-1], heard.end) == (status, "closed")


@pytest.mark.parametrize("said", [b"", b"\r\n", GET + b"\r\n"], ids=["nothing", "an empty line", "a request"])
async def test_an_idle_connection_is_closed_without_a_word(tmp_path: Path, said: bytes) -> None:
    async with gateway(tmp_path, recording(Arrived()), observer=False, top="limits: {idle: 150ms}") as made:
        heard = await hear(made.port, said)
    assert heard.end == "closed"
    assert heard.statuses == ([200] if said == GET + b"\r\n" else [])


async def test_a_caller_who_stops_reading_is_reset(tmp_path: Path) -> None:
    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(OK + b"\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with (
        gateway(tmp_path, pours, observer=False, top="limits: {stall: 200ms}") as made,
        caller(made.port) as (_, writer),
    ):
        writer.transport.pause_reading()
        writer.write(GET + b"\r\n")
        await until(lambda: made.pools["old"].open == 1)
        await until(lambda: made.pools["old"].open == 0)


async def test_one_connection_too_many_is_503(tmp_path: Path) -> None:
    async with gateway(
        tmp_path, recording(Arrived()), observer=False, top="limits: {connections: 2}"
    ) as made:
        async with caller(made.port) as (reader, writer), caller(made.port):
            writer.write(GET + b"\r\n")
            await read_head(reader)
            heard = await hear(made.port, b"")
            assert (heard.statuses, heard.end) == ([503], "closed")
            assert b"Retry-After: 1\r\n" in heard.data
            assert made.count(WORKER, "turned_away") == 1
        # and when others have left, there is room again
        async with asyncio.timeout(5):
            while (await hear(made.port, GET + b"\r\n", quiet=0.1)).statuses != [200]:
                pass


async def test_the_log_says_why_an_upstream_failed_and_does_not_repeat_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, silent, observer=False) as made:
        made.pools["old"].port = 1
        heard = await hear(made.port, (GET + b"\r\n") * 20, quiet=0.5)
    assert heard.statuses == [502] * 20
    said = [record.getMessage() for record in caplog.records if "upstream old" in record.getMessage()]
    assert len(said) == 1
    assert "could not be reached" in said[0]
    assert "Connect call failed" in said[0]
