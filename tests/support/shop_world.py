"""The shop taken apart: the monolith, both services and a relay between them, as real processes."""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import shop_books
from legacy_monolith import seed
from legacy_monolith.database import open_writer
from tests.support.relay import Relay, relaying, service_of
from tests.support.shop_services import Done, Service, bring_over, run, running, wait_until

EXTRACTED = ("payments", "inventory")


@dataclass
class World:
    """Databases in `folder`, services that can be killed and started again, and a relay that stands as the proxy."""

    folder: Path
    relay: Relay
    services: dict[str, Service] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)
    _own: Service | None = None

    def start(self, name: str) -> None:
        """Start a service, perhaps once more."""
        service = running(f"extracted.{name}", "--database", self.folder / name)
        self.services[name] = self._stack.enter_context(service)
        self.relay.ports[name] = self.services[name].port

    def service_of(self, step: str) -> str:
        """The name of the service that does this step."""
        return service_of(step)

    def kill(self, step: str) -> None:
        """kill -9 of the service that does this step."""
        process = self.services[service_of(step)].process
        process.send_signal(signal.SIGKILL)
        process.wait()

    def monolith(
        self, *options: object, stock: str = "http", payments: str = "http", **environment: str
    ) -> AbstractContextManager[Service]:
        """The monolith, with its ports set."""
        return running(
            "legacy_monolith",
            *("--database", self.folder / "shop", "--proxy", self.relay.address),
            *("--stock", stock, "--payments", payments, *options),
            **environment,
        )

    def at_work(self) -> Service:
        """A monolith with both ports over HTTP that goes on from test to test, started again if it has died."""
        if self._own is None or self._own.process.poll() is not None:
            self._own = self._stack.enter_context(self.monolith())
        return self._own

    def rest(self) -> None:
        """End the monolith that is at work."""
        if self._own is not None:
            self._own.process.kill()
            self._own.process.wait()

    def monolith_by_environment(self, **environment: str) -> AbstractContextManager[Service]:
        """The monolith, with its ports set by variables."""
        database = self.folder / "shop"
        return running(
            "legacy_monolith", "--database", database, SHOP_PROXY=self.relay.address, **environment
        )

    def sagas(self, *arguments: object) -> Done:
        """Run the command that looks after sagas."""
        return run(
            "legacy_monolith",
            *("sagas", *arguments, "--database", self.folder / "shop", "--proxy", self.relay.address),
        )

    def books(self, stock: str = "http", payments: str = "http") -> shop_books.Books:
        return shop_books.read(self.folder, stock, payments)

    def wait_for_the_end(self) -> None:
        """Wait until no order is under way."""
        wait_until(lambda: shop_books.open_sagas(self.folder) == 0)


@contextmanager
def taken_apart(folder: Path) -> Iterator[World]:
    open_writer(folder / "shop", partial(seed.fill, seed=2019)).close()
    for name in EXTRACTED:
        bring_over(name, folder / "shop", folder / name)
    with relaying() as relay, ExitStack() as stack:
        world = World(folder, relay, _stack=stack)
        for name in EXTRACTED:
            world.start(name)
        yield world


def order(sku: str = "TEA-001", quantity: int = 1, **change: object) -> dict[str, object]:
    items = [{"sku": sku, "quantity": quantity}]
    return {"account_id": 7, "items": items, "payment": {"method": "card", "card": "tok_visa"}} | change


DECLINED = {"method": "card", "card": "tok_declined"}
BALANCE = {"method": "balance"}
