"""The storefront behind the proxy: one login whichever side answers, and more than JSON passes unharmed."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.events import stream
from tests.support.proxy import Proxy, proxy
from tests.support.raw import until
from tests.support.shop_browser import Browser, Page
from tests.support.shop_events import relay_of, subscribe, wait_until_delivered
from tests.support.shop_services import Service, bring_over, run, running, wait_until

HEAD = """\
version: 1
listen: 127.0.0.1:0
admin: 127.0.0.1:0
identity: [cookie:session, client-address]
upstreams:
  monolith: {{url: "http://127.0.0.1:{old}", timeout: 5s}}
  extracted: {{url: "http://127.0.0.1:{new}", timeout: 5s}}
legacy: monolith
routes:
"""
PAYMENTS = f"""{HEAD}\
  - name: account-payments
    match: GET /accounts/{{{{account_id:[0-9]+}}}}/payments
    extracted: extracted
    share: 0%
    shadow: 100%
    compare: {{{{noise: 0%, confirm: none}}}}
"""
PAGES = f"""{HEAD}\
  - name: pages
    match: GET /shop/**
    extracted: extracted
    share: 0%
    shadow: 100%
    compare: {{{{noise: 0%, confirm: none}}}}
"""
CATALOGUE = f"""{HEAD}\
  - name: catalogue
    match: GET /catalogue
    extracted: extracted
    share: 0%
    shadow: 100%
    compare: {{{{noise: 0%, confirm: none}}}}
"""
OWN = "/accounts/7/payments"


@dataclass(frozen=True)
class Shop:
    folder: Path
    monolith: Service

    @property
    def database(self) -> Path:
        return self.folder / "shop.sqlite3"

    @property
    def login(self) -> tuple[object, ...]:
        return ("--require-login", "--token-keys", self.folder / "keys.json")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def shop(tmp_path: Path, stack: ExitStack) -> Shop:
    keys = ("--require-login", "--token-keys", tmp_path / "keys.json")
    database = ("--database", tmp_path / "shop.sqlite3", "--release", "legacy")
    return Shop(tmp_path, stack.enter_context(running("legacy_monolith", *database, *keys)))


@pytest.fixture
def payments(shop: Shop, stack: ExitStack) -> Service:
    bring_over("payments", shop.database, shop.folder / "payments")
    at = ("--login-at", f"http://127.0.0.1:{shop.monolith.port}")
    return stack.enter_context(
        running("extracted.payments", "--database", shop.folder / "payments", *shop.login, *at)
    )


def through(made: Proxy) -> Browser:
    return Browser(int(made.url.rpartition(":")[2]))


async def set_share(made: Proxy, share: str, route: str = "account-payments") -> None:
    made.routes.write_text(made.routes.read_text().replace("share: 0%", f"share: {share}"))
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            async with session.get(f"{made.admin}/api/v1/routes/{route}") as answer:
                if (await answer.json())["share"] == float(share.rstrip("%")):
                    return
            await asyncio.sleep(0.05)


async def report(made: Proxy, eligible: int) -> dict[str, Any]:
    """The report once so many exchanges have been compared, or skipped."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            found = await made.settled(session)
            if found["coverage"]["eligible"] == eligible:
                return found
            await asyncio.sleep(0.05)


def whole(page: Page) -> tuple[int, dict[str, str], bytes]:
    """All of an answer that is not of the moment or of the connection."""
    own = ("date", "via", "connection", "keep-alive")
    return page.status, {name: value for name, value in page.headers.items() if name not in own}, page.body


async def test_a_caller_logs_in_once_whichever_side_answers(shop: Shop, payments: Service) -> None:
    async with proxy(shop.folder, shop.monolith.port, payments.port, routes=PAYMENTS) as made:
        browser = through(made)
        stranger = browser.ask(OWN)
        assert (stranger.status, stranger.headers["x-release"]) == (401, "legacy")
        assert browser.log_in(after="/shop/orders").status == 303
        assert browser.ask("/shop/orders").status == 200

        of_monolith = browser.ask(OWN)
        assert (of_monolith.status, of_monolith.headers["x-release"]) == (200, "legacy")
        assert browser.ask("/accounts/8/payments").status == 404
        found = await report(made, eligible=3)
        assert found["outcomes"] == {"match": 3, "noise": 0, "accepted": 0, "transient": 0, "mismatch": 0}
        assert found["fingerprints"] == []

        await set_share(made, "100%")
        of_payments = browser.ask(OWN)
        assert (of_payments.status, of_payments.headers["x-release"]) == (200, "v2")
        assert of_payments.body == of_monolith.body
        assert browser.ask("/accounts/8/payments").status == 404
        assert browser.ask("/shop/orders").status == 200

        token = browser.jar.pop("shop_token")  # as when it is over: the service asks the monolith
        assert browser.ask(OWN).body == of_monolith.body
        browser.jar["shop_token"] = token

        assert browser.log_out().status == 303
        assert "session" not in browser.jar
        gone = browser.ask(OWN)
        assert (gone.status, gone.headers["x-release"]) == (401, "v2")
        page = browser.ask("/shop/orders")
        assert (page.status, page.headers["location"]) == (303, "/shop/login?next=/shop/orders")
        found = await report(made, eligible=7)
        assert found["outcomes"]["match"] == 7


async def test_a_login_outlives_a_restart_of_the_service(shop: Shop, stack: ExitStack) -> None:
    bring_over("payments", shop.database, shop.folder / "payments")
    at = ("--login-at", f"http://127.0.0.1:{shop.monolith.port}")
    options = ("--database", shop.folder / "payments", *shop.login, *at)
    with running("extracted.payments", *options) as first:
        async with proxy(shop.folder, shop.monolith.port, first.port, routes=PAYMENTS) as made:
            browser = through(made)
            browser.log_in()
            await set_share(made, "100%")
            assert browser.ask(OWN).headers["x-release"] == "v2"
            first.stop()
            fallen_back = browser.ask(OWN)
            assert (fallen_back.status, fallen_back.headers["x-release"]) == (200, "legacy")
            run("legacy_monolith", "keys", "rotate", "--token-keys", shop.folder / "keys.json")
            with running("extracted.payments", *options, "--port", first.port):
                await until(lambda: browser.ask(OWN).headers["x-release"] == "v2", within=30)
                assert browser.ask(OWN).body == fallen_back.body


async def test_pages_files_and_events_pass_unharmed(shop: Shop, payments: Service) -> None:
    async with proxy(shop.folder, shop.monolith.port, payments.port, routes=PAYMENTS) as made:
        browser = through(made)
        browser.log_in()
        order = browser.buy("TEA-003", 2).headers["location"].rpartition("/")[2]
        direct = Browser(shop.monolith.port, dict(browser.jar))
        for path in (
            "/catalogue",
            "/shop/products/TEA-003",
            "/shop/orders",
            f"/shop/orders/{order}",
            "/shop/none",
        ):
            assert whole(browser.ask(path)) == whole(direct.ask(path)), path
        exported = browser.ask(f"/orders/{order}.csv")
        assert whole(exported) == whole(direct.ask(f"/orders/{order}.csv"))
        assert exported.headers["content-disposition"] == f'attachment; filename="order-{order}.csv"'
        rows = list(csv.reader(io.StringIO(exported.text, newline="")))
        assert [row[3] for row in rows] == ["sku", "TEA-003"]

        cookie = "; ".join(f"{name}={value}" for name, value in browser.jar.items())
        with stream(browser.port, f"/orders/{order}/events", Cookie=cookie) as events:
            assert events.headers["content-type"] == "text/event-stream"
            assert status(events.event()) == (2, "confirmed")
            for number, next_one in ((3, "packed"), (4, "shipped")):
                run("legacy_monolith", "order", order, next_one, "--database", shop.database)
                assert status(events.event()) == (number, next_one)
            assert events.part() is None
        again = browser.ask(f"/orders/{order}/events", Last_Event_ID="4")
        assert again.status == 204


def status(event: dict[str, Any] | None) -> tuple[int, str]:
    assert event is not None
    return event["id"], event["status"]


PATHS = ("/shop/login", "/shop/orders", "/shop/orders/10710", "/shop/products/TEA-001", "/shop/none")


async def test_pages_that_say_the_same_match_by_structure(shop: Shop, stack: ExitStack) -> None:
    database = ("--database", shop.database, "--release", "rewritten")
    other = stack.enter_context(running("legacy_monolith", *database, *shop.login))
    async with proxy(shop.folder, shop.monolith.port, other.port, routes=PAGES) as made:
        direct = Browser(shop.monolith.port)
        direct.log_in()
        browser = through(made)
        browser.jar = direct.jar
        for path in PATHS:
            assert browser.ask(path).headers["x-release"] == "legacy"
        found = await report(made, eligible=len(PATHS))
        assert (found["outcomes"]["match"], found["fingerprints"]) == (len(PATHS), [])


async def test_a_page_that_shows_another_price_differs_at_its_place(shop: Shop, stack: ExitStack) -> None:
    database = ("--database", shop.folder / "other.sqlite3", "--seed", 2020, "--release", "rewritten")
    other = stack.enter_context(running("legacy_monolith", *database))
    async with proxy(shop.folder, shop.monolith.port, other.port, routes=PAGES) as made:
        browser = through(made)
        prices = [Browser(each.port).ask("/products/TEA-001") for each in (shop.monolith, other)]
        assert prices[0].json["price"] != prices[1].json["price"]
        browser.ask("/shop/products/TEA-001")
        found = await report(made, eligible=1)
        assert found["outcomes"]["mismatch"] == 1
        assert [(entry["where"], entry["kind"]) for entry in found["fingerprints"]] == [("body", "value")]
        path = found["fingerprints"][0]["path"]
        assert path.startswith("$.html.body[*].main[*].")
        assert path.endswith("['#text']")


async def test_the_catalogue_of_inventory_matches_that_of_the_monolith_and_takes_over(
    shop: Shop, stack: ExitStack
) -> None:
    database = shop.folder / "inventory"
    bring_over("inventory", shop.database, database)
    inventory = stack.enter_context(running("extracted.inventory", "--database", database))
    subscribe("legacy_monolith", shop.database, "inventory", inventory.port, "StockChanged", "PriceChanged")
    with relay_of("legacy_monolith", shop.database):
        wait_until_delivered("legacy_monolith", shop.database)
    wait_until(lambda: b"\nshop_catalogue_behind 0\n" in inventory.ask("/metrics").body)
    targets = [
        f"/catalogue{rest}" for rest in ("", "?q=kyu", "?category=tea&q=sen", "?q=none", "?q=" + "x" * 201)
    ]
    async with proxy(shop.folder, shop.monolith.port, inventory.port, routes=CATALOGUE) as made:
        browser = through(made)
        for target in targets:
            for accept in ("text/html", "application/json"):
                assert browser.ask(target, Accept=accept).headers["x-release"] == "legacy"
        found = await report(made, eligible=2 * len(targets))
        assert (found["outcomes"]["match"], found["fingerprints"]) == (2 * len(targets), [])
        await set_share(made, "100%", "catalogue")
        taken = browser.ask("/catalogue?category=tea", Accept="text/html")
        assert taken.headers["x-release"] == "v2"
        assert "Sencha" in taken.text
