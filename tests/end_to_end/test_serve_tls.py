"""`strangler serve` with certificates and an access log, as real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.proxy import ROUTES, Proxy, proxy, service
from tests.support.raw import read_head, serving, until
from tests.support.tls import RSA, Authority, Pair, serial, shown

TLS = ROUTES.replace("version: 1\n", "version: 1\ntls: {{certificate: pair.pem, key: pair.key}}\n")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.pair()


def echo(request: web.Request) -> web.Response:
    """What the upstream was told of the caller."""
    return web.json_response({"proto": request.headers["X-Forwarded-Proto"], "release": "1"})


def port_of(made: Proxy) -> int:
    return int(made.facts["listen"].rpartition(":")[2])


async def asked(made: Proxy, context: ssl.SSLContext, path: str = "/items/1") -> tuple[str, Any]:
    """The cookie that was set, and the answer."""
    connector = aiohttp.TCPConnector(ssl=context)
    url = f"https://{made.facts['listen']}{path}"
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        assert answer.status == 200
        return answer.headers.get("Set-Cookie", ""), await answer.json()


# -- the listener --------------------------------------------------------------------------------------------


async def test_a_caller_over_https_is_answered_and_the_upstream_knows_how_it_came(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    routes = TLS.replace("share: 0%", "share: 50%").replace(", client-address", "")
    routes = routes.replace("tls:", "access_log: stdout\ntls:")
    async with (
        service(echo) as old,
        service(echo) as new,
        proxy(tmp_path, old, new, workers=1, routes=routes) as made,
    ):
        cookie, answer = await asked(made, authority.trusting())
        assert answer["proto"] == "https"
        assert cookie.startswith("strangler_id=")
        assert cookie.endswith("; Secure")
        await until(lambda: '"method":"GET","target":"/items/1","status":200' in made.logged())
        assert f"listening on https://{made.facts['listen']}" in made.logged()
        with pytest.raises(aiohttp.ClientError):  # HTTPS and nothing else
            async with aiohttp.ClientSession() as session, session.get(made.url):
                pass


async def test_a_renewed_certificate_is_shown_to_new_connections_and_open_ones_go_on(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    async with (
        service(echo) as old,
        service(echo) as new,
        proxy(tmp_path, old, new, routes=TLS) as made,
    ):
        trusting = authority.trusting()
        port = port_of(made)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        before = serial(writer)
        assert await shown(port, trusting) == before
        authority.write(pair, key_type=RSA)

        async def all_show_another() -> bool:  # two workers share the port
            return before not in [await shown(port, trusting) for _ in range(8)]

        async with asyncio.timeout(20):
            while not await all_show_another():
                pass
        writer.write(b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()
        await until(lambda: made.logged().count("the certificate was renewed") == 2)
        os.unlink(pair.key)
        told = f"the certificate of before stays in use: {pair.key}: No such file or directory"
        await until(lambda: made.logged().count(told) == 2)
        assert await all_show_another()


async def test_sigterm_over_tls_answers_everything_that_has_arrived(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    async with (
        service(echo) as old,
        service(echo) as new,
        proxy(tmp_path, old, new, routes=TLS) as made,
    ):
        port, outcomes, trusting = port_of(made), [], authority.trusting()

        async def caller() -> None:
            """Asks on kept-alive connections until none is to be had any more."""
            while True:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
                except OSError:
                    return
                try:
                    while True:
                        writer.write(b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n")
                        head = await read_head(reader)
                        await reader.readexactly(
                            int(head.lower().split(b"content-length:")[1].split(b"\r")[0])
                        )
                        outcomes.append("answered" if head.startswith(b"HTTP/1.1 200") else head.decode())
                        if b"Connection: close" in head:
                            break
                except (OSError, asyncio.IncompleteReadError) as error:
                    outcomes.append(f"lost: {error!r}")
                finally:
                    writer.transport.abort()

        callers = [asyncio.create_task(caller()) for _ in range(8)]
        await until(lambda: len(outcomes) > 200, within=30)
        made.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await asyncio.gather(*callers)
            assert await made.process.wait() == 0
    assert set(outcomes) == {"answered"}


async def test_callers_who_do_not_say_goodbye_hold_up_no_drain(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    """Pools of clients do not read from a connection while they do not need it."""
    async with (
        service(echo) as old,
        service(echo) as new,
        proxy(tmp_path, old, new, workers=1, routes=TLS) as made,
    ):
        port = port_of(made)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=authority.trusting())
        writer.write(b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n")
        await read_head(reader)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]  # and no hand is shaken
        made.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):  # half of what a drain may take
            assert await made.process.wait() == 0
        writer.transport.abort()
        for _, other in silent:
            other.close()
        assert "Traceback" not in made.logged()


# -- what is wrong with the files ----------------------------------------------------------------------------


async def run(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "strangler", *arguments),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_files_that_cannot_be_used_stop_check_and_start_at_the_line_that_names_them(
    tmp_path: Path, pair: Pair
) -> None:
    routes = tmp_path / "routes.yaml"
    text = TLS.replace(
        '{{url: "http://127.0.0.1:{new}", timeout: 5s}}', '{{url: "https://a", tls: {{ca: no.pem}}}}'
    )
    routes.write_text(text.format(old=1, new=2))
    os.unlink(pair.key)
    wanted = (
        f"{routes}:2:1: error: tls: {pair.key}: No such file or directory\n"
        f"{routes}:8:1: error: upstream new: tls: {tmp_path / 'no.pem'}: No such file or directory\n"
    )
    places = ("--routes", str(routes), "--state", str(tmp_path / "state"))
    assert await run("check", *places) == (2, wanted)
    assert await run("serve", "--workers", "1", *places) == (2, wanted)


async def test_a_reload_with_a_path_that_leads_nowhere_keeps_the_running_table(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    async with (
        service(lambda request: web.json_response({"side": "old"})) as old,
        service(lambda request: web.json_response({"side": "new"})) as new,
        proxy(tmp_path, old, new, workers=1, routes=TLS) as made,
    ):
        before = await shown(port_of(made), authority.trusting())
        text = made.routes.read_text().replace("share: 0%", "share: 100%")
        made.routes.write_text(text.replace("pair.key", "not.key"))
        told = f"{made.routes}:2:1: error: tls: {tmp_path / 'not.key'}: No such file or directory"
        await until(lambda: told in made.logged())
        assert (await asked(made, authority.trusting()))[1] == {"side": "old"}
        authority.pair(into="other")
        made.routes.write_text(text.replace("pair.", "other."))
        async with asyncio.timeout(20):
            while (await asked(made, authority.trusting()))[1] != {"side": "new"}:
                pass
        await until(lambda: "the certificate was renewed" in made.logged())  # the reload brought another one
        assert await shown(port_of(made), authority.trusting()) != before


async def test_a_listener_stays_what_it_began_as_also_in_a_worker_that_starts_again(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    async with (
        service(echo) as old,
        service(echo) as new,
        proxy(tmp_path, old, new, workers=1) as made,
        aiohttp.ClientSession() as session,
    ):
        made.routes.write_text(TLS.format(old=old, new=new))
        await until(lambda: "`tls` has changed; that takes effect at the next start" in made.logged())
        [worker] = made.children("strangler.gateway")
        worker.kill()
        await until(lambda: not worker.is_running() and bool(made.children("strangler.gateway")))
        async with session.get(f"{made.url}/items/1") as answer:
            assert (await answer.json())["proto"] == "http"


# -- upstreams and the access log ----------------------------------------------------------------------------


async def test_shadows_go_to_an_upstream_over_tls_too(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    async def item(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
                + b'{"id": 1}'
            )

    text = ROUTES.replace(
        '{{url: "http://127.0.0.1:{new}", timeout: 5s}}',
        '{{url: "https://127.0.0.1:{new}", timeout: 5s, tls: {{ca: ca.pem}}}}',
    )
    async with (
        service(lambda request: web.json_response({"id": 1})) as old,
        serving(item, tls=pair.context) as new,
        proxy(tmp_path, old, new, workers=1, routes=text) as made,
        aiohttp.ClientSession() as session,
    ):
        for number in range(10):
            async with session.get(f"{made.url}/items/{number}") as answer:
                assert answer.status == 200
        report = await made.settled(session)
        assert report["outcomes"]["match"] == 10


async def test_every_request_has_its_line_whoever_answered_it(tmp_path: Path) -> None:
    text = ROUTES.replace("version: 1\n", "version: 1\naccess_log: access.jsonl\n")
    log = tmp_path / "access.jsonl"

    async def asks(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(url) as answer:
            await answer.read()

    async with (
        service(echo) as old,
        service(echo) as new,
        proxy(tmp_path, old, new, routes=text) as made,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
    ):
        for tens in range(20):
            await asyncio.gather(*(asks(session, f"{made.url}/items/{10 * tens + n}") for n in range(10)))
        moved = tmp_path / "access.jsonl.1"
        await until(lambda: len(log.read_bytes().splitlines()) == 200)
        os.rename(log, moved)
        await asyncio.gather(*(asks(session, f"{made.url}/items/{200 + n}") for n in range(20)))
        await until(log.exists)
    lines = [json.loads(line) for path in (moved, log) for line in path.read_bytes().splitlines()]
    assert sorted(int(line["target"].removeprefix("/items/")) for line in lines) == list(range(220))
    assert {(line["route"], line["status"], line["end"]) for line in lines} == {("item", 200, "ok")}
    assert len({line["trace"] for line in lines}) == 220


async def test_a_worker_that_starts_while_a_file_is_missing_says_so_and_comes_back(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    async with (
        service(echo) as old,
        service(echo) as new,
        proxy(tmp_path, old, new, workers=1, routes=TLS) as made,
    ):
        os.rename(pair.key, pair.key + ".away")
        [worker] = made.children("strangler.gateway")
        worker.kill()
        await until(lambda: f"worker 0: {pair.key}: No such file or directory" in made.logged())
        os.rename(pair.key + ".away", pair.key)
        assert (await asked(made, authority.trusting()))[1]["proto"] == "https"
        assert "Traceback" not in made.logged()
