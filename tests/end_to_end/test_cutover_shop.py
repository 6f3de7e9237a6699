"""The shop under traffic: a share that climbs from nothing to everything, and a bad release that is taken back."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from demo.processes import Processes
from demo.screen import Screen
from demo.stage import Stage
from tests.support.proxy import load
from tests.support.raw import until
from tests.support.servers import application

RAMP = """\
    fallback: {fallback}
    ramp: {{steps: [25%, 50%, 100%], hold: 1s, match: 99%, errors: 0.5%, p99: 20x}}
"""
CALLERS = 24
PAUSE = 0.03


@dataclass
class Front:
    """Stands before the payments service as a release of it, and fails now and then."""

    behind: str
    release: str = "v2"
    fails: float = 0.0
    failed: int = 0
    felt: bool = False

    session: aiohttp.ClientSession | None = None

    async def answer(self, request: web.Request) -> web.Response:
        # The first caller of a release that fails is among those who feel it: never none of them, by luck.
        first = bool(self.fails) and not self.felt and "Strangler-Shadow" not in request.headers
        if first or random.random() < self.fails:
            self.failed += 1
            self.felt = self.felt or first
            return web.Response(status=500, headers={"X-Release": self.release})
        assert self.session is not None
        async with self.session.get(self.behind + request.path_qs) as answer:
            kept = {name: value for name, value in answer.headers.items() if name not in ("Date", "Server")}
            return web.Response(
                status=answer.status, body=await answer.read(), headers={**kept, "X-Release": self.release}
            )


@contextlib.asynccontextmanager
async def fronted(front: Front) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", front.answer)
    async with aiohttp.ClientSession(auto_decompress=False) as front.session, application(app) as port:
        yield f"http://127.0.0.1:{port}"


def share(routes: Path) -> str:
    lines = routes.read_text().partition("name: payment-read")[2].splitlines()
    return next(line.split("#")[0].split(":")[1].strip() for line in lines if "share:" in line)


@pytest.mark.parametrize("fallback", ["true", "false"])
@pytest.mark.timeout(300)  # a whole ramp, and then half of another one
async def test_a_ramp_of_the_shop(tmp_path: Path, fallback: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with Processes(tmp_path) as processes:
        with Stage(tmp_path, processes, Screen()) as stage:
            await stage.open()
            await stage.fill("payments")
            await stage.start("payments", "v2")
            payments = f"http://127.0.0.1:{stage._ports['payments']}"
            front = Front(payments)
            async with fronted(front) as address:
                routes = tmp_path / "routes.yaml"
                text = routes.read_text().replace(payments, address)
                head, found, rest = text.partition("    extracted: payments ")
                routes.write_text(head + RAMP.format(fallback=fallback) + found + rest)
                await _climbs_and_falls(stage, front, routes, fallback, capsys)


async def _climbs_and_falls(
    stage: Stage, front: Front, routes: Path, fallback: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with load(lambda n: f"{stage.proxy}/payments/{n + 1}", callers=CALLERS, pause=PAUSE) as callers:
        await until(lambda: share(routes) == "100%", within=120)
        assert callers.failed == 0, callers.last_error
        await stage.type("rollback", "payment-read", "--to", "25%", "--why", "a new release comes")
        await stage.share_in_force("payment-read", 25)
        front.release, front.fails = "v3", 0.02
        asked = callers.asked
        await until(lambda: share(routes) == "0%", within=60)
        needed = callers.asked - asked
    ledger = [
        json.loads(line) for line in (routes.parent / ".strangler" / "ledger.jsonl").read_text().splitlines()
    ]
    moves = [
        (e["who"], e["from"], e["to"]) for e in ledger if e["key"] == "share" and e["route"] == "payment-read"
    ]
    assert [move for move in moves if move[0].startswith("ramp")] == [
        ("ramp", "0%", "25%"),
        ("ramp", "25%", "50%"),
        ("ramp", "50%", "100%"),
        ("ramp (rollback)", "25%", "0%"),
    ]
    assert "errors: " in ledger[-1]["why"]
    assert front.failed > 0
    with capsys.disabled():
        kind = "with" if fallback == "true" else "without"
        print(
            f"\n2 % errors at 25 %: rolled back after {needed} requests; {callers.failed} failed {kind} fallback"
        )
    assert (callers.failed == 0) is (fallback == "true")
