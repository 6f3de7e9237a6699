"""What the story is played on: a temporary folder with the shop, the two services and the proxy in it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import aiohttp

from demo.processes import Process, Processes, Trouble, capture, reserve, run
from demo.screen import Screen

ROOT: Final = Path(__file__).resolve().parent.parent
SETTLED_WITHIN: Final = 30.0
POLL: Final = 0.1

Service = str  # "payments" or "inventory"
SERVICES: Final[tuple[Service, ...]] = ("payments", "inventory")

#: As the table at the repository's root has them, and as every address is found in it to be replaced.
_PORTS: Final = {"listen": 8080, "admin": 9090, "monolith": 8001, "payments": 8002, "inventory": 8003}


class Stage:
    """The folder and all that runs in it; the commands run there too, so that they need no options."""

    def __init__(self, folder: Path, processes: Processes, screen: Screen) -> None:
        self.folder = folder
        self.screen = screen
        self.proxy = ""
        self.admin = ""
        self.processes = processes
        self.monolith = ""
        self.proxy_tail: Callable[[], str] = str
        self._services: dict[Service, Process] = {}
        self._reserved: dict[Service, socket.socket] = {}
        self._ports: dict[str, int] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    async def open(self) -> None:
        """Start the shop, and the proxy in front of it. The services' ports are fixed, but nobody is there yet."""
        python = sys.executable
        shop = await self.processes.start(
            "monolith",
            [python, "-m", "legacy_monolith", "--port", "0", "--database", self.folder / "shop.sqlite3"],
            folder=ROOT,
        )
        self.monolith = await shop.address()
        self._ports = {"listen": 0, "admin": 0, "monolith": int(self.monolith.rsplit(":", 1)[1])}
        for service in SERVICES:
            self._ports[service], sock = reserve()
            self._exit.callback(sock.close)
        _write_table(self.folder / "routes.yaml", self._ports)
        proxy = await self.processes.start(
            "strangler", [_strangler(), "serve", "--workers", "2"], folder=self.folder
        )
        self.proxy_tail = proxy.tail
        facts = self.folder / ".strangler" / "server.json"
        await proxy.until(facts.exists, "begin to serve")
        where = json.loads(facts.read_text())
        self.proxy, self.admin = f"http://{where['listen']}", f"http://{where['admin']}"

    async def fill(self, service: Service) -> str:
        """Fill a service's database from the shop's; what the import said. Raises Trouble."""
        databases: list[str | Path] = [
            "--from",
            self.folder / "shop.sqlite3",
            "--database",
            self._database(service),
        ]
        code, said = await capture(
            [sys.executable, "-m", f"extracted.{service}", "import", *databases], folder=ROOT
        )
        if code:
            raise Trouble(f"the import of {service} ended with exit code {code}:\n{said.strip()}")
        return said.strip()

    async def start(self, service: Service, release: str) -> None:
        """Start a service on its port. Raises Trouble."""
        process = await self.processes.start(
            service,
            [
                *(sys.executable, "-m", f"extracted.{service}", "--port", str(self._ports[service])),
                *("--database", self._database(service), "--release", release),
            ],
            folder=ROOT,
        )
        self._services[service] = process
        await process.address()
        await self._until_in_order(service)

    async def stop(self, service: Service) -> None:
        """Stop a service."""
        await self.processes.stop(self._services.pop(service))

    async def type(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> int:
        """Show a `strangler` command and run it; its output is the demo's. Raises Trouble."""
        shown = [f'"{argument}"' if " " in argument else argument for argument in arguments]
        self.screen.command(" ".join(["strangler", *shown]))
        sys.stdout.flush()
        width = {} if sys.stdout.isatty() else {"COLUMNS": os.environ.get("COLUMNS", "110")}
        code = await run([_strangler(), *arguments], folder=self.folder, environment=width)
        if code not in allowed:
            raise Trouble(f"strangler {' '.join(shown)} ended with exit code {code}")
        return code

    def report(self, name: str) -> Any:
        """A report that a command has written into the folder."""
        return json.loads((self.folder / name).read_text())

    async def settled(self) -> None:
        """Wait until every exchange that was handed over has been compared or skipped. Raises Trouble."""
        await self._until("/api/v1/report", _nothing_pending, "compare all that it was handed")

    async def share_in_force(self, route: str, share: float) -> None:
        """Wait until every worker goes by that share. Raises Trouble."""
        await self._until(
            f"/api/v1/routes/{route}", lambda answer: bool(answer["share"] == share), "take the new share"
        )

    async def _until_in_order(self, service: Service) -> None:
        """Wait until no worker takes the service for dead, as one does that has looked before it was there.

        Until then the shop answers that worker's callers in its place.
        """
        await self._until("/api/v1/report", lambda report: True, "read what its workers have found")
        await self._until("/metrics", lambda text: not _is_out(text, service), f"find {service} in order")

    async def _until(self, path: str, done: Callable[[Any], bool], what: str) -> None:
        async with aiohttp.ClientSession() as session:
            try:
                async with asyncio.timeout(SETTLED_WITHIN):
                    while not await self._asked(session, path, done):
                        self.processes.check()
                        await asyncio.sleep(POLL)
            except TimeoutError:
                raise Trouble(f"the proxy did not {what} within {SETTLED_WITHIN:g} s") from None

    async def _asked(self, session: aiohttp.ClientSession, path: str, done: Callable[[Any], bool]) -> bool:
        async with session.get(self.admin + path) as response:
            is_json = response.content_type == "application/json"
            return response.status == 200 and done(await (response.json() if is_json else response.text()))

    def _database(self, service: Service) -> Path:
        return self.folder / f"{service}.sqlite3"


def _is_out(metrics: str, service: Service) -> bool:
    """Whether an endpoint of the service is out of order for any worker."""
    found = re.findall(r'^strangler_endpoint_out\{.*upstream="(.*)"\} (.*)$', metrics, re.M)
    return any(upstream == service and float(workers) > 0 for upstream, workers in found)


def _nothing_pending(report: Any) -> bool:
    return not any(route["coverage"]["skipped"].get("pending") for route in report["routes"])


def _strangler() -> str:
    """The command of this environment, and not another one that may stand in the PATH. Raises Trouble."""
    found = shutil.which("strangler", path=str(Path(sys.executable).parent))
    if found is None:
        raise Trouble(f"there is no `strangler` beside {sys.executable}: `make install` puts it there")
    return found


def _write_table(path: Path, ports: dict[str, int]) -> None:
    """The table of the repository, at other addresses."""
    text = (ROOT / "routes.yaml").read_text()
    for name, usual in _PORTS.items():
        address = f"127.0.0.1:{usual}"
        if text.count(address) != 1:
            raise Trouble(f"routes.yaml should have the address {address} once, for the demo to replace it")
        text = text.replace(address, f"127.0.0.1:{ports[name]}")
    path.write_text(text)
