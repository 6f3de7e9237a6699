"""What the story is played on: a folder with the shop, the two services and the proxy in it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import aiohttp
import psutil

from demo.processes import ROOT, Process, Processes, Trouble, capture, reserve
from demo.screen import Screen

SETTLED_WITHIN: Final = 30.0
POLL: Final = 0.1

Service = str  # "payments" or "inventory"
SERVICES: Final[tuple[Service, ...]] = ("payments", "inventory")

#: What each service asks the shop to be told, and what it tells the shop once it does the work.
HEARS: Final = {
    "payments": ("PaymentTaken", "PaymentRefunded"),
    "inventory": ("StockChanged", "PriceChanged"),
}
TELLS: Final = {"payments": ("PaymentTaken", "PaymentRefunded"), "inventory": ("StockChanged",)}

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
        self.shop_command = ""
        self._shop: Process | None = None
        self._proxy: Process | None = None
        self._services: dict[Service, Process] = {}
        self._ports: dict[str, int] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    @property
    def proxy_tail(self) -> str:
        """The end of what the proxy has printed; nothing before it was started."""
        return self._proxy.tail() if self._proxy else ""

    @property
    def routes(self) -> Path:
        """The table."""
        return self.folder / "routes.yaml"

    async def open(self, shadow: str = "100%") -> None:
        """Start the shop, and the proxy in front of it. The services' ports are fixed, but nobody is there yet."""
        await self.start_shop()
        self._ports |= {"listen": 0, "admin": 0}
        for service in SERVICES:
            self._reserve(service)
        _write_table(self.routes, self._ports, shadow)
        self._proxy = await self.processes.start("strangler", [_strangler(), "serve", "--workers", "2"])
        facts = self.folder / ".strangler" / "server.json"
        await self._proxy.until(facts.exists, "begin to serve")
        where = json.loads(facts.read_text())
        self.proxy, self.admin = f"http://{where['listen']}", f"http://{where['admin']}"

    async def start_shop(self, *options: str) -> None:
        """Start the shop, on the port that it keeps, running or not. `shop_command` is how. Raises Trouble."""
        if "monolith" not in self._ports:
            self._reserve("monolith")
        named = ("-m", "legacy_monolith", "--database", "shop.sqlite3", "--relay", *options)
        port = str(self._ports["monolith"])
        self._shop = await self.processes.start("monolith", [sys.executable, *named, "--port", port])
        self.monolith = await self._shop.address()
        self.shop_command = shlex.join(["python", *named, "--port", port])

    async def stop_shop(self) -> None:
        """Stop the shop."""
        assert self._shop is not None
        await self.processes.stop(self._shop)

    async def fill(self, service: Service) -> None:
        """Fill a service's database from the shop's. Raises Trouble."""
        await self.python(f"extracted.{service}", "import", *self._both(service))

    async def start(self, service: Service, release: str) -> None:
        """Start a service on its port, and show how. Raises Trouble."""
        options = ("--release", release, "--relay", "--port", str(self._ports[service]))
        named = ("-m", f"extracted.{service}", "--database", f"{service}.sqlite3", *options)
        self.screen.command(shlex.join(["python", *named]))
        process = await self.processes.start(service, [sys.executable, *named])
        self._services[service] = process
        await process.address()
        await self._until_in_order(service)

    async def replace(self, service: Service, release: str) -> None:
        """Start another release beside the one that runs, let the proxy and the shop know, and stop the old one."""
        old, before = self._services[service], self._ports[service]
        self._reserve(service)
        now = self._ports[service]
        await self.start(service, release)
        self.edit(
            f"sed -i 's/:{before}/:{now}/' routes.yaml", lambda text: text.replace(f":{before}", f":{now}")
        )
        await self.taken_up()
        await self.hear(service)
        await self._until_in_order(service)
        await self.processes.stop(old)

    async def kill(self, service: Service) -> None:
        """Kill a service, as a reader would."""
        process = self._services.pop(service)
        self.screen.command(f"kill -9 {process.pid}  # {service}")
        await self.processes.kill(process)

    async def kill_observer(self) -> None:
        """Kill the process that copies, compares and decides, and wait for the next one. Raises Trouble."""
        assert self._proxy is not None
        for child in psutil.Process(self._proxy.pid).children():
            if "strangler.observer" in child.cmdline():
                self.screen.command(f"kill -9 {child.pid}  # the observer")
                child.send_signal(signal.SIGKILL)
        await self._until("/readyz", lambda answer: True, "have another observer")

    async def hear(self, service: Service) -> None:
        """Let the shop tell a service what happens."""
        url = f"http://127.0.0.1:{self._ports[service]}/events"
        subscribe = ("events", "subscribe", service, url, *HEARS[service])
        await self.python("legacy_monolith", *subscribe, "--database", "shop.sqlite3")

    async def tell(self, service: Service) -> None:
        """Let a service tell the shop what happens."""
        subscribe = ("events", "subscribe", "shop", f"{self.monolith}/events", *TELLS[service])
        await self.python(f"extracted.{service}", *subscribe, "--database", f"{service}.sqlite3")

    async def reconciled(self, service: Service) -> int:
        """Wait until both databases say the same; how many rows were compared. Raises Trouble."""
        command = ("reconcile", *self._both(service))
        self.screen.command(shlex.join(["python", "-m", f"extracted.{service}", *command]))
        said = ""
        try:
            async with asyncio.timeout(SETTLED_WITHIN):
                while True:
                    said = await self._python(f"extracted.{service}", *command, "--json", allowed=(0, 1))
                    found = json.loads(said)
                    if found["equal"] and not found["to_come"]:
                        return int(found["compared"])
        except TimeoutError:
            raise Trouble(f"the databases of the shop and {service} differ:\n{said}") from None

    async def sagas_ended(self) -> None:
        """Wait until no order is under way. Raises Trouble, also when one waits for a person."""
        command = ("sagas", "--database", "shop.sqlite3")
        self.screen.command(shlex.join(["python", "-m", "legacy_monolith", *command]))
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(SETTLED_WITHIN):
                while True:
                    found = json.loads(await self._python("legacy_monolith", *command, "--json"))
                    if found["dead_letters"]:
                        raise Trouble(f"an order waits for a person: {found['dead_letters']}")
                    if not found["under_way"]:
                        return
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise Trouble(f"orders are under way still after {SETTLED_WITHIN:g} s: {found}") from None

    async def python(self, module: str, *arguments: str) -> str:
        """Show a command of the shop or of a service and run it; what it printed. Raises Trouble."""
        self.screen.command(shlex.join(["python", "-m", module, *arguments]))
        said = await self._python(module, *arguments)
        self.screen.output(said)
        return said

    async def type(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
        """Show a `strangler` command and run it; what it printed. Raises Trouble."""
        shown = [f'"{argument}"' if " " in argument else argument for argument in arguments]
        self.screen.command(" ".join(["strangler", *shown]))
        said = await self.ask(*arguments, allowed=allowed)
        self.screen.output(said)
        return said

    async def ask(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
        """Run a `strangler` command; what it printed. Raises Trouble."""
        width = {"COLUMNS": os.environ.get("COLUMNS", "110")}
        code, said = await capture([_strangler(), *arguments], folder=self.folder, environment=width)
        if code not in allowed:
            raise Trouble(f"strangler {shlex.join(arguments)} ended with exit code {code}:\n{said.strip()}")
        return said

    def report(self, name: str) -> Any:
        """A report that a command has written into the folder."""
        return json.loads((self.folder / name).read_text())

    def edit(self, command: str, change: Callable[[str], str]) -> None:
        """Save routes.yaml, changed as a command changes it that is shown. Raises Trouble when nothing changes."""
        self.screen.command(command)
        before = self.routes.read_text()
        after = change(before)
        if before == after:
            raise Trouble(f"{command} changes nothing")
        self.routes.write_text(after)

    async def settled(self) -> Any:
        """Wait until every exchange that was handed over has been compared or skipped; the report. Raises Trouble."""
        return await self._until("/api/v1/report", _nothing_pending, "compare all that it was handed")

    async def share_in_force(self, route: str, share: float, within: float = SETTLED_WITHIN) -> None:
        """Wait until every worker goes by that share. Raises Trouble."""
        await self._until(
            f"/api/v1/routes/{route}",
            lambda answer: bool(answer["share"] == share),
            f"bring {route} to {share:g} %",
            within,
        )

    async def taken_up(self) -> None:
        """Wait until the table that was saved is in force. Raises Trouble."""
        wanted = json.loads(await self.ask("check", "--json"))["table"]
        await self._until("/api/v1/routes", lambda answer: bool(answer["table"] == wanted), "take the table")

    def _reserve(self, name: str) -> None:
        """Give a service, or the shop, a port of its own until the end."""
        self._ports[name], sock = reserve()
        self._exit.callback(sock.close)

    async def _until_in_order(self, service: Service) -> None:
        """Wait until no worker takes the service for dead, as one does that has looked before it was there.

        Until then the shop answers that worker's callers in its place.
        """
        await self._until("/api/v1/report", lambda report: True, "read what its workers have found")
        await self._until(
            "/api/v1/routes", lambda answer: service not in answer["out"], f"find {service} in order"
        )

    async def _until(
        self, path: str, done: Callable[[Any], bool], what: str, within: float = SETTLED_WITHIN
    ) -> Any:
        """Ask the admin listener until its answer will do; that answer. Raises Trouble."""
        async with aiohttp.ClientSession() as session:
            try:
                async with asyncio.timeout(within):
                    while True:
                        answer = await self._asked(session, path)
                        if answer is not None and done(answer):
                            return answer
                        self.processes.check()
                        await asyncio.sleep(POLL)
            except TimeoutError:
                raise Trouble(f"the proxy did not {what} within {within:g} s") from None

    async def _asked(self, session: aiohttp.ClientSession, path: str) -> Any:
        try:
            async with session.get(self.admin + path) as response:
                return await response.json() if response.status == 200 else None
        except aiohttp.ClientError:  # the observer, which listens there, was killed a moment ago
            return None

    async def _python(self, module: str, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
        code, said = await capture([sys.executable, "-m", module, *arguments], folder=self.folder)
        if code not in allowed:
            raise Trouble(
                f"python -m {module} {shlex.join(arguments)} ended with exit code {code}:\n{said.strip()}"
            )
        return said

    def _both(self, service: Service) -> tuple[str, ...]:
        return ("--from", "shop.sqlite3", "--database", f"{service}.sqlite3")


def _nothing_pending(report: Any) -> bool:
    return not any(route["coverage"]["skipped"].get("pending", 0) for route in report["routes"])


def _strangler() -> str:
    """The command of this environment, and not another one that may stand in the PATH. Raises Trouble."""
    found = shutil.which("strangler", path=str(Path(sys.executable).parent))
    if found is None:
        raise Trouble(f"there is no `strangler` beside {sys.executable}: `make install` puts it there")
    return found


def _write_table(path: Path, ports: dict[str, int], shadow: str) -> None:
    """The table of the repository, at other addresses, and with other shadows."""
    text = (ROOT / "routes.yaml").read_text()
    for name, usual in _PORTS.items():
        address = f"127.0.0.1:{usual}"
        if text.count(address) != 1:
            raise Trouble(f"routes.yaml should have the address {address} once, for the demo to replace it")
        text = text.replace(address, f"127.0.0.1:{ports[name]}")
    path.write_text(text.replace("shadow: 0%", f"shadow: {shadow}"))
