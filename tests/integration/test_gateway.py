"""The gateway between a caller and two sides, on real sockets, with the bytes looked at."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from strangler.exchange.frames import Hello
from strangler.gateway.copy import COPY_LIMIT
from tests.support.gateway import gateway, get, say
from tests.support.raw import answering, ok, read_head, until


async def test_what_no_route_claims_reaches_legacy_as_it_came(tmp_path: Path) -> None:
    seen: list[bytes] = []
    async with gateway(tmp_path, answering(ok(b"hi"), seen=seen)) as made:
        answer = await say(made.port, get("/a/(b)|%41%7e//?x=%0A&y", "x-CASE: 1", "Cookie: a=1", "X-Case: 2"))
        assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
        assert seen == [
            b"GET /a/(b)|%41%7e//?x=%0A&y HTTP/1.1\r\nHost: shop\r\nx-CASE: 1\r\nCookie: a=1\r\nX-Case: 2\r\n"
            b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\r\n"
            b"Via: 1.1 strangler\r\n\r\n"
        ]
        assert made.count("", "legacy_2xx") == 1


async def test_an_answer_comes_back_field_by_field(tmp_path: Path) -> None:
    fields = (
        b"Set-Cookie: a=1",
        b"sEt-cOOkie: b=2",
        b"Content-Encoding: gzip",
        b"Date: then",
        b"Server: old",
    )
    async with gateway(tmp_path, answering(ok(b"\x1f\x8b", *fields))) as made:
        answer = await say(made.port, get("/"))
        assert (
            answer == b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(fields) + b"\r\nContent-Length: 2\r\n\r\n\x1f\x8b"
        )


async def test_the_extracted_side_gets_its_own_path_and_headers(tmp_path: Path) -> None:
    seen: list[bytes] = []
    async with gateway(tmp_path, answering(), answering(ok(b"new"), seen=seen), share="100%") as made:
        answer = await say(made.port, get("/pay/4%322?q=1", "X-Old: gone"))
        assert answer.endswith(b"new")
        assert seen[0].startswith(b"GET /v2/4%322?q=1 HTTP/1.1\r\n")
        assert b"X-New: 1\r\n" in seen[0]
        assert b"X-Old" not in seen[0]
        assert made.count("pay", "extracted_2xx") == 1


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async with gateway(tmp_path, answering(ok(b"1"), ok(b"2"), ok(b"3"))) as made:
        answer = await say(made.port, get("/1") + get("/2") + get("/3"), answers=3)
        assert [part[-1:] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"1", b"2", b"3"]


async def test_a_body_goes_up_sized_or_chunked_as_it_came(tmp_path: Path) -> None:
    bodies: list[bytes] = []

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        bodies.append(await reader.readexactly(3))
        writer.write(ok(b"sized"))
        head = await read_head(reader)
        assert b"Transfer-Encoding: chunked" in head
        assert b"ontent-length" not in head.lower()
        bodies.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(ok(b"chunked"))
        await reader.read(-1)

    async with gateway(tmp_path, old) as made:
        sized = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        chunked = (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        )
        assert (await say(made.port, sized)).endswith(b"sized")
        assert (await say(made.port, chunked)).endswith(b"chunked")
    assert bodies[0] == b"abc"
    assert bodies[1].replace(b"\r\n", b"").translate(None, b"0123456789") == b"abc"


async def test_expect_100_continue_is_the_upstreams_to_answer(tmp_path: Path) -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        assert b"Expect: 100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(2) == b"ab"
        writer.write(ok(b"done"))
        await reader.read(-1)

    async with gateway(tmp_path, old) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_no_answer_is_502_and_names_route_and_upstream(tmp_path: Path) -> None:
    async with gateway(
        tmp_path, answering(), answering(b""), share="100%", route=", fallback: false"
    ) as made:
        head, _, body = (await say(made.port, get("/pay/1"))).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/problem+json")
        problem = json.loads(body)
        assert (problem["status"], problem["route"], problem["upstream"]) == (502, "pay", "new")
        assert problem["detail"].startswith("new, the extracted side of route pay, ")
        assert made.count("pay", "extracted_failed") == 1


async def test_silence_is_504(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with gateway(tmp_path, silent, patience="100ms") as made:
        answer = await say(made.port, get("/"))
        assert answer.startswith(b"HTTP/1.1 504 Gateway Timeout")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["route"] == "(legacy)"


async def test_half_an_answer_is_a_reset_and_never_looks_whole(tmp_path: Path) -> None:
    half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    async with gateway(tmp_path, answering(half)) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(get("/"))
        got = b""
        with contextlib.suppress(ConnectionResetError):
            got = await reader.read(-1)
        assert b"0\r\n\r\n" not in got
        assert got.count(b"HTTP/1.1") <= 1
        writer.close()


async def test_a_stale_connection_is_tried_once_more_for_get_and_never_for_post(tmp_path: Path) -> None:
    arrivals: list[bytes] = []

    async def closes_after_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        arrivals.append(head.split(b" ", 2)[1])
        writer.write(ok(b"x"))
        await read_head(reader)  # the second request is read, and never answered

    async with gateway(tmp_path, closes_after_one) as made:
        await say(made.port, get("/first"))
        assert (await say(made.port, get("/again"))).endswith(b"x")
        assert arrivals == [b"/first", b"/again"]
        assert made.count("", "retried") == 1
        post = b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        assert b" 502 " in await say(made.port, post)
        assert arrivals == [b"/first", b"/again"]


async def test_a_caller_who_leaves_takes_the_request_to_the_upstream_with_him(tmp_path: Path) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        begun.set()
        await reader.read(-1)
        left.set()

    async with gateway(tmp_path, hangs, shadow="100%") as made:
        _, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(get("/pay/1"))
        await begun.wait()
        writer.close()
        async with asyncio.timeout(5):
            await left.wait()
        await until(lambda: made.pools["old"].open == 0)
        await until(lambda: made.count("pay", "caller_left") == 1)


async def test_nonsense_is_refused_in_json_without_reaching_anybody(tmp_path: Path) -> None:
    seen: list[bytes] = []
    async with gateway(tmp_path, answering(ok(b""), seen=seen)) as made:
        for nonsense in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            b"GET / HTTP/1.1\r\nBad Name: a\r\n\r\n",
            b"CONNECT shop:443 HTTP/1.1\r\nHost: shop\r\n\r\n",
            b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        ):
            head, _, body = (await say(made.port, nonsense)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 4"), nonsense
            assert b"Connection: close" in head
            assert json.loads(body)["status"] in (400, 405, 414)
        assert seen == []


async def test_a_sampled_exchange_is_handed_over_with_both_bodies_heads(tmp_path: Path) -> None:
    answer = ok(b'{"a":1}', b"Content-Type: application/json")
    async with gateway(tmp_path, answering(answer), shadow="100%") as made:
        await say(made.port, get("/pay/7?q", "X-User-Id: 9"))
        await until(lambda: len(made.taken) == 1)
        [exchange] = made.taken
        assert (exchange.route, exchange.side, exchange.method, exchange.target) == (
            "pay",
            "legacy",
            "GET",
            "/pay/7?q",
        )
        assert exchange.answer.body == b'{"a":1}'
        assert (b"Content-Type", b"application/json") in exchange.answer.headers
        assert (b"X-User-Id", b"9") in exchange.headers
        assert made.count("pay", "handed") == 1
        assert made.hellos[0] == Hello("w", {})


async def test_an_unsafe_request_is_never_handed_over(tmp_path: Path) -> None:
    async with gateway(tmp_path, answering(*[ok(b"")] * 5), shadow="100%") as made:
        for method in (b"POST", b"PUT", b"DELETE", b"PATCH"):
            await say(made.port, method + b" /pay/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        await say(made.port, get("/pay/1"))
        await until(lambda: len(made.taken) == 1)
        assert made.taken[0].method == "GET"
        assert made.count("pay", "handed") == 1


async def test_what_cannot_be_handed_over_is_counted_and_the_caller_has_his_answer(tmp_path: Path) -> None:
    big = ok(b"x" * (COPY_LIMIT + 1))
    events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\n\n\n"
    async with gateway(tmp_path, answering(big, events, b"HTTP/1.1 20"), shadow="100%") as made:
        assert (await say(made.port, get("/pay/1"))).endswith(b"xxx")
        assert (await say(made.port, get("/pay/1"))).endswith(b"\n\n")
        assert b" 502 " in await say(made.port, get("/pay/1"))
        assert [made.count("pay", reason) for reason in ("body_too_large", "streaming", "no_answer")] == [
            1,
            1,
            1,
        ]
        assert made.count("pay", "handed") == 0


async def test_several_megabytes_are_copied_and_all_copies_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = ok(b"x" * (3 * 1024 * 1024))
    async with gateway(tmp_path, answering(big), shadow="100%") as made:
        for _ in range(12):  # each gives back what it held: together they are beyond the limit
            assert (await say(made.port, get("/pay/1"))).endswith(b"xxx")
        await until(lambda: len(made.taken) == 12)
        assert len(made.taken[0].answer.body) == 3 * 1024 * 1024
        monkeypatch.setattr("strangler.gateway.copy.COPIES_LIMIT", 1024)
        assert (await say(made.port, get("/pay/1"))).endswith(b"xxx")
        assert made.count("pay", "queue_full") == 1


async def test_without_an_observer_callers_are_served_and_the_rest_is_counted(tmp_path: Path) -> None:
    async with gateway(tmp_path, answering(ok(b"fine")), shadow="100%", observer=False) as made:
        assert (await say(made.port, get("/pay/1"))).endswith(b"fine")
        assert made.count("pay", "observer_down") == 1


async def test_a_caller_without_identity_gets_one_only_when_it_matters(tmp_path: Path) -> None:
    async with gateway(tmp_path, answering(ok(b"")), answering(ok(b"")), share="50%") as made:
        assert b"Set-Cookie: strangler_id=" in await say(made.port, get("/pay/1"))
    async with gateway(tmp_path, answering(ok(b""), ok(b"")), share="0%", shadow="100%") as made:
        assert b"Set-Cookie" not in await say(made.port, get("/pay/1"))


async def test_a_gigabyte_is_not_kept_on_its_way_down(tmp_path: Path) -> None:
    """A smaller stand-in: 64 MiB to a caller who does not read must stall the upstream, not fill the proxy."""
    size, written = 64 * 1024 * 1024, 0

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while written < size:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536
        await reader.read(-1)

    async with gateway(tmp_path, pours) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port, limit=65536)
        writer.write(get("/"))
        before = -1
        while before != written or not written:
            before = written
            await asyncio.sleep(0.1)
        assert written < size / 2
        head = await read_head(reader)
        assert b"200 OK" in head
        got = 0
        while got < size:
            got += len(await reader.read(2**20))
        assert got == size
        writer.close()
