"""After the ports were switched, events flow the other way: so that switching them back loses nothing."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from legacy_monolith import seed
from legacy_monolith.database import open_writer
from tests.support.relay import Drop, Relay, relaying
from tests.support.shop_events import (
    event,
    events_of,
    payment,
    relay_of,
    rows,
    stock_2,
    subscribe,
    wait_until_delivered,
)
from tests.support.shop_services import Service, bring_over, run, running
from tests.support.shop_world import BALANCE, DECLINED, order

SHOP, PAYMENTS, INVENTORY = "legacy_monolith", "extracted.payments", "extracted.inventory"
TELLS = {PAYMENTS: ("PaymentTaken", "PaymentRefunded"), INVENTORY: ("StockChanged",)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    open_writer(tmp_path / "shop", partial(seed.fill, seed=2019)).close()
    for name in TELLS:
        bring_over(name.rsplit(".", maxsplit=1)[-1], tmp_path / "shop", own(tmp_path, name))
    return tmp_path


def own(folder: Path, module: str) -> Path:
    return folder / module.rsplit(".", 1)[-1].replace("legacy_monolith", "shop")


@contextmanager
def services(folder: Path) -> Iterator[Relay]:
    """Both services, subscribed to the shop's events; gives the proxy before them."""
    with ExitStack() as stack:
        proxy = stack.enter_context(relaying())
        for module, types in TELLS.items():
            service = stack.enter_context(running(module, "--database", own(folder, module)))
            proxy.ports[module.rsplit(".", maxsplit=1)[-1]] = service.port
            subscribe(SHOP, folder / "shop", module.rsplit(".", maxsplit=1)[-1], service.port, *types)
        yield proxy


@contextmanager
def shop(folder: Path, proxy: Relay, where: str) -> Iterator[Service]:
    """The shop with both ports at one place; the services' events come to it."""
    ports = ("--stock", where, "--payments", where, "--proxy", proxy.address)
    with running(SHOP, "--database", folder / "shop", *ports, "--undo-for", "20") as service:
        for module, types in TELLS.items():
            subscribe(module, own(folder, module), "shop", service.port, *types)
        yield service


def deliver(folder: Path, *modules: str) -> None:
    for module in modules:
        with relay_of(module, own(folder, module)):
            wait_until_delivered(module, own(folder, module))
        assert events_of(module, own(folder, module))["dead_letters"] == []


def differences(folder: Path) -> list[object]:
    found = []
    for module in TELLS:
        options = ("--from", folder / "shop", "--database", own(folder, module), "--json")
        done = run(module, "reconcile", *options)
        found += json.loads(done.out)["differences"]
        assert done.code == bool(json.loads(done.out)["differences"])
    return found


def buy(service: Service, status: int = 201, **change: object) -> None:
    assert service.ask("/orders", "POST", order(**change)).status == status


def assert_no_import(folder: Path) -> None:
    for module in TELLS:
        done = run(module, "import", "--from", folder / "shop", "--database", own(folder, module))
        assert (done.code, done.out) == (2, "")
        assert "events of its own that the monolith has not taken" in done.err
    assert len(differences(folder)) == 2


def test_there_and_back_again_nothing_is_lost(folder: Path) -> None:
    with services(folder) as proxy:
        with shop(folder, proxy, "local") as service:
            buy(service, quantity=2)
            buy(service, sku="COF-001")
            assert len(differences(folder)) == 4
            deliver(folder, SHOP)
            assert differences(folder) == []
        with shop(folder, proxy, "http") as service:
            buy(service, quantity=3)
            buy(service, 402, payment=DECLINED)
            assert len(differences(folder)) == 2  # the services are ahead: a level and a payment
            assert_no_import(folder)
            deliver(folder, PAYMENTS, INVENTORY)
            assert differences(folder) == []
            buy(service, sku="CUP-001")
            deliver(folder, PAYMENTS, INVENTORY, SHOP)
        with shop(folder, proxy, "local") as service:
            assert differences(folder) == []
            before = rows(folder / "shop", "SELECT sum(reserved) FROM stock_levels")[0][0]
            buy(service, quantity=4)
            assert rows(folder / "shop", "SELECT sum(reserved) FROM stock_levels") == [(before + 4,)]
            deliver(folder, SHOP, PAYMENTS, INVENTORY)
            assert differences(folder) == []
            for order_id in range(10_801, 10_804):  # wherever they were placed
                assert service.ask(f"/orders/{order_id}").status == 200
    assert rows(folder / "shop", "SELECT count(*) FROM payments WHERE payment_id > 800") == [(5,)]


def test_a_relay_of_a_service_that_dies_delivers_again_and_the_effect_is_one(folder: Path) -> None:
    with services(folder) as proxy, shop(folder, proxy, "http") as service, relaying() as gate:
        gate.ports["inventory"] = service.port
        subscribe(INVENTORY, folder / "inventory", "shop", gate.port, "StockChanged")
        buy(service, quantity=3)
        with relay_of(INVENTORY, folder / "inventory") as relay:

            def kill(step: str) -> None:
                os.kill(relay.pid, signal.SIGKILL)
                raise Drop

            gate.after = kill
            assert relay.wait(30) == -signal.SIGKILL
        assert events_of(INVENTORY, folder / "inventory")["consumers"][0]["events"] == 1
        gate.calm()
        deliver(folder, INVENTORY, PAYMENTS)
        assert [key for _, key, _ in gate.seen] == [gate.seen[0][1]] * 2
        assert differences(folder) == []


def test_what_the_shop_follows_it_does_not_tell_on(folder: Path) -> None:
    with services(folder) as proxy, shop(folder, proxy, "http") as service:
        buy(service)
        told = rows(folder / "shop", "SELECT max(sequence) FROM outbox")
        deliver(folder, INVENTORY, PAYMENTS)
        assert rows(folder / "shop", "SELECT max(sequence) FROM outbox") == told
        assert rows(folder / "shop", "SELECT count(*) FROM handled") == [(2,)]
        text = service.ask("/metrics").body.decode()
        assert "shop_events_total " in text


def test_the_shop_says_what_is_wrong_with_an_event(folder: Path) -> None:
    with running(SHOP, "--database", folder / "shop") as service:
        ask = partial(service.ask, "/events", "POST")
        assert ask(b"[]").status == 400
        assert ask(b"x" * 70_000).status == 413
        assert ask(event("StockChanged", 3, stock_2())).status == 422
        assert ask(event("PriceChanged", 1, {})).status == 422
        assert ask(event("StockChanged", 2, stock_2() | {"sku": 7})).status == 400
        assert ask(event("StockChanged", 2, stock_2(10**9))).status == 409
        assert ask(event("StockChanged", 2, stock_2(sku="TEA-999"))).status == 409
        euros = {"amount": 1, "currency": "EUR"}
        other = payment(800) | {"amount": euros, "tax": euros}
        assert ask(event("PaymentTaken", 1, other)).status == 409
        assert ask(event("PaymentRefunded", 1, {"payment_id": 9_999, "refunded": euros})).status == 409
        assert rows(folder / "shop", "SELECT count(*) FROM handled") == [(0,)]


def test_an_order_from_a_balance_costs_it_once(folder: Path) -> None:
    rich = "SELECT account_id, balance_cents FROM accounts ORDER BY balance_cents DESC LIMIT 1"
    account_id, before = rows(folder / "shop", rich)[0]
    with services(folder) as proxy, shop(folder, proxy, "http") as service:
        buy(service, account_id=account_id, payment=BALANCE)
        deliver(folder, PAYMENTS, INVENTORY)
        assert differences(folder) == []
    total = rows(folder / "shop", "SELECT total_cents FROM orders WHERE order_id = 10801")[0][0]
    left = rows(folder / "shop", f"SELECT balance_cents FROM accounts WHERE account_id = {account_id}")
    assert left == [(before - total,)]
