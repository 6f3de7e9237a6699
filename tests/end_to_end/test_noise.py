"""Noise, transient and accepted differences, from real traffic to the report."""

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from strangler.cutover import set_release
from tests.support.proxy import ROUTES, proxy, service

RULES = ROUTES.replace("noise: 0%, confirm: none", "noise: 100%, confirm: 100ms")


def moody(request: web.Request, price: int = 10, late: timedelta = timedelta()) -> web.Response:
    at = (datetime.now(UTC) - late).isoformat()
    return web.json_response({"price": price, "at": at, "trace": {"nonce": str(uuid.uuid4())}})


async def ask(session: aiohttp.ClientSession, url: str, count: int) -> None:
    for number in range(count):
        async with session.get(f"{url}/items/{number}") as answer:
            assert answer.status == 200


def outcomes(report: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in report["outcomes"].items() if count}


async def test_what_differs_from_itself_is_noise_and_what_does_not_is_a_mismatch(tmp_path: Path) -> None:
    def wrong_once(request: web.Request) -> web.Response:
        return moody(request, price=11 if request.path.endswith("/7") else 10)

    async with (
        service(moody) as old,
        service(wrong_once) as new,
        proxy(tmp_path, old, new, routes=RULES) as made,
        aiohttp.ClientSession() as session,
    ):
        await ask(session, made.url, 30)
        report = await made.settled(session)
        assert outcomes(report) == {"noise": 29, "mismatch": 1}
        assert {(each["path"], each["finding"]) for each in report["noise"]} == {
            ("$.at", "noise"),
            ("$.trace.nonce", "noise"),
        }
        assert {each["path"]: each["outcome"] for each in report["fingerprints"]} == {
            "$.at": "noise",
            "$.trace.nonce": "noise",
            "$.price": "mismatch",
        }
        assert report["distinct"] == {"requests": 30, "callers": 1}

        text = made.routes.read_text()
        made.routes.write_text(text.replace("confirm: 100ms", "confirm: none, exact: [$.trace]"))
        refused = await changed(made, session, report)
        assert outcomes(refused) == {"mismatch": 30}
        (price,) = (each["id"] for each in report["fingerprints"] if each["path"] == "$.price")
        accept = f"accept: [{{fingerprint: '{price}', reason: rounding, until: 2999-12-31}}]"
        made.routes.write_text(text.replace("confirm: 100ms", accept))
        accepted = await changed(made, session, refused)
        assert outcomes(accepted) == {"noise": 30}  # each has its noise, and that is what it counts as
        assert accepted["accepted"][0]["count"] == 1


async def changed(made: Any, session: aiohttp.ClientSession, before: dict[str, Any]) -> dict[str, Any]:
    """The report once the edit is in force."""
    while (now := await made.report(session))["outcomes"] == before["outcomes"]:
        pass
    return now  # type: ignore[no-any-return]


async def test_a_timestamp_in_another_zone_is_no_noise(tmp_path: Path) -> None:
    def late(request: web.Request) -> web.Response:
        return moody(request, late=timedelta(hours=1))

    async with (
        service(moody) as old,
        service(late) as new,
        proxy(tmp_path, old, new, routes=RULES) as made,
        aiohttp.ClientSession() as session,
    ):
        await ask(session, made.url, 20)
        assert outcomes(await made.settled(session)) == {"mismatch": 20}


async def test_what_is_gone_when_asked_again_is_transient_and_what_is_not_a_mismatch(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()

    def steady(request: web.Request) -> web.Response:
        return web.json_response({"left": 5, "name": "x"})

    def lagging(request: web.Request) -> web.Response:
        asked[request.path] += 1
        wrong = request.path.endswith("/3")
        left = 4 if asked[request.path] == 1 and not wrong else 5
        return web.json_response({"left": left, "name": "y" if wrong else "x"})

    async with (
        service(steady) as old,
        service(lagging) as new,
        proxy(tmp_path, old, new, routes=RULES) as made,
        aiohttp.ClientSession() as session,
    ):
        await ask(session, made.url, 8)
        report = await made.settled(session)
        assert outcomes(report) == {"transient": 7, "mismatch": 1}
        assert [(each["path"], each["count"]) for each in report["transient"]["fingerprints"]] == [
            ("$.left", 7)
        ]
        assert 90 < report["transient"]["settled_ms"]["p50"] < 30_000
        assert report["verdict"] == "fail" or "asked again" in " ".join(report["reasons"])


async def test_a_new_release_does_not_make_the_old_ones_mistake_transient(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()

    def steady(request: web.Request) -> web.Response:
        return web.json_response({"left": 5}, headers={"X-Release": "1"})

    def mended(request: web.Request) -> web.Response:
        asked[request.path] += 1
        again = asked[request.path] > 1
        return web.json_response({"left": 5 if again else 4}, headers={"X-Release": "v2" if again else "v1"})

    async with (
        service(steady) as old,
        service(mended) as new,
        proxy(tmp_path, old, new, routes=RULES.replace("noise: 100%", "noise: 0%")) as made,
        aiohttp.ClientSession() as session,
    ):
        await ask(session, made.url, 3)
        report = await made.settled(session)
        assert report["releases"] == {"legacy": "1", "extracted": "v1"}
        assert outcomes(report) == {"mismatch": 3}


async def test_a_release_that_is_said_begins_evidence_anew(tmp_path: Path) -> None:
    def answer(request: web.Request) -> web.Response:
        return web.json_response({"left": 5})

    async with (
        service(answer) as old,
        service(answer) as new,
        proxy(tmp_path, old, new) as made,
        aiohttp.ClientSession() as session,
    ):
        await ask(session, made.url, 3)
        assert outcomes(await made.settled(session)) == {"match": 3}
        set_release(made.routes, tmp_path / "state", "new", "v2", who="a test", why="")
        async with asyncio.timeout(20):
            while (await made.report(session))["releases"]["extracted"] != "v2":
                await ask(session, made.url, 1)
        report = await made.settled(session)
        assert report["releases"] == {"legacy": "", "extracted": "v2"}
        assert report["coverage"]["compared"] < 3 + 3


async def test_a_write_is_sent_to_each_side_once_whatever_differs(tmp_path: Path) -> None:
    asked: Counter[tuple[str, str]] = Counter()

    def counting(side: str, request: web.Request) -> web.Response:
        asked[side, request.headers.get("Strangler-Shadow", "")] += 1
        return web.json_response({"side": side})

    routes = RULES.replace("match: GET ", "match: POST ") + "    shadow_writes: marked\n"
    async with (
        service(partial(counting, "old")) as old,
        service(partial(counting, "new")) as new,
        proxy(tmp_path, old, new, routes=routes) as made,
        aiohttp.ClientSession() as session,
    ):
        for number in range(10):
            async with session.post(f"{made.url}/items/{number}", json={"n": 1}) as answer:
                assert (await answer.json())["side"] == "old"
        assert outcomes(await made.settled(session)) == {"mismatch": 10}
    assert asked == {("old", ""): 10, ("new", "1"): 10}
