"""The proxy as real processes: what callers notice when things change, break or end. (Nothing.)"""

import asyncio
import contextlib
import os
import signal
import sys
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.support.proxy import ROUTES, load, proxy, service
from tests.support.raw import serving, until


def item(request: web.Request) -> web.Response:
    return web.json_response({"id": request.path.rsplit("/", 1)[-1], "price": 1290, "tags": ["a", "b"]})


def item_with_mistakes(request: web.Request) -> web.Response:
    return web.json_response({"id": request.path.rsplit("/", 1)[-1], "price": "1290", "tags": ["b", "a"]})


async def test_two_servers_that_know_nothing_of_it_are_shadowed_and_reported(tmp_path: Path) -> None:
    async with (
        service(item, release="1.0") as old,
        service(item_with_mistakes, release="2.0") as new,
        proxy(tmp_path, old, new) as made,
        aiohttp.ClientSession() as session,
    ):
        for number in range(50):
            async with session.get(f"{made.url}/items/{number}") as answer:
                assert (await answer.json())["price"] == 1290
        report = await made.settled(session)
        assert report["coverage"] == {"eligible": 50, "compared": 50, "skipped": {}}
        assert report["outcomes"]["mismatch"] == 50
        assert report["releases"] == {"legacy": "1.0", "extracted": "2.0"}
        found = {(entry["kind"], entry["path"]) for entry in report["fingerprints"]}
        assert found == {("type", "$.price"), ("order", "$.tags")}
        async with session.get(f"{made.admin}/metrics") as answer:
            text = await answer.text()
        assert 'strangler_requests_total{route="item",side="legacy",status="2xx"} 50.0' in text
        assert 'strangler_exchanges_handed_total{route="item"} 50.0' in text


async def test_nothing_readable_of_a_secret_reaches_the_disk(tmp_path: Path) -> None:
    secrets = [
        "hunter2",
        "4111111111111111",
        "ada@example.org",
        "tok-5f2e",
        "Bearerish",
        "key-77",
        "eyJhbGciOi",
    ]

    def telling(side: str, request: web.Request) -> web.Response:
        body = {
            "password": "hunter2", "card": "4111111111111111", "number": 4111111111111111, "side": side,
            "customers": {"ada@example.org": side}, "note": f"mail ada@example.org or eyJhbGciOiJI.eyJz.{side}",
        }  # fmt: skip
        headers = {
            "X-Api-Key": f"key-77{side}",
            "Link": f"</me?token=tok-5f2e{side}>",
            "Set-Cookie": f"s{side}=Bearerish",
        }
        return web.json_response(body, headers=headers)

    async with (
        service(partial(telling, "old")) as old,
        service(partial(telling, "new")) as new,
        proxy(tmp_path, old, new) as made,
        aiohttp.ClientSession(
            headers={"Authorization": "Bearer Bearerish", "Cookie": "s=hunter2"}
        ) as session,
    ):
        for number in range(20):
            async with session.get(
                f"{made.url}/items/{number}?token=tok-5f2e&to=ada%40example.org"
            ) as answer:
                assert (await answer.json())["password"] == "hunter2"  # the caller's answer is untouched
        report = await made.settled(session)
        assert report["outcomes"]["mismatch"] == 20
        text = str(report)
        assert "[token " in text
        assert "[email " in text
    written = [file for file in (tmp_path / "state").rglob("*") if file.is_file()]
    assert {"evidence.sqlite3", "redaction.key"} <= {file.name for file in written}
    for file in written:
        for secret in secrets:
            assert secret.encode() not in file.read_bytes(), f"{secret} is in {file.name}"


async def test_a_save_takes_effect_under_load_and_a_faulty_save_changes_nothing(tmp_path: Path) -> None:
    sides: set[str] = set()

    def old_item(request: web.Request) -> web.Response:
        return web.json_response({"side": "old"})

    def new_item(request: web.Request) -> web.Response:
        return web.json_response({"side": "new"})

    async with (
        service(old_item) as old,
        service(new_item) as new,
        proxy(tmp_path, old, new) as made,
        aiohttp.ClientSession() as session,
        load(lambda number: f"{made.url}/items/{number}") as callers,
    ):

        async def side() -> str:
            async with session.get(f"{made.url}/items/1", headers={"Connection": "close"}) as answer:
                return (await answer.json())["side"]

        async def all_say(wanted: str) -> bool:
            return {await side() for _ in range(12)} == {wanted}

        text = made.routes.read_text()
        made.routes.write_text(text.replace("share: 0%", "share: 100%"))
        async with asyncio.timeout(5):
            while not await all_say("new"):
                pass
        made.routes.write_text(text.replace("share: 0%", "share: 0 percent"))
        await until(lambda: "routes.yaml:13:12: error:" in made.logged(), within=5)
        assert await all_say("new")
        async with session.get(f"{made.admin}/metrics") as answer:
            assert "strangler_routes_file_faults 1.0" in await answer.text()
        made.routes.write_text(text)
        async with asyncio.timeout(5):
            while not await all_say("old"):
                pass
        sides.add(await side())
    assert callers.failed == 0, callers.last_error
    assert callers.asked > 100


async def test_kill_9_of_the_observer_is_not_noticed_and_the_coverage_adds_up(tmp_path: Path) -> None:
    async with (
        service(item) as old,
        service(item) as new,
        proxy(tmp_path, old, new) as made,
        aiohttp.ClientSession() as session,
    ):
        async with load(lambda number: f"{made.url}/items/{number}") as callers:
            for _ in range(2):
                enough = callers.asked + 300
                await until(lambda: callers.asked > enough, within=30)  # noqa: B023
                [observer] = made.children("strangler.observer")
                os.kill(observer.pid, signal.SIGKILL)
                await until(lambda: not observer.is_running(), within=10)  # noqa: B023
                await until(lambda: bool(made.children("strangler.observer")), within=10)
            enough = callers.asked + 300
            await until(lambda: callers.asked > enough, within=30)
        assert callers.failed == 0, callers.last_error
        report = await made.settled(session)
        coverage = report["coverage"]
        assert coverage["eligible"] == callers.asked
        assert coverage["compared"] + sum(coverage["skipped"].values()) == coverage["eligible"]
        assert coverage["compared"] > 0
        assert set(coverage["skipped"]) <= {"observer_restart", "observer_down"}


async def test_kill_9_of_a_worker_costs_only_what_it_was_answering(tmp_path: Path) -> None:
    async with (
        service(item) as old,
        service(item) as new,
        proxy(tmp_path, old, new) as made,
        aiohttp.ClientSession() as session,
    ):
        async with load(lambda number: f"{made.url}/items/{number}") as callers:
            await until(lambda: callers.asked > 200, within=30)
            victim = made.children("strangler.gateway")[0]
            os.kill(victim.pid, signal.SIGKILL)
            async with asyncio.timeout(2):  # the promise: back within two seconds
                while True:
                    alive = [each.pid for each in made.children("strangler.gateway") if each.is_running()]
                    if len(alive) == 2 and victim.pid not in alive:
                        break
                    await asyncio.sleep(0.02)
            enough = callers.asked + 300
            await until(lambda: callers.asked > enough, within=30)
        # Eight callers: those on the killed worker lose at most the one request each that it was answering, and
        # what they lose or, as GET allows, ask a second time shows as lost with the worker.
        assert callers.failed <= 8
        report = await made.settled(session)
        coverage = report["coverage"]
        assert coverage["compared"] + sum(coverage["skipped"].values()) == coverage["eligible"]
        assert callers.asked - callers.failed <= coverage["eligible"] <= callers.asked + 8


async def test_sigterm_under_load_answers_everything_that_has_arrived(tmp_path: Path) -> None:
    async with service(item) as old, service(item) as new, proxy(tmp_path, old, new) as made:
        host, port = made.facts["listen"].split(":")
        outcomes: list[str] = []

        async def caller() -> None:
            """Asks on kept-alive connections until none is to be had any more."""
            while True:
                try:
                    reader, writer = await asyncio.open_connection(host, int(port))
                except OSError:
                    return
                try:
                    while True:
                        writer.write(b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n")
                        head = await reader.readuntil(b"\r\n\r\n")
                        size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                        await reader.readexactly(size)
                        outcomes.append("answered" if head.startswith(b"HTTP/1.1 200") else head.decode())
                        if b"Connection: close" in head:
                            break
                except (OSError, asyncio.IncompleteReadError) as error:
                    outcomes.append(f"lost: {error!r}")
                finally:
                    writer.close()

        callers = [asyncio.create_task(caller()) for _ in range(8)]
        await until(lambda: len(outcomes) > 200, within=30)
        made.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await asyncio.gather(*callers)
            assert await made.process.wait() == 0
    assert set(outcomes) == {"answered"}
    assert not (tmp_path / "state" / "server.json").exists()
    assert list((tmp_path / "state" / "workers").iterdir()) == []  # every counter was settled


async def test_a_shadow_that_never_answers_harms_nobody_and_is_not_hidden(tmp_path: Path) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    routes = ROUTES.replace("timeout: 5s", "timeout: 300ms")
    async with (
        service(item) as old,
        serving(never) as new,
        proxy(tmp_path, old, new, routes=routes) as made,
        aiohttp.ClientSession() as session,
    ):
        async with load(lambda number: f"{made.url}/items/{number}") as callers:
            await until(lambda: callers.asked > 1000, within=60)
        assert callers.failed == 0, callers.last_error
        report = await made.settled(session)
        assert report["coverage"]["compared"] == 0
        assert report["coverage"]["eligible"] == callers.asked == sum(report["coverage"]["skipped"].values())
        assert set(report["coverage"]["skipped"]) <= {"shadow_timeout", "shadow_busy", "queue_full"}
        assert report["verdict"] == "inconclusive"


async def test_an_evidence_file_that_cannot_be_used_keeps_no_caller_waiting(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "evidence.sqlite3").write_bytes(
        b"not a database, but long enough to be read as one" * 50
    )
    async with (
        service(item) as old,
        service(item) as new,
        proxy(tmp_path, old, new, workers=1) as made,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(f"{made.url}/items/1") as answer:
            assert answer.status == 200
        assert "evidence.sqlite3" in made.logged()
        assert "Traceback" not in made.logged()


async def test_a_health_check_can_ask_whether_it_is_alive(tmp_path: Path) -> None:
    async def alive() -> int | None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "strangler", "status", "--alive", "--state", str(tmp_path / "state")),
            stdout=asyncio.subprocess.DEVNULL,
        )
        return await process.wait()

    async with service(item) as old, service(item) as new, proxy(tmp_path, old, new, workers=1):
        assert await alive() == 0
    assert await alive() == 1


async def test_when_the_supervisor_is_killed_nothing_of_it_lives_on(tmp_path: Path) -> None:
    async with service(item) as old, service(item) as new, proxy(tmp_path, old, new) as made:
        family = made.children("strangler.gateway") + made.children("strangler.observer")
        assert len(family) == 3
        made.process.kill()
        await made.process.wait()
        await until(lambda: not any(child.is_running() for child in family), within=20)


async def test_a_second_server_on_the_same_state_or_port_says_so(tmp_path: Path) -> None:
    async with service(item) as old, service(item) as new, proxy(tmp_path, old, new, workers=1) as made:
        same_state = await serve_briefly(made.routes, tmp_path / "state")
        assert same_state == (
            2,
            f"strangler: another strangler is serving with the state directory {tmp_path / 'state'}\n",
        )
        made.routes.write_text(made.routes.read_text().replace("127.0.0.1:0", made.facts["listen"], 1))
        code, said = await serve_briefly(made.routes, tmp_path / "other")
        assert code == 2
        assert said == f"strangler: cannot listen on {made.facts['listen']}: Address already in use\n"


async def test_a_faulty_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("version: 2\nrotes: []\n")
    code, said = await serve_briefly(tmp_path / "routes.yaml", tmp_path / "state")
    assert code == 2
    assert "routes.yaml:1:10: error:" in said
    assert "routes.yaml:2:1: error:" in said
    assert "Traceback" not in said


async def serve_briefly(routes: Path, state: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "strangler",
            "serve",
            "--workers",
            "1",
            "--routes",
            str(routes),
            "--state",
            str(state),
        ),
        stderr=asyncio.subprocess.PIPE,
    )
    with contextlib.suppress(ProcessLookupError):
        async with asyncio.timeout(20):
            _, said = await process.communicate()
            return process.returncode, said.decode()
    return process.returncode, ""
