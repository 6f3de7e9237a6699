"""A share that climbs by itself, and comes back by itself: real processes, real traffic, a ramp made short."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.support.proxy import Proxy, load, proxy, service
from tests.support.raw import until

RAMP = """\
    shadow: 100%
    compare: {{noise: 0%, confirm: none}}
    ramp: {{steps: [25%, 100%], hold: 1s, match: 98%, errors: 2%, p99: none, callers: 5, requests: 5}}
"""


def routes(ramp: str = RAMP) -> str:
    return (
        """\
version: 1
listen: 127.0.0.1:0
admin: 127.0.0.1:0
identity: [header:x-user-id, client-address]
upstreams:
  old: {{url: "http://127.0.0.1:{old}", timeout: 5s}}
  new: {{url: "http://127.0.0.1:{new}", timeout: 5s}}
legacy: old
routes:
  - name: item
    match: GET /items/{{id}}
    extracted: new
    share: 0%     # nobody yet
"""
        + ramp
    )


def well(request: web.Request) -> web.Response:
    return web.json_response({"path": request.path})


def share_in(path: Path) -> str:
    return next(
        line.split("#")[0].split(":")[1].strip() for line in path.read_text().splitlines() if "share:" in line
    )


def moves(made: Proxy) -> list[dict[str, str]]:
    lines = (made.folder / "state" / "ledger.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["key"] == "share" and entry["from"]]


async def test_no_share_goes_to_a_side_whose_health_check_fails(tmp_path: Path) -> None:
    sick = True

    def ailing(request: web.Request) -> web.Response:
        return web.Response(status=503) if sick and request.path == "/healthz" else well(request)

    text = routes().replace(
        "timeout: 5s}}\nlegacy", "timeout: 5s, health: {{path: /healthz, every: 100ms}}}}\nlegacy"
    )
    async with (
        service(well) as old,
        service(ailing, release="v2") as new,
        proxy(tmp_path, old, new, routes=text) as made,
        load(lambda n: f"{made.url}/items/{n}", callers=40),
        aiohttp.ClientSession() as session,
    ):
        waits = ""
        while waits != "for 25%: the extracted side is out of order":
            waits = (await made.report(session)).get("ramp", {}).get("waits", "")
        checks = (await made.report(session))["ramp"]["checks"]
        while [each["check"] for each in checks if each["verdict"] != "pass"] != ["order"]:
            checks = (await made.report(session))["ramp"]["checks"]
        assert share_in(made.routes) == "0%"
        sick = False
        await until(lambda: share_in(made.routes) != "0%", within=60)


async def test_a_share_climbs_by_itself_and_falls_back_by_itself(tmp_path: Path) -> None:
    broken = False

    def sometimes(request: web.Request) -> web.Response:
        if broken and hash(request.path) % 5 == 0:
            raise web.HTTPInternalServerError
        return well(request)

    async with (
        service(well, release="shop-1") as old,
        service(sometimes, release="v2") as new,
        proxy(tmp_path, old, new, routes=routes()) as made,
    ):
        async with load(lambda n: f"{made.url}/items/{n}", callers=40) as callers:
            await until(lambda: share_in(made.routes) == "100%", within=60)
            assert [(each["who"], each["from"], each["to"]) for each in moves(made)] == [
                ("ramp", "0%", "25%"),
                ("ramp", "25%", "100%"),
            ]
            assert all(each["evidence"].startswith("pass: ") for each in moves(made))
            assert callers.failed == 0
            broken = True
            await until(lambda: share_in(made.routes) == "0%", within=30)
            last = moves(made)[-1]
            assert (last["who"], last["from"], last["to"]) == ("ramp (rollback)", "100%", "0%")
            assert "errors: " in last["why"]
            broken = False
            asked = callers.asked
            await until(lambda: callers.asked > asked + 3000, within=60)
            assert share_in(made.routes) == "0%", "it stays until somebody says otherwise"
        async with aiohttp.ClientSession() as session:
            ramp = (await made.report(session))["ramp"]
    assert ramp["held"]["by"] == "rollback"
    assert "strangler ramp resume item" in ramp["waits"]
