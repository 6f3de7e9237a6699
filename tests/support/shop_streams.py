"""The shop and its services with a Redis between them: what tests of that do and look at."""

import json
import subprocess
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from legacy_monolith import seed
from legacy_monolith.database import open_writer
from tests.support.redis_server import RedisServer, consuming
from tests.support.shop_events import events_of, payment, relay_of, rows, tell, wait_until_delivered
from tests.support.shop_services import Service, bring_over, run
from tests.support.shop_world import order

SHOP, PAYMENTS, INVENTORY = "legacy_monolith", "extracted.payments", "extracted.inventory"
MONEY, STOCK = ("PaymentTaken", "PaymentRefunded"), ("StockChanged", "PriceChanged")


def furnish(folder: Path) -> Path:
    """Put a shop into a folder, and services that have imported it."""
    open_writer(folder / "shop", partial(seed.fill, seed=2019)).close()
    for name in ("payments", "inventory"):
        bring_over(name, folder / "shop", folder / name)
    return folder


def copied(furnished: Path, folder: Path) -> Path:
    for name in ("shop", "payments", "inventory"):
        (folder / name).write_bytes((furnished / name).read_bytes())
    return folder


def subscribed(folder: Path, url: str, name: str = "inventory", types: tuple[str, ...] = STOCK) -> None:
    done = run(SHOP, "events", "subscribe", name, url, *types, "--database", folder / "shop")
    assert (done.code, done.err) == (0, "")


def own(folder: Path, module: str) -> Path:
    return folder / module.rsplit(".", maxsplit=1)[-1].replace(SHOP, "shop")


def relay(folder: Path, *options: object) -> "AbstractContextManager[subprocess.Popen[str]]":
    return relay_of(SHOP, folder / "shop", *options)


def inventory(
    folder: Path, redis: RedisServer, **said: str
) -> "AbstractContextManager[subprocess.Popen[str]]":
    return consuming(INVENTORY, folder / "inventory", redis.url("inventory"), **said)


def payments(
    folder: Path, redis: RedisServer, *options: object
) -> "AbstractContextManager[subprocess.Popen[str]]":
    return consuming(PAYMENTS, folder / "payments", redis.url("payments"), *options)


def buy(shop: Service, count: int = 1, **change: object) -> None:
    for _ in range(count):
        assert shop.ask("/orders", "POST", order(**change)).status == 201


def delivered(folder: Path) -> None:
    wait_until_delivered(SHOP, folder / "shop")


def behind(folder: Path, name: str = "inventory") -> int:
    found = events_of(SHOP, folder / "shop")["consumers"]
    return next(int(each["events"]) for each in found if each["consumer"] == name)


def held(client: Any, name: str) -> int:
    """How many entries a group was given and has not acknowledged."""
    groups = client.xinfo_groups(name) if client.exists(name) else []
    return sum(each["pending"] for each in groups)


def dead(folder: Path, module: str = PAYMENTS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = events_of(module, own(folder, module))["dead_letters"]
    return found


def assert_equal(folder: Path, *modules: str) -> None:
    for module in modules or (INVENTORY,):
        options = ("--from", folder / "shop", "--database", own(folder, module), "--json")
        done = run(module, "reconcile", *options)
        found = json.loads(done.out)
        assert (done.code, found["differences"], found["to_come"]) == (0, [], 0)


def assert_in_order(folder: Path) -> None:
    """Everything was handled, and what is about one product or payment in its order."""
    keys = dict(rows(folder / "shop", "SELECT id, key FROM outbox"))
    for name in ("payments", "inventory"):
        last: dict[str, str] = {}
        for event_id, at in rows(folder / name, "SELECT id, handled_at FROM handled ORDER BY sequence"):
            assert last.get(keys[event_id], "") <= at
            last[keys[event_id]] = at


def error_lines(process: "subprocess.Popen[str]") -> list[str]:
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    return str(err).splitlines()


def euros(amount: float) -> dict[str, object]:
    return {"amount": amount, "currency": "EUR"}


def owed(folder: Path, number: int) -> str:
    """More is given back than was taken: refused, which could get better."""
    refund = {"payment_id": number, "refunded": euros(1)}
    return tell(folder / "shop", "PaymentRefunded", 1, str(number), refund)


def paid(folder: Path, number: int, key: str) -> str:
    data = payment(number) | {"amount": euros(2), "tax": euros(0)}
    return tell(folder / "shop", "PaymentTaken", 1, key, data)


def handled(folder: Path, *events: str) -> bool:
    known = {each for (each,) in rows(folder / "payments", "SELECT id FROM handled")}
    return known >= set(events)


def refunded(folder: Path, number: int) -> list[tuple[Any, ...]]:
    return rows(folder / "payments", f"SELECT refunded_cents FROM payments WHERE payment_id = {number}")
