"""What has passed lately, as a running proxy tells it: rates that rise with traffic and fall when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.proxy import ROUTES, Proxy, load, proxy, service


def answer(request: web.Request) -> web.Response:
    return web.json_response({"id": request.path}, status=500 if request.path.endswith("/9") else 200)


def answer_otherwise(request: web.Request) -> web.Response:
    return web.json_response({"id": request.path, "more": request.path.endswith("/3")})


async def told(
    made: Proxy, condition: Callable[[dict[str, Any]], bool], *, within: float = 30.0
) -> dict[str, Any]:
    """What has passed lately, once that holds."""
    last: dict[str, Any] = {}
    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.timeout(within):
                while not last or not condition(last):
                    await asyncio.sleep(0.2)
                    async with session.get(f"{made.admin}/api/v1/lately") as got:
                        last = await got.json()
        except TimeoutError:
            pytest.fail(f"in vain: {last}")
    return last


def rate(body: dict[str, Any]) -> float:
    item = body["routes"].get("item")
    return (item["requests_per_second"] or 0.0) if item else 0.0


async def test_rates_rise_and_fall(tmp_path: Path) -> None:
    half = ROUTES.replace("share: 0% ", "share: 50% ").replace("compare:", "fallback: false\n    compare:")
    async with (
        service(answer) as old,
        service(answer_otherwise) as new,
        proxy(tmp_path, old, new, routes=half) as made,
    ):
        first = await told(made, lambda body: body["seconds"] > 0)
        assert (first["routes"], first["minutes"][-1]["legacy"]) == ({}, 0)
        async with load(lambda number: f"{made.url}/items/{number}", callers=12) as callers:
            await told(made, lambda body: rate(body) > 0)
            busy = await told(made, lambda body: body["seconds"] >= 5)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{made.url}/nobody") as unclaimed:
                assert unclaimed.status == 200
            report = await made.settled(session)
        item = busy["routes"]["item"]
        assert 0 < item["legacy"]["error_rate"] < 0.5, "caller 9 is told an error by the legacy side"
        assert item["legacy"]["errors"] + item["extracted"]["errors"] > 0
        assert 0 < item["legacy"]["p99_ms"] < 5_000
        assert item["extracted"]["requests"] > 0
        idle = await told(made, lambda body: rate(body) < 0.6 * rate(busy), within=60)
        item = idle["routes"]["item"]
        assert sum(minute["requests"] for minute in item["minutes"]) == callers.asked
        assert sum(minute["mismatches"] for minute in item["minutes"]) == report["outcomes"]["mismatch"] > 0
        assert sum(minute["pairs"] for minute in item["minutes"]) == report["coverage"]["compared"]
        everybody = sum(minute["legacy"] + minute["extracted"] for minute in idle["minutes"])
        assert everybody == callers.asked + 1, "with the one that no route claims"
        assert idle["since"] == first["since"]

        observer = made.children("strangler.observer")[0]
        observer.kill()
        async with aiohttp.ClientSession() as session, session.get(f"{made.url}/items/1") as one:
            assert one.status == 200
        anew = await _after(made, first["since"])
        seen = sum(minute["legacy"] + minute["extracted"] for minute in anew["minutes"])
        assert seen <= 1 < callers.asked, "what was before this observer is not told by it"
        assert rate(anew) <= 1.0, "what the gateways counted before is not from just now"


async def _after(made: Proxy, since: str) -> dict[str, Any]:
    """What an observer tells that began later, once it knows anything."""
    async with asyncio.timeout(30):
        while True:
            try:
                body = await told(made, lambda body: body["seconds"] > 0)
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)
                continue
            if body["since"] > since:
                return body
            await asyncio.sleep(0.2)
