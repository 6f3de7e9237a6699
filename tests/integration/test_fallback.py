"""The legacy side answers when the extracted side does not: when, what it is sent, and what is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from strangler.exchange.sheet import FASTEST, GROWTH, SLOWEST
from tests.support.gateway import Gateway, gateway
from tests.support.raw import Conversation, answering, ok, read_head, until
from tests.support.wire import Arrived, caller, hear, recording

NEVER = ", breaker: none"


def asks(method: str = "GET", *fields: str, body: bytes = b"") -> bytes:
    """One request to the route, whose connection ends with it."""
    lines = [f"{method} /pay/7?x=1 HTTP/1.1", "Host: shop", "Connection: close", "X-Old: 1", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def slams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes some of the request and closes without a word."""
    await reader.read(1)


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()


def failing(status: int) -> Conversation:
    return recording(Arrived(), b"HTTP/1.1 %d Sorry\r\nContent-Length: 3\r\n\r\nbad" % status)


FAILURES = {
    "closes": slams,
    "says nothing": says_nothing,
    "talks nonsense": answering(b"SMTP hello\r\n\r\n"),
    "500": failing(500),
    "502": failing(502),
    "503": failing(503),
    "504": failing(504),
}


@pytest.mark.parametrize("new", FAILURES.values(), ids=FAILURES)
async def test_a_safe_request_is_answered_all_the_same(tmp_path: Path, new: Conversation) -> None:
    arrived = Arrived()
    async with gateway(
        tmp_path, recording(arrived), new, share="100%", shadow="100%", patience="200ms", upstream=NEVER
    ) as made:
        heard = await hear(made.port, asks())
        assert heard.statuses == [200]
        await until(lambda: bool(made.taken))
        [exchange] = made.taken
    assert (exchange.side, exchange.answer.status, exchange.answer.body) == ("legacy", 200, b"hi")
    assert arrived.heads[0].startswith(b"GET /pay/7?x=1 HTTP/1.1\r\n"), "no rewrite"
    assert b"X-Old: 1" in arrived.fields(0), "none of the extracted side's own edits"
    assert not any(field.startswith(b"X-New") for field in arrived.fields(0))
    counted = [
        made.count("pay", name) for name in ("fallback", "legacy_2xx", "extracted_failed", "extracted_5xx")
    ]
    assert counted == [1, 1, 0, 0]


@pytest.mark.parametrize("status", [400, 404, 409, 501])
async def test_an_answer_is_an_answer(tmp_path: Path, status: int) -> None:
    async with gateway(tmp_path, answering(ok(b"old")), failing(status), share="100%") as made:
        assert (await hear(made.port, asks())).statuses == [status]
        assert made.count("pay", "fallback") == 0


async def test_an_answer_that_has_begun_is_not_begun_again(tmp_path: Path) -> None:
    async with gateway(tmp_path, answering(ok(b"old")), breaks_off, share="100%") as made:
        heard = await hear(made.port, asks())
        assert heard.data.count(b"HTTP/1.1") <= 1
        assert b"old" not in heard.data
        assert made.count("pay", "fallback") == 0
        assert made.count("pay", "extracted_failed") == 1


@pytest.mark.parametrize(
    ("said", "route", "status"),
    [
        (asks("POST", body=b"hello"), "", 502),
        (asks("POST", body=b"hello"), ", fallback: true", 200),
        (asks("POST"), ", fallback: true", 200),
        (asks("DELETE"), "", 502),
        (asks("GET"), ", fallback: false", 502),
        (asks("GET", "X-HTTP-Method-Override: DELETE"), "", 502),
    ],
)
async def test_who_may_be_answered_by_the_other_side(
    tmp_path: Path, said: bytes, route: str, status: int
) -> None:
    arrived = Arrived()
    async with gateway(
        tmp_path, recording(arrived), slams, share="100%", route=route, upstream=NEVER, observer=False
    ) as made:
        assert (await hear(made.port, said)).statuses == [status]
        assert len(arrived.heads) == made.count("pay", "fallback") == int(status == 200)
        assert made.count("pay", "extracted_failed") == int(status != 200)
    if status == 200:
        assert arrived.bodies == [said.partition(b"\r\n\r\n")[2]]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("taken", ["half of it", "all of it"])
async def test_a_body_on_its_way_is_sent_again_from_its_beginning(
    tmp_path: Path, chunked: bool, taken: str
) -> None:
    """The extracted side takes some of it and closes; the caller goes on sending and learns nothing of it."""

    async def takes_some(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first half, ")
        half.set()
        if taken == "all of it":
            await reader.readuntil(b"0\r\n\r\n" if chunked else b"second half")

    half, arrived = asyncio.Event(), Arrived()
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 23"
    head = b"PUT /pay/7 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n" + framing + b"\r\n\r\n"
    parts = [b"first half, ", b"second half"]
    if chunked:
        parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
        parts[1] += b"0\r\n\r\n"
    async with gateway(
        tmp_path, recording(arrived), takes_some, share="100%", route=", fallback: true", observer=False
    ) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(head + parts[0])
        await half.wait()
        if taken == "half of it":
            await until(lambda: made.count("pay", "fallback") == 1)
        writer.write(parts[1])
        answer = await reader.read(-1)
        writer.close()
        assert made.listener._handler.kept == 0
    assert answer.startswith(b"HTTP/1.1 200")
    assert arrived.bodies == [b"first half, second half"]


async def test_a_body_that_is_too_long_to_be_kept_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strangler.gateway.asking.REPLAYABLE", 1000)

    async def takes_some(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"end of the second")

    arrived = Arrived()
    head = b"PUT /pay/7 HTTP/1.1\r\nHost: shop\r\nContent-Length: 5000\r\n\r\n"
    async with gateway(
        tmp_path, recording(arrived), takes_some, share="100%", route=", fallback: true", observer=False
    ) as made:
        heard = await hear(made.port, head + b"a" * 600, b"b" * 600 + b"end of the second", quiet=1.0)
        assert heard.statuses == [502]
        assert arrived.heads == []
        forwarder = made.listener._handler
        assert (forwarder.kept, forwarder.instead) == (0, 0)


async def test_only_so_many_at_once(tmp_path: Path) -> None:
    """A storm of failures does not become a storm on the monolith."""
    let = asyncio.Event()
    arrived = Arrived()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.heads.append(await reader.readuntil(b"\r\n\r\n"))
        await let.wait()
        writer.write(ok(b"hi"))
        await writer.drain()

    async with gateway(
        tmp_path, slow, slams, share="100%", top="limits: {fallbacks: 2}", upstream=NEVER, observer=False
    ) as made:
        tasks = [asyncio.create_task(hear(made.port, asks())) for _ in range(5)]
        await until(lambda: made.count("pay", "refused") == 3)
        let.set()
        statuses = sorted([(await task).statuses[0] for task in tasks])
        assert statuses == [200, 200, 502, 502, 502]
        assert len(arrived.heads) == 2
        assert made.listener._handler.instead == 0, "every place is given back"
        assert (await hear(made.port, asks())).statuses == [200]


async def test_too_many_at_once_get_the_extracted_sides_own_answer(tmp_path: Path) -> None:
    async with gateway(
        tmp_path,
        answering(ok(b"old")),
        failing(503),
        share="100%",
        top="limits: {fallbacks: 0}",
        observer=False,
    ) as made:
        heard = await hear(made.port, asks())
        assert (heard.statuses, heard.data[-3:]) == ([503], b"bad")
        assert (made.count("pay", "refused"), made.count("pay", "extracted_5xx")) == (1, 1)


async def test_when_both_sides_fail_the_caller_learns_of_the_legacy_side(tmp_path: Path) -> None:
    async with gateway(tmp_path, slams, slams, share="100%", upstream=NEVER, observer=False) as made:
        heard = await hear(made.port, asks())
        assert (heard.statuses, heard.problem["upstream"]) == ([502], "old")
        assert (made.count("pay", "fallback"), made.count("pay", "legacy_failed")) == (1, 1)
        assert made.listener._handler.instead == 0


async def test_a_caller_who_leaves_meanwhile_gives_its_place_back(tmp_path: Path) -> None:
    async with gateway(tmp_path, says_nothing, slams, share="100%", upstream=NEVER, observer=False) as made:
        _, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(asks())
        await until(lambda: made.listener._handler.instead == 1)
        writer.close()
        await until(lambda: made.listener._handler.instead == 0)


# -- the breaker ---------------------------------------------------------------------------------------------


async def opened(made: Gateway) -> None:
    """Ask until the extracted side is out of order."""
    while made.services["new"].endpoints[0].usable:
        assert (await hear(made.port, asks())).statuses == [200]


BREAKS = ", breaker: {least: 3, open: 50ms}"


@pytest.mark.parametrize(
    ("said", "counted"),
    [(asks(), 1), (asks("POST", body=b"hello"), 1), (asks("POST", body=b"hello")[:-1], 0)],
    ids=["a read", "a write", "not all of a write"],
)
async def test_who_leaves_before_an_answer_comes_has_waited_too(
    tmp_path: Path, said: bytes, counted: int
) -> None:
    """Unless it was the caller whom the others have waited for."""
    arrived = asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        arrived.set()
        await reader.read(-1)

    async with gateway(tmp_path, answering(), hangs, share="100%", observer=False) as made:
        clock = asyncio.get_running_loop().time
        asked = clock()
        async with caller(made.port) as (_, writer):
            writer.write(said)
            await arrived.wait()
            await until(lambda: clock() >= asked + 0.1)
            writer.transport.abort()
            await until(lambda: made.listener.count == 0)
        within = (clock() - asked) * 1000
    waits = {bucket: made.count("pay", f"extracted_wait_{bucket}") for bucket in range(FASTEST, SLOWEST + 1)}
    [*found] = (bucket for bucket, count in waits.items() if count)
    assert sum(waits.values()) == counted
    assert all(50 <= GROWTH**bucket <= within * GROWTH for bucket in found)
    assert made.count("pay", "extracted_failed") == 0


async def test_an_extracted_side_that_is_out_of_order_is_not_asked(tmp_path: Path) -> None:
    asked = 0

    async def counts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1

    arrived = Arrived()
    breaks = ", breaker: {least: 3, open: 1h}"
    async with gateway(
        tmp_path, recording(arrived), counts, share="100%", upstream=breaks, observer=False
    ) as made:
        await opened(made)
        assert asked == 3
        for said in (asks(), asks("POST", body=b"hello"), asks("DELETE")):
            assert (await hear(made.port, said)).statuses == [200]
        assert asked == 3
        assert (made.count("pay", "fallback"), made.count("pay", "rerouted")) == (3, 3)
        assert arrived.bodies[-2] == b"hello"
        assert made.listener._handler.instead == 0


async def test_without_fallback_nobody_answers_in_its_place(tmp_path: Path) -> None:
    breaks = ", breaker: {least: 1, open: 1h}"
    async with gateway(
        tmp_path,
        answering(ok(b"old")),
        slams,
        share="100%",
        upstream=breaks,
        route=", fallback: false",
        observer=False,
    ) as made:
        assert (await hear(made.port, asks())).statuses == [502]
        heard = await hear(made.port, asks())
        assert heard.statuses == [503]
        assert b"Retry-After: 1" in heard.data
        assert "out of order" in str(heard.problem["detail"])


async def test_it_is_tried_again_and_taken_back(tmp_path: Path) -> None:
    well = False
    arrived = Arrived()
    answers = recording(arrived)

    async def sick(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if well:
            await answers(reader, writer)

    async with gateway(
        tmp_path, recording(Arrived()), sick, share="100%", upstream=BREAKS, observer=False
    ) as made:
        await opened(made)
        well = True
        while not made.services["new"].endpoints[0].usable:
            assert (await hear(made.port, asks())).statuses == [200]
        assert arrived.heads
        assert (await hear(made.port, asks())).statuses == [200]


async def test_a_trial_whose_caller_leaves_is_not_the_last(tmp_path: Path) -> None:
    how = "slams"
    arrived, asked = Arrived(), asyncio.Event()
    answers = recording(arrived)

    async def sick(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if how == "well":
            await answers(reader, writer)
        elif how == "says nothing":
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read(-1)

    async with gateway(
        tmp_path, recording(Arrived()), sick, share="100%", upstream=BREAKS, observer=False
    ) as made:
        await opened(made)
        how = "says nothing"
        endpoint = made.services["new"].endpoints[0]
        while not asked.is_set():
            before = made.count("pay", "rerouted")
            _, writer = await asyncio.open_connection("127.0.0.1", made.port)
            writer.write(asks())
            await until(lambda before=before: asked.is_set() or made.count("pay", "rerouted") > before)
            if asked.is_set():
                await until(lambda: endpoint.breaker.is_tried)
            writer.close()
        await until(lambda: not endpoint.breaker.is_tried)
        how = "well"
        while not endpoint.usable:
            assert (await hear(made.port, asks())).statuses == [200]
        assert arrived.heads


@pytest.mark.parametrize(("route", "status", "answered"), [("", 200, 20), (", fallback: false", 502, 0)])
async def test_a_write_that_nobody_was_told_of_is_answered_too(
    tmp_path: Path, unused_tcp_port: int, route: str, status: int, answered: int
) -> None:
    """As while the breaker is open, which it is not after the first failures, nor for the one who tries again."""
    arrived = Arrived()
    async with gateway(
        tmp_path, recording(arrived), share="100%", route=route, upstream=NEVER, observer=False
    ) as made:
        made.pools["new"].port = unused_tcp_port
        for _ in range(20):
            assert (await hear(made.port, asks("POST", body=b"hello"))).statuses == [status]
        assert made.count("pay", "fallback") == answered
        assert made.listener._handler.instead == 0
    assert arrived.bodies == [b"hello"] * answered


async def test_a_legacy_side_that_is_out_of_order_is_asked_all_the_same(tmp_path: Path) -> None:
    breaks = ", breaker: {least: 1, open: 1h}"
    async with gateway(tmp_path, slams, upstream=breaks, observer=False) as made:
        for _ in range(3):
            heard = await hear(made.port, asks())
            assert (heard.statuses, heard.problem["detail"]) == (
                [502],
                "old, the legacy side of route pay, closed the connection before its answer was complete.",
            )


# -- several endpoints ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [asks(), asks("POST", body=b"hello")])
async def test_a_dead_endpoint_of_two_costs_no_request(
    tmp_path: Path, said: bytes, unused_tcp_port: int
) -> None:
    arrived = Arrived()
    async with gateway(
        tmp_path,
        answering(),
        recording(arrived),
        share="100%",
        route=", fallback: false",
        beside=unused_tcp_port,
        observer=False,
    ) as made:
        for _ in range(20):
            assert (await hear(made.port, said)).statuses == [200]
        assert len(arrived.heads) == 20
        dead = made.services["new"].endpoints[1]
        assert not dead.usable, "nobody asks it any more"


@pytest.mark.parametrize("said", [asks(), asks("POST", body=b"hello")], ids=["a read", "a write"])
async def test_an_endpoint_that_is_well_again_is_asked_again_though_others_are_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr("strangler.gateway.asking.PATIENCE", 0.1)
    one, other = Arrived(), Arrived()
    async with gateway(
        tmp_path,
        answering(),
        recording(one),
        share="100%",
        beside=recording(other),
        upstream=BREAKS,
        observer=False,
    ) as made:
        ailing = made.services["new"].endpoints[1]
        for _ in range(3):
            ailing.failed("told so")
        assert not ailing.usable
        while not ailing.usable:
            assert (await hear(made.port, said)).statuses == [200]
        assert len(other.heads) == 1
        for _ in range(10):
            await hear(made.port, said)
        assert len(other.heads) == 6


async def test_the_legacy_sides_other_endpoint_is_asked_though_both_are_out_of_order(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """Here the two are the extracted side's, which the table calls legacy: the helper has two of that one only."""
    arrived = Arrived()
    breaks = ", breaker: {least: 1, open: 1h}"
    async with gateway(
        tmp_path, recording(arrived), answering(), upstream=breaks, beside=unused_tcp_port, observer=False
    ) as made:
        service = made.services["new"]
        made.services["old"].endpoints[:] = [*service.endpoints[1:], *made.services["old"].endpoints]
        made.services["old"].only = None
        for endpoint in made.services["old"].endpoints:
            endpoint.failed("told so")
        for _ in range(4):
            assert (await hear(made.port, asks())).statuses == [200]
    assert len(arrived.heads) == 4


async def test_endpoints_take_turns(tmp_path: Path) -> None:
    one, other = Arrived(), Arrived()
    async with gateway(
        tmp_path, answering(), recording(one), share="100%", beside=recording(other), observer=False
    ) as made:
        for _ in range(10):
            await hear(made.port, asks())
    assert (len(one.heads), len(other.heads)) == (5, 5)


async def test_a_write_that_may_have_been_carried_out_is_not_sent_to_another(tmp_path: Path) -> None:
    arrived = Arrived()
    async with gateway(
        tmp_path, answering(), slams, share="100%", beside=recording(arrived), upstream=NEVER, observer=False
    ) as made:
        said = asks("POST", body=b"hello")
        statuses = [(await hear(made.port, said)).statuses[0] for _ in range(4)]
        assert sorted(statuses) == [200, 200, 502, 502]
        assert len(arrived.heads) == 2
