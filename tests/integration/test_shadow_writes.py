"""No write reaches a side by accident: real sockets, from the caller to the side that did not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from strangler.evidence import Observation
from strangler.exchange.model import Answer, Exchange
from strangler.observer.mirror import CONCURRENCY, Mirror
from strangler.observer.pipeline import Pipeline
from strangler.routes import Table, parse
from tests.support.gateway import gateway, get, say
from tests.support.raw import Conversation, answering, ok, read_head, serving, until
from tests.support.wire import Arrived, recording

MARKED = ", shadow_writes: marked"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "PROPFIND", "PURGE", "QUERY", "LOCK", "M-SEARCH")
OVERRIDES = ("X-HTTP-Method-Override: DELETE", "x-http-method: PUT", "X-Method-Override: GET")


@dataclass
class Observer:
    """Everything of the observer that sends, and what it would have written down."""

    pipeline: Pipeline
    mirror: Mirror
    seen: list[Observation] = field(default_factory=list)

    async def use(self, table: Table) -> None:
        # Nobody is asked a second time, by chance or otherwise: these tests count what arrives.
        quiet = (
            replace(route, compare=replace(route.compare, noise=0, confirm=None)) for route in table.routes
        )
        table = replace(table, routes=tuple(quiet))
        await self.mirror.use(table)
        self.pipeline.table = table

    def take(self, *exchanges: Exchange) -> None:
        for exchange in exchanges:
            self.pipeline.take("w", exchange, lambda: None)

    async def observed(self, *exchanges: Exchange) -> list[Observation]:
        before = len(self.seen)
        self.take(*exchanges)
        await until(lambda: len(self.seen) == before + len(exchanges))
        return self.seen[before:]


@contextlib.asynccontextmanager
async def observer(table: Table) -> AsyncIterator[Observer]:
    seen: list[Observation] = []

    def record(observation: Observation) -> bool:
        seen.append(observation)
        return True

    mirror = Mirror()
    store = SimpleNamespace(key=b"key", record=record)
    made = Observer(Pipeline(table, store, mirror), mirror, seen)  # type: ignore[arg-type]
    await made.use(table)
    try:
        yield made
    finally:
        mirror.close()


def marked_table(port: int, new: str = "") -> Table:
    text = f"""
version: 1
upstreams: {{old: {{url: "http://127.0.0.1:{port}"}}, new: {{url: {new or f'"http://127.0.0.1:{port}"'}}}}}
legacy: old
routes: [{{name: pay, match: "/pay/{{id}}", extracted: new, shadow: 100%, shadow_writes: marked}}]
"""
    return parse(text.encode(), file="f", check_rule=lambda _: None)


def with_route(table: Table, **changes: object) -> Table:
    return replace(table, routes=tuple(replace(route, **changes) for route in table.routes))


def request(method: str, *fields: str, body: bytes = b"{}", path: str = "/pay/1") -> bytes:
    lines = "".join(f"{line}\r\n" for line in ("Host: shop", *fields, f"Content-Length: {len(body)}"))
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def exchange(
    method: str = "POST", *fields: tuple[bytes, bytes], side: str = "legacy", n: int = 1
) -> Exchange:
    headers = ((b"Host", b"shop"), *fields)
    answer = Answer(200, (), b"hi", 1.0)
    return Exchange("pay", side, method, f"/pay/{n}", headers, b"{}", 7, 1700000000.0 + n, answer)  # type: ignore[arg-type]


def methods(arrived: Arrived) -> list[str]:
    return [head.split(b" ", 1)[0].decode() for head in arrived.heads]


def all_writes() -> list[bytes]:
    """Every write, and everything that could be taken for none."""
    return [
        *(request(method) for method in UNSAFE),
        *(request("POST", override) for override in OVERRIDES),
        *(request("GET", override, body=b"") for override in OVERRIDES),
        request("DELETE", "Strangler-Shadow: 1"),
        request("POST", "Strangler-Side: extracted", "Strangler_Shadow: 1"),
        request("POST", path="/pay/1?_method=GET"),
        b"POST /pay/1 HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_dead_endpoint_of_two_costs_no_shadow(unused_tcp_port: int, method: str) -> None:
    """Also while many shadows are under way, which take turns with one another."""
    arrived = Arrived()
    async with serving(recording(arrived)) as port:
        table = marked_table(port, f'["http://127.0.0.1:{unused_tcp_port}", "http://127.0.0.1:{port}"]')
        async with observer(table) as watching:
            seen = await watching.observed(*(exchange(method, n=n) for n in range(40)))
    assert [each.reason for each in seen] == [""] * 40
    assert len(arrived.heads) == 40


@pytest.mark.parametrize("share", ["0%", "100%"])
@pytest.mark.parametrize("keys", ["", ", shadow_writes: never"])
async def test_no_write_is_ever_copied_unless_the_route_says_so(
    tmp_path: Path, share: str, keys: str
) -> None:
    old, new = Arrived(), Arrived()
    answers, other = (old, new) if share == "0%" else (new, old)
    async with (
        gateway(tmp_path, recording(old), recording(new), share=share, shadow="100%", route=keys) as made,
        observer(made.table) as watching,
    ):
        sent = all_writes()
        for each in sent:
            assert (await say(made.port, each)).startswith(b"HTTP/1.1 200 ")
        for nonsense in (
            b"post",
            b"Post",
            b"BREW",
            b"GETT",
        ):  # no method of HTTP reaches anybody in this form
            assert (await say(made.port, request(nonsense.decode())))[9:10] in b"45"
        # A GET with a body is a GET, and is copied: it also shows that nothing else is still on its way.
        assert (await say(made.port, request("GET", body=b"q"))).endswith(b"hi")
        await until(lambda: len(made.taken) == 1)
        assert (made.taken[0].method, made.taken[0].body) == ("GET", b"q")
        assert made.count("pay", "eligible") == made.count("pay", "handed") == 1
        await watching.observed(*made.taken)
        assert methods(other) == ["GET"]
        assert other.bodies == [b"q"]
        assert len(answers.heads) == len(sent) + 1
        assert not any(b"shadow" in head.lower() for head in answers.heads)
        assert b"\r\nStrangler-Shadow: 1\r\n" in other.heads[0]


@pytest.mark.parametrize("share", ["0%", "100%"])
async def test_a_marked_write_reaches_the_other_side_once_and_says_what_it_is(
    tmp_path: Path, share: str
) -> None:
    old, new = Arrived(), Arrived()
    answers, other = (old, new) if share == "0%" else (new, old)
    async with (
        gateway(tmp_path, recording(old), recording(new), share=share, shadow="100%", route=MARKED) as made,
        observer(made.table) as watching,
    ):
        sent = all_writes()
        for each in sent:
            await say(made.port, each)
        await until(lambda: len(made.taken) == len(sent))
        found = await watching.observed(*made.taken)
        assert {observation.outcome for observation in found} == {"match"}
        assert sorted(methods(other)) == sorted(methods(answers))
        keys = [line for head in other.heads for line in head.split(b"\r\n") if b"Idempotency-Key" in line]
        assert len(set(keys)) == len(sent)
        for head in other.heads:
            assert head.count(b"\r\nStrangler-Shadow: 1\r\n") == 1
            assert head.lower().count(b"shadow:") == 1
        for head in answers.heads:
            assert b"shadow" not in head.lower()
            assert b"Idempotency-Key" not in head


async def test_two_identical_orders_are_two(tmp_path: Path) -> None:
    new = Arrived()
    async with (
        gateway(tmp_path, recording(Arrived()), recording(new), shadow="100%", route=MARKED) as made,
        observer(made.table) as watching,
    ):
        for _ in range(2):
            await say(made.port, request("POST"))
        await until(lambda: len(made.taken) == 2)
        await watching.observed(*made.taken)
        keys = {line for head in new.heads for line in head.split(b"\r\n") if b"Idempotency-Key" in line}
        assert len(keys) == 2


async def test_what_is_too_long_or_asks_for_an_upgrade_is_not_copied(tmp_path: Path) -> None:
    new = Arrived()
    upgrade = request("POST", "Connection: upgrade", "Upgrade: other", body=b"")
    async with gateway(tmp_path, recording(Arrived()), recording(new), shadow="100%", route=MARKED) as made:
        await say(made.port, request("POST", body=b"x" * (4 * 1024 * 1024 + 1)))
        await say(made.port, upgrade)
        assert b" 405 " in await say(made.port, b"CONNECT shop:443 HTTP/1.1\r\nHost: shop\r\n\r\n")
        await say(made.port, request("POST"))
        await until(lambda: len(made.taken) == 1)
        assert made.count("pay", "body_too_large") == 1
        assert made.count("pay", "eligible") == 2
    assert new.heads == []


async def test_half_a_write_that_was_answered_early_is_not_copied_as_a_whole_one(tmp_path: Path) -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(ok(b"enough"))
        await reader.read(-1)

    async with gateway(tmp_path, early, shadow="100%", route=MARKED) as made:
        half = b"POST /pay/1 HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\nhalf"
        assert (await say(made.port, half)).endswith(b"enough")
        await until(lambda: made.count("pay", "request_cut") == 1)
        assert (made.taken, made.count("pay", "handed")) == ([], 0)


async def test_the_running_table_has_the_last_word(tmp_path: Path) -> None:
    new = Arrived()
    async with (
        gateway(tmp_path, recording(Arrived()), recording(new), shadow="100%", route=MARKED) as made,
        observer(with_route(made.table, shadow_writes="never")) as watching,
    ):
        for each in all_writes():
            await say(made.port, each)
        await say(made.port, get("/pay/1"))
        await until(lambda: len(made.taken) == len(all_writes()) + 1)
        found = await watching.observed(*made.taken)
        reasons = [observation.reason for observation in found if observation.outcome == "skipped"]
        assert reasons == ["write_not_marked"] * len(all_writes())
        assert methods(new) == ["GET"]


def holding(arrived: list[bytes], go: asyncio.Event) -> Conversation:
    """A side that answers nobody until it may."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            arrived.append(await read_head(reader))
            await reader.readexactly(2)
            await go.wait()
            writer.write(ok(b"hi"))

    return conversation


async def test_a_write_that_waits_for_a_connection_is_not_sent_once_the_table_says_never() -> None:
    arrived: list[bytes] = []
    go = asyncio.Event()
    more = 10
    async with serving(holding(arrived, go)) as port, observer(marked_table(port)) as watching:
        watching.take(*(exchange(n=n) for n in range(CONCURRENCY + more)))
        await until(lambda: len(arrived) == CONCURRENCY)
        await watching.use(with_route(marked_table(port), shadow_writes="never"))
        go.set()
        await until(lambda: len(watching.seen) == CONCURRENCY + more)
        assert len(arrived) == CONCURRENCY
        assert [each.reason for each in watching.seen].count("write_not_marked") == more


@pytest.mark.parametrize(
    "write", [exchange("POST"), exchange("PUT"), exchange("GET", (b"X-HTTP-Method-Override", b"DELETE"))]
)
async def test_a_write_is_sent_once_and_never_on_a_connection_that_may_be_stale(write: Exchange) -> None:
    connections: list[list[bytes]] = []

    async def answers_get_and_hangs_up_on_the_rest(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connections.append([])
        while True:
            head = await read_head(reader)
            connections[-1].append(head.split(b" ")[0])
            if b"Override" in head or not head.startswith(b"GET"):
                return
            await reader.readexactly(2)
            writer.write(ok(b"hi"))

    async with (
        serving(answers_get_and_hangs_up_on_the_rest) as port,
        observer(marked_table(port)) as watching,
    ):
        await watching.observed(exchange("GET"))  # leaves an idle connection behind
        [found] = await watching.observed(write)
        assert (found.outcome, found.reason) == ("skipped", "shadow_broken")
        assert connections == [[b"GET"], [write.method.encode()]]


async def test_a_route_that_is_gone_sends_nothing() -> None:
    new = Arrived()
    async with serving(recording(new)) as port, observer(marked_table(port)) as watching:
        await watching.use(replace(marked_table(port), routes=()))
        [found] = await watching.observed(exchange())
        assert found.reason == "route_gone"
        assert new.heads == []


async def test_bridged_answers_are_compared_and_a_failed_bridge_is_counted(tmp_path: Path) -> None:
    kind = b"Content-Type: application/json"
    old = answering(ok(b'{"order_id": "7"}', kind), ok(b'{"error": 1}', kind))
    new = answering(ok(b'{"data": {"id": 7}}', kind), ok(b'{"error": 2}', kind))
    bridge = ', compare: {bridge: {legacy: {body: "{id: to_number(order_id)}"}, extracted: {body: data}}}'
    async with (
        gateway(tmp_path, old, new, shadow="100%", route=bridge) as made,
        observer(made.table) as watching,
    ):
        for number in range(2):
            await say(made.port, get("/pay/1"))
            await until(lambda: len(made.taken) == number + 1)  # noqa: B023 - waited for within the round
            await watching.observed(made.taken[-1])
        first, second = watching.seen
        assert (first.outcome, first.reason) == ("match", "")
        assert (second.outcome, second.reason) == ("skipped", "bridge_failed")
