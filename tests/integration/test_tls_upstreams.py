"""Upstreams over TLS: who is believed, what is asked for and given, and what a caller sees of it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from strangler.http.errors import ConnectFailed
from strangler.http.pool import Pool, pool_to
from strangler.http.tls import TlsFault
from strangler.routes import Timeouts, Upstream, UpstreamTls
from tests.support.gateway import gateway, get, say
from tests.support.raw import answering, ok, read_head, serving, until
from tests.support.tls import LOOPS, Authority, Pair, Run, over_tls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.pair()


# -- pools ---------------------------------------------------------------------------------------------------


def place(port: int, *, timeout: float = 5.0, **tls: Any) -> Upstream:
    return Upstream("u", "127.0.0.1", port, timeouts=Timeouts.of(timeout), tls=UpstreamTls(**tls))


async def ask(pool: Pool) -> bytes:
    connection = await pool.acquire()
    try:
        connection.begin(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await connection.answer()
        body = b""
        while data := await connection.read():
            body += data
        return body
    finally:
        pool.release(connection)


async def refused(upstream: Upstream) -> str:
    pool = pool_to(upstream, limit=4)
    with pytest.raises(ConnectFailed) as failed:
        await pool.acquire()
    assert pool.open == 0
    return str(failed.value)


@LOOPS
def test_a_connection_over_tls_carries_many_exchanges(run: Run, authority: Authority, pair: Pair) -> None:
    async def scenario() -> None:
        async with serving(answering(ok(b"one"), ok(b"two")), tls=pair.context) as port:
            pool = pool_to(place(port, ca=authority.file), limit=4)
            assert [await ask(pool), await ask(pool)] == [b"one", b"two"]
            assert pool.open == 1
            pool.close()
            await until(lambda: pool.open == 0)

    run(scenario())


@LOOPS
def test_an_upstream_is_believed_only_by_who_trusts_its_authority_and_knows_its_name(
    run: Run, tmp_path: Path, authority: Authority
) -> None:
    stranger = Authority(tmp_path, "stranger")
    named = authority.pair("payments.internal", into="named")

    async def scenario() -> None:
        async with serving(answering(ok(b"hi")), tls=named.context) as port:
            assert "CERTIFICATE_VERIFY_FAILED" in await refused(place(port, ca=authority.file))
            right = {"name": "payments.internal"}
            assert "CERTIFICATE_VERIFY_FAILED" in await refused(place(port, ca=stranger.file, **right))
            assert "CERTIFICATE_VERIFY_FAILED" in await refused(place(port, **right))  # the system's
            for tls in ({"ca": authority.file, **right}, {"verify": False}):
                pool = pool_to(place(port, **tls), limit=4)
                assert await ask(pool) == b"hi"
                pool.close()
                await until(lambda: pool.open == 0)  # noqa: B023

    run(scenario())


async def test_the_name_is_what_the_upstream_is_asked_for(authority: Authority) -> None:
    asked: list[str | None] = []
    named = authority.pair("payments.internal", into="named")
    context = named.context
    context.sni_callback = lambda handshake, name, context: asked.append(name)
    async with serving(answering(ok(b"hi")), tls=context) as port:
        for tls in ({"ca": authority.file, "name": "payments.internal"}, {"verify": False}):
            pool = pool_to(place(port, **tls), limit=4)
            assert await ask(pool) == b"hi"
            pool.close()
            await until(lambda: pool.open == 0)  # noqa: B023
    assert asked == ["payments.internal", None]  # RFC 6066 section 3: an address is no name to ask for


async def test_an_upstream_that_asks_for_a_certificate_is_given_ours(
    authority: Authority, pair: Pair
) -> None:
    demanding = pair.context
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(authority.file)
    ours = authority.pair("proxy", into="ours")
    given: list[str] = []

    async def looks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given.append(str(writer.get_extra_info("ssl_object").getpeercert()["subjectAltName"]))
        await answering(ok(b"welcome"))(reader, writer)

    async with serving(looks, tls=demanding) as port:
        pool = pool_to(place(port, ca=authority.file, certificate=ours.certificate, key=ours.key), limit=4)
        assert await ask(pool) == b"welcome"
        assert given == ["(('DNS', 'proxy'),)"]
        pool.close()
        await until(lambda: pool.open == 0)


async def test_a_context_is_not_made_of_files_that_cannot_be_used(authority: Authority) -> None:
    with pytest.raises(TlsFault, match="No such file"):
        pool_to(place(1, ca=authority.file + ".not"), limit=4)


# -- through the gateway -------------------------------------------------------------------------------------


async def test_a_caller_is_answered_by_an_upstream_over_tls(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    seen: list[bytes] = []
    old = over_tls(pair.context, answering(ok(b"one"), ok(b"two"), ok(b"never"), seen=seen))
    upstream = f", tls: {{ca: {authority.file}}}"
    async with gateway(tmp_path, old, scheme="https", upstream=upstream) as made:
        assert (await say(made.port, get("/1"))).endswith(b"one")
        assert (await say(made.port, get("/2"))).endswith(b"two")
        assert made.pools["old"].open == 1
    assert b"X-Forwarded-Proto: http\r\n" in seen[0]  # it says how the caller came


async def test_an_upstream_that_is_not_believed_is_a_502(tmp_path: Path, pair: Pair) -> None:
    stranger = Authority(tmp_path, "stranger")
    seen: list[bytes] = []
    old = over_tls(pair.context, answering(ok(b"secret"), seen=seen))
    upstream = f", tls: {{ca: {stranger.file}}}"
    async with gateway(tmp_path, old, scheme="https", upstream=upstream) as made:
        answer = await say(made.port, get("/", "Cookie: session=mine"))
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert made.count("", "legacy_failed") == 1
    assert seen == []  # nothing was said to somebody whom nobody knows


async def test_a_client_certificate_that_is_not_given_is_a_502(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    demanding = pair.context
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(authority.file)
    old = over_tls(demanding, answering(ok(b"hi")))
    upstream = f", tls: {{ca: {authority.file}}}"
    async with gateway(tmp_path, old, scheme="https", upstream=upstream) as made:
        assert b" 502 " in await say(made.port, get("/"))


async def test_an_upstream_that_never_shakes_hands_is_a_504_and_is_let_go(
    tmp_path: Path, authority: Authority
) -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.read(1)) == b"\x16"  # a handshake begins
        await reader.read(-1)
        left.set()

    upstream = f", tls: {{ca: {authority.file}}}"
    async with gateway(tmp_path, silent, scheme="https", upstream=upstream, patience="100ms") as made:
        assert (await say(made.port, get("/"))).startswith(b"HTTP/1.1 504 ")
        async with asyncio.timeout(5):
            await left.wait()


async def test_an_upstream_that_speaks_no_tls_is_a_502(tmp_path: Path, authority: Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await reader.read(-1)

    upstream = f", tls: {{ca: {authority.file}}}"
    async with gateway(tmp_path, plain, scheme="https", upstream=upstream) as made:
        assert b" 502 " in await say(made.port, get("/"))


async def test_a_large_answer_comes_whole_over_tls(tmp_path: Path, authority: Authority, pair: Pair) -> None:
    body = bytes(range(256)) * 4096 * 4

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(ok(body))
        await writer.drain()
        await reader.read(-1)

    upstream = f", tls: {{ca: {authority.file}}}"
    old = over_tls(pair.context, large)
    async with gateway(tmp_path, old, scheme="https", upstream=upstream) as made:
        assert (await say(made.port, get("/"))).partition(b"\r\n\r\n")[2] == body
