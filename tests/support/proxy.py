"""A whole proxy as its users run it: real processes, a routes.yaml in a folder, free ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aiohttp import web

from tests.support.raw import until
from tests.support.servers import application

ROUTES = """\
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
    shadow: 100%
    compare: {{noise: 0%, confirm: none}}
"""


@dataclass
class Proxy:
    """A running `strangler serve`."""

    process: asyncio.subprocess.Process
    folder: Path
    log: Path

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads((self.folder / "state" / "server.json").read_text())

    @property
    def url(self) -> str:
        return f"http://{self.facts['listen']}"

    @property
    def admin(self) -> str:
        return f"http://{self.facts['admin']}"

    @property
    def routes(self) -> Path:
        return self.folder / "routes.yaml"

    def children(self, module: str) -> list[psutil.Process]:
        """The processes of one kind that live."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if module in child.cmdline():
                    found.append(child)
        return found

    async def report(self, session: aiohttp.ClientSession) -> dict[str, Any]:
        """The one route's part of the report."""
        async with session.get(f"{self.admin}/api/v1/report") as answer:
            return (await answer.json())["routes"][0]

    async def settled(self, session: aiohttp.ClientSession, *, within: float = 30.0) -> dict[str, Any]:
        """The report once nothing is pending."""
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(aiohttp.ClientError, KeyError):
                    report = await self.report(session)
                    if not report["coverage"]["skipped"].get("pending"):
                        return report
                await asyncio.sleep(0.1)

    def logged(self) -> str:
        return self.log.read_text()


@contextlib.asynccontextmanager
async def proxy(
    folder: Path, old: int, new: int, *, workers: int = 2, routes: str = ROUTES
) -> AsyncIterator[Proxy]:
    """`strangler serve` in `folder`, in front of two upstreams. Nothing of it lives on afterwards."""
    (folder / "routes.yaml").write_text(routes.format(old=old, new=new))
    log = folder / "log"
    with log.open("w") as sink:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "strangler", "serve", "--workers", str(workers)),
            *("--routes", str(folder / "routes.yaml"), "--state", str(folder / "state")),
            stdout=sink,
            stderr=sink,
        )
    made = Proxy(process, folder, log)
    try:
        await until(
            lambda: (folder / "state" / "server.json").exists() or process.returncode is not None, within=30
        )
        assert process.returncode is None, made.logged()
        yield made
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.returncode is None else []
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        for child in family:
            assert not child.is_running(), f"{child} lives on:\n{made.logged()}"


@contextlib.asynccontextmanager
async def service(answer: Callable[[web.Request], web.Response], *, release: str = "") -> AsyncIterator[int]:
    """A JSON service of somebody's on a free port."""

    async def handle(request: web.Request) -> web.Response:
        response = answer(request)
        if release:
            response.headers["X-Release"] = release
        return response

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    async with application(app) as port:
        yield port


@dataclass
class Load:
    """Callers who ask again and again until told to stop. `failed` are those who got no 2xx.

    With a `pause` (seconds) between their requests they leave a small machine room for the observer, which stands back
    behind callers: without it, copies are skipped, and said to be.
    """

    asked: int = 0
    failed: int = 0
    last_error: str = ""
    stop: bool = False
    pause: float = 0.0

    async def run(self, url: Callable[[int], str], *, callers: int = 8) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
            await asyncio.gather(*(self._caller(session, url, number) for number in range(callers)))

    async def _caller(self, session: aiohttp.ClientSession, url: Callable[[int], str], number: int) -> None:
        while not self.stop:
            try:
                async with session.get(url(number), headers={"X-User-Id": str(number)}) as answer:
                    await answer.read()
                    if answer.status >= 300:
                        self.failed += 1
                        self.last_error = str(answer.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                if self.stop:
                    return
                self.failed += 1
                self.last_error = repr(error)
            self.asked += 1
            await asyncio.sleep(self.pause)


@contextlib.asynccontextmanager
async def load(url: Callable[[int], str], *, callers: int = 8, pause: float = 0.0) -> AsyncIterator[Load]:
    """Callers at work for as long as the block lasts."""
    made = Load(pause=pause)
    task = asyncio.create_task(made.run(url, callers=callers))
    try:
        yield made
    finally:
        made.stop = True
        await task
