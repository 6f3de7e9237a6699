"""The admin listener on a real socket, with a panel that says what the test wants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from strangler.compare import Difference
from strangler.console import make_app
from strangler.cutover import read_table
from strangler.cutover.report import report_on
from strangler.evidence import Example, Lately, Observation, Outcome, Releases, Ring, Store, lately
from strangler.routes import Table
from tests.support.servers import at_a_port

TEXT = """\
version: 1
upstreams:
  monolith: {url: http://127.0.0.1:8001}
  payments: {url: http://127.0.0.1:8002}
legacy: monolith
routes:
  - name: read
    match: GET /payments/{id}
    extracted: payments
    share: 0%     # careful
    shadow: 100%
  - {name: "<b>&pay", match: POST /payments, extracted: payments, share: 0%, shadow: 0%}
"""


@dataclass
class FakePanel:
    """What the observer would say. The table is that of the file, as if every save were taken at once."""

    routes_file: Path
    state: Path
    token: str | None = None
    wrong: list[str] = field(default_factory=list)
    sick: list[str] = field(default_factory=list)  # upstreams that are out of order
    is_ready: bool = True
    broken: bool = False
    ring: Ring = field(default_factory=Ring)

    def table(self) -> Table:
        return read_table(self.routes_file)[0]

    def faults(self) -> list[str]:
        return self.wrong

    def report(self, route: str | None, releases: Releases | None = None) -> dict[str, Any]:
        if self.broken:
            raise RuntimeError("a secret of the inside")
        return report_on(self.table(), self.state, route, releases)

    def lately(self) -> Lately:
        last = self.ring.last
        return lately(self.ring, 0.0 if last is None else last.at)

    def metrics(self, report: dict[str, Any] | None) -> bytes:
        routes = -1 if report is None else len(report["routes"])
        return f"# HELP strangler_up Up\nstrangler_up {routes}.0\n".encode()

    def out(self) -> frozenset[str]:
        return frozenset(self.sick)

    def ready(self) -> bool:
        return self.is_ready


@dataclass
class Console:
    panel: FakePanel
    client: aiohttp.ClientSession
    runner: web.AppRunner
    port: int

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.client.request(method, path, **options) as answer:
            body = await answer.read()
            kind = answer.content_type
            if answer.status >= 400:
                assert kind == "application/problem+json"
            return answer.status, json.loads(body) if kind.endswith("json") else body.decode()


@asynccontextmanager
async def serving(panel: FakePanel) -> AsyncIterator[Console]:
    runner = web.AppRunner(make_app(panel), access_log=None, shutdown_timeout=1.0)
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, as a browser keeps them
    async with (
        at_a_port(runner) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookie_jar=jar) as client,
    ):
        yield Console(panel, client, runner, port)


def make_panel(folder: Path) -> FakePanel:
    """A panel over a folder with a table of two routes."""
    (folder / "routes.yaml").write_text(TEXT)
    return FakePanel(folder / "routes.yaml", folder / "state")


HOSTILE = "<script>alert('x')</script>\x1b[2J\u202e"


def observe_release(
    state: Path,
    releases: Releases,
    outcome: Outcome = "match",
    count: int = 1,
    at: float = 1000.0,
    callers: int = 1,
) -> None:
    """Exchanges of the route `read` at a pair of releases; mismatches differ in `$.total`."""
    state.mkdir(exist_ok=True)
    wrong = Difference("body", "$.total", "type", "number", "string", "1", '"1"')
    with Store.open(state / "evidence.sqlite3") as store:
        for number in range(count):
            seen = Observation(
                route="read",
                method="GET",
                target=f"/payments/{number}",
                at=at + number,
                releases=releases,
                outcome=outcome,
                worker="w",
                differences=(wrong,) if outcome == "mismatch" else (),
                statuses=(200, 200),
                latency_ms=(1.0, 2.0),
                caller=1 + number % callers,
                request=1 + number,
            )
            assert store.record(seen)


def observe(state: Path, fingerprints: int = 1) -> None:
    state.mkdir(exist_ok=True)
    with Store.open(state / "evidence.sqlite3") as store:
        for number in range(fingerprints):
            store.record(
                Observation(
                    route="read",
                    method="GET",
                    target=f"/payments/{HOSTILE}",
                    at=1.0,
                    releases=Releases("v<1>", "v&2"),
                    outcome="mismatch",
                    reason="",
                    differences=(
                        Difference(
                            "body", f"$['{HOSTILE}'].n{number}", "type", "number", "string", HOSTILE, "<i>"
                        ),
                    ),
                    statuses=(200, 200),
                    latency_ms=(1.0, 2.0),
                    caller=1,
                    worker="w",
                    example=Example("GET", f"/payments/{HOSTILE}", HOSTILE, "{}"),
                )
            )
