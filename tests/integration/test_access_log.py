"""The access log: a line for every request, and no request that is the worse for it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import pytest

from strangler.gateway.access import LONGEST, Line
from tests.support.access import Read, now
from tests.support.gateway import gateway, get, say
from tests.support.raw import answering, ok, read_head

FIELDS = [
    *("time", "route", "side", "upstream", "bucket", "method", "target", "status", "caller", "trace"),
    *("upstream_ms", "total_ms", "bytes_in", "bytes_out", "retry", "fallback", "shadow", "end"),
]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path / "access.jsonl")


def test_every_field_and_every_end_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert list(Line.__struct_fields__) == FIELDS
    for name in (*FIELDS, "ok", "caller_left", "no_answer", "reset", "refused", "failed"):
        assert f"`{name}`" in text, name


# -- what is written -----------------------------------------------------------------------------------------


async def test_an_ordinary_answer_has_a_line_that_says_it_all(tmp_path: Path, read: Read) -> None:
    before = now()
    seen: list[bytes] = []
    new = answering(ok(b"twelve bytes"), seen=seen)
    async with gateway(
        tmp_path, answering(), new, share="99.999%", shadow="100%", top=read.top, trace="100%"
    ) as made:
        body = b"POST /pay/7?x=1 HTTP/1.1\r\nHost: a\r\nX-User-Id: 9\r\nContent-Length: 0\r\n\r\n"
        await say(made.port, body)
        [said] = await read.first()
    assert list(said) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["time"])
    assert before <= said.pop("time") <= now()
    assert 0 < said.pop("upstream_ms") <= said.pop("total_ms")
    [sent] = re.findall(rb"traceparent: 00-([0-9a-f]{32})-[0-9a-f]{16}-01\r\n", seen[0])
    assert said.pop("trace") == sent.decode()
    assert 0 <= said.pop("bucket") < 99_999
    assert said == {
        "route": "pay",
        "side": "extracted",
        "upstream": "new",
        "method": "POST",
        "target": "/pay/7?x=1",
        "status": 200,
        "caller": "127.0.0.1",
        "bytes_in": 0,
        "bytes_out": 12,
        "retry": False,
        "fallback": False,
        "shadow": False,
        "end": "ok",
    }


async def test_bytes_are_those_of_the_bodies_and_a_copied_request_says_so(tmp_path: Path, read: Read) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(7)
        writer.write(chunked)
        await answering(ok(b"next"))(reader, writer)

    async with gateway(tmp_path, takes, shadow="100%", top=read.top) as made:
        await say(made.port, b"POST /pay/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n1234567")
        await say(made.port, get("/pay/1"))
        one, two = await read.first(2)
    assert (one["bytes_in"], one["bytes_out"], one["shadow"]) == (7, 5, False)
    assert (two["bytes_in"], two["bytes_out"], two["shadow"]) == (0, 4, True)


async def test_what_no_route_claims_has_no_route_and_no_bucket(tmp_path: Path, read: Read) -> None:
    async with gateway(tmp_path, answering(ok(b"")), top=read.top) as made:
        await say(made.port, get("/else"))
        [said] = await read.first()
    assert (said["route"], said["side"], said["upstream"], said["bucket"], said["trace"]) == (
        *(None, "legacy", "old", None, None),
    )


async def test_a_trace_that_came_is_the_one_that_is_written(tmp_path: Path, read: Read) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with gateway(tmp_path, answering(ok(b"")), top=read.top, trace="0%") as made:
        await say(made.port, get("/", f"traceparent: 00-{trace}-00f067aa0ba902b7-00"))
        [said] = await read.first()
    assert said["trace"] == trace


async def test_a_request_that_was_sent_again_says_so(tmp_path: Path, read: Read) -> None:
    async def closes_after_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(ok(b"x"))
        await read_head(reader)

    async with gateway(tmp_path, closes_after_one, top=read.top) as made:
        await say(made.port, get("/first"))
        await say(made.port, get("/again"))
        lines = await read.first(2)
    assert [(said["target"], said["retry"], said["status"]) for said in lines] == [
        ("/first", False, 200),
        ("/again", True, 200),
    ]


async def test_an_answer_that_the_proxy_gave_in_a_sides_place_says_so(tmp_path: Path, read: Read) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    async with gateway(tmp_path, answering(b"HTTP/1.1 20"), top=read.top) as made:
        await say(made.port, get("/none"))
        [said] = await read.first()
        assert (said["status"], said["end"], said["upstream"]) == (502, "no_answer", "old")
    async with gateway(tmp_path, answering(half), top=read.top) as made:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await say(made.port, get("/half"))
        said = (await read.first(2))[1]
        assert (said["status"], said["end"], said["bytes_out"]) == (200, "reset", 4)


async def test_a_request_that_went_nowhere_has_a_line_without_a_side(tmp_path: Path, read: Read) -> None:
    async with gateway(tmp_path, answering(), top=read.top, trace="100%") as made:
        assert b" 400 " in await say(made.port, b"GET /no-host HTTP/1.1\r\n\r\n")
        assert b" 405 " in await say(made.port, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")
        one, two = await read.first(2)
    assert list(one) == FIELDS
    assert (one["method"], one["target"], one["status"], one["end"]) == ("GET", "/no-host", 400, "refused")
    assert {one[name] for name in ("route", "side", "upstream", "bucket", "trace", "total_ms")} == {None}
    assert (two["method"], two["target"], two["status"]) == ("CONNECT", "a:1", 405)


async def test_a_caller_who_leaves_has_a_line(tmp_path: Path, read: Read) -> None:
    begun = asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        begun.set()
        await reader.read(-1)

    async with gateway(tmp_path, hangs, top=read.top) as made:
        _, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(get("/pay/1"))
        await begun.wait()
        writer.close()
        [said] = await read.first()
    assert (said["status"], said["end"], said["route"]) == (0, "caller_left", "pay")


async def test_an_upgraded_connection_has_its_line_when_it_has_ended(tmp_path: Path, read: Read) -> None:
    async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        writer.write(2 * await reader.readexactly(5))

    async with gateway(tmp_path, echoes, top=read.top) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(get("/socket", "Connection: Upgrade", "Upgrade: echo"))
        assert b" 101 " in await read_head(reader)
        assert read.lines == []
        writer.write(b"hello")
        assert await reader.read(-1) == b"hellohello"
        writer.close()
        [said] = await read.first()
    assert (said["status"], said["end"], said["bytes_in"], said["bytes_out"]) == (101, "ok", 5, 10)


@pytest.mark.parametrize(
    "target",
    [
        b'/"\\\\"',
        b"/\xff\xfe\xc3\xa9",
        b"/\xe2\x80\xa8",
        b"/a?b=%0A%00",
        b"/{}[]<>'",
    ],
)
async def test_whatever_the_target_the_line_is_json(tmp_path: Path, read: Read, target: bytes) -> None:
    async with gateway(tmp_path, answering(ok(b"")), top=read.top) as made:
        await say(made.port, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        [said] = await read.first()
    assert said["target"].encode("latin-1") == target


async def test_what_is_no_request_at_all_has_a_line_of_json(tmp_path: Path, read: Read) -> None:
    async with gateway(tmp_path, answering(), top=read.top) as made:
        for nonsense in (b"\x16\x03\x01\x02\x00\x01", b'GET /"\x01\n HTTP/1.1\r\n\r\n', b"{}\r\n\r\n"):
            assert b" 400 " in await say(made.port, nonsense)
        lines = await read.first(3)
    assert [(said["status"], said["end"]) for said in lines] == [(400, "refused")] * 3


async def test_a_target_without_measure_is_cut_so_that_its_line_stays_whole(
    tmp_path: Path, read: Read
) -> None:
    targets = ["/" + "é" * 30_000, "/" + "x" * (LONGEST - 1000)]
    async with gateway(tmp_path, answering(ok(b""), ok(b"")), top=read.top) as made:
        for target in targets:
            await say(made.port, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode("latin-1"))
        one, two = await read.first(2)
    assert one["target"] == targets[0][:400] + "…"
    assert two["target"] == targets[1]
    assert max(map(len, read.path.read_bytes().splitlines(keepends=True))) <= LONGEST
