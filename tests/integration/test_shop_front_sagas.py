"""The storefront where placing an order takes long: it is pending on its page, and its stream tells how it ends."""

import csv
import io
import re
import threading
from collections.abc import Iterator

import pytest
from lxml import html

from tests.support.events import Stream, stream
from tests.support.left import open_sockets
from tests.support.relay import Drop, Say
from tests.support.shop_browser import Browser
from tests.support.shop_services import run, wait_until
from tests.support.shop_world import World, taken_apart


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with taken_apart(tmp_path_factory.mktemp("shop")) as world:
        yield world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    shared.relay.calm()
    before = open_sockets()
    yield shared
    shared.relay.calm()
    shared.wait_for_the_end()
    wait_until(lambda: open_sockets() <= before)  # the relay notices that the monolith has left


def seen(events: Stream) -> tuple[int, str]:
    event = events.event()
    assert event is not None
    return event["id"], event["status"]


@pytest.mark.parametrize(
    ("answer", "ends"),
    [(None, "confirmed"), (Say(402, b'{"detail": "the card was declined"}'), "cancelled")],
)
def test_an_order_is_pending_until_it_is_decided(world: World, answer: Say | None, ends: str) -> None:
    go_on = threading.Event()

    def wait(step: str) -> None:
        if step == "charge":
            go_on.wait(30)
            if answer:
                raise answer

    world.relay.before = wait
    with world.monolith("--answer-within", 0.3) as monolith:
        try:
            browser = Browser(monolith.port)
            browser.log_in()
            form = browser.ask("/shop/products/TEA-003")
            fields = {"form": form.field("form"), "after": form.field("after")}
            fields |= {"quantity": "1", "pay": "tok_visa"}
            bought = browser.ask("/shop/products/TEA-003", fields)
            assert bought.status == 303
            page = bought.headers["location"]
            order_id = page.rpartition("/")[2]
            assert status(browser, page) == ["pending"]
            assert listed(browser)[0] == (page, "pending")
            # Sent again while it is pending, the form orders nothing either.
            assert browser.ask("/shop/products/TEA-003", fields).status == 409
            assert exported(browser, order_id) == [("TEA-003", "pending")]
            early = run("legacy_monolith", "order", order_id, "packed", "--database", world.folder / "shop")
            assert (early.code, "is pending, and nothing comes next" in early.err) == (1, True)

            with stream(monolith.port, f"/orders/{order_id}/events") as events:
                assert seen(events) == (1, "pending")
                go_on.set()
                assert seen(events) == (2, ends)
                if ends == "cancelled":
                    assert events.part() is None
            assert status(browser, page) == [ends]
            told = html.fromstring(browser.ask(page).body).xpath("//p[@class='refusal']/text()")
            assert told == ([] if ends == "confirmed" else ["The card was declined."])
            world.wait_for_the_end()
            assert listed(browser)[0] == (page, ends)
            assert exported(browser, order_id) == [("TEA-003", ends)]
        finally:
            go_on.set()
            world.wait_for_the_end()


def status(browser: Browser, page: str) -> list[str]:
    shown = html.fromstring(browser.ask(page).body)
    return [str(text) for text in shown.xpath("//ol[@class='steps']//span/text()")]


def listed(browser: Browser) -> list[tuple[str, str]]:
    """The own orders: the page of each, and what has become of it."""
    rows = html.fromstring(browser.ask("/shop/orders").body).xpath("//tbody/tr")
    return [(str(row.xpath(".//a/@href")[0]), str(row.xpath(".//span/text()")[0])) for row in rows]


def exported(browser: Browser, order_id: str) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(browser.ask(f"/orders/{order_id}.csv").text, newline=""))
    return [(row["sku"], row["status"]) for row in rows]


def test_a_refusal_of_a_service_is_told_on_the_page(world: World) -> None:
    with world.monolith() as monolith:
        browser = Browser(monolith.port)
        browser.log_in()
        page = browser.buy("TEA-003", 1, "tok_declined")
        assert page.status == 402
        assert html.fromstring(page.body).xpath("//p[@role='alert']/text()") == ["The card was declined."]
        world.wait_for_the_end()


@pytest.mark.parametrize("instead", [Say(500, b'{"detail": "Traceback at 10.0.0.7"}'), Drop()])
def test_a_customer_never_sees_what_went_wrong_inside(world: World, instead: Exception) -> None:
    def fail(step: str) -> None:
        if step == "charge":
            raise instead

    world.relay.before = fail
    with world.monolith("--retry-for", 0.2) as monolith:
        browser = Browser(monolith.port)
        browser.log_in()
        page = browser.buy("TEA-003", 1, "tok_visa")
        unreached = "A part of the shop could not be reached, so the order was cancelled; "
        assert page.status == 503
        (alert,) = html.fromstring(page.body).xpath("//p[@role='alert']/text()")
        assert alert == f"{unreached}whatever was charged is given back."
        world.wait_for_the_end()
        order_id = max(world.books().ended)
        shown = browser.ask(f"/shop/orders/{order_id}")
        (refusal,) = html.fromstring(shown.body).xpath("//p[@class='refusal']/text()")
        assert refusal == f"{unreached}you are charged nothing."
        for each in (page, shown, browser.ask(f"/orders/{order_id}")):
            assert not re.search("Traceback|10.0.0.7|Error|Disconnected|charge failed", each.text)
        code, _, log = monolith.stop()
        assert (code, "charge failed after" in log) == (0, True)  # those who run the shop are told
