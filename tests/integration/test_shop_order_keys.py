"""`Idempotency-Key` of `POST /orders`: who got no answer asks again, and has ordered once."""

import json
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPException
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import shop_books
from legacy_monolith import order_keys
from legacy_monolith.errors import Malformed
from tests.support.relay import Say
from tests.support.shop_services import Answer, Service, dump, wait_until
from tests.support.shop_world import BALANCE, DECLINED, World, order, taken_apart

WHERE = [*product(["local", "http"], repeat=2)]


@pytest.fixture(autouse=True)
def _closes_its_sockets() -> None:
    """The relay notices only later that a shop of the test before has left it."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with taken_apart(tmp_path) as made:
        yield made


def buy(shop: Service, key: str | None, **change: object) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return shop.ask("/orders", "POST", order(**change), **headers)  # type: ignore[arg-type]


def placed(world: World) -> int:
    """So many orders, and attempts at one, there have been since the seed."""
    with shop_books.opened(world.folder / "shop") as db:
        (count,) = db.execute(
            "SELECT count(*) FROM (SELECT order_id FROM orders UNION SELECT order_id FROM sagas) WHERE order_id > ?",
            (shop_books.LAST_OF_THE_PAST,),
        ).fetchone()
        return int(count)


@pytest.mark.parametrize(("stock", "payments"), WHERE)
def test_the_same_key_gets_the_same_answer_and_orders_once(stock: str, payments: str, world: World) -> None:
    before = world.books(stock, payments)
    with world.monolith(stock=stock, payments=payments) as shop:
        first = buy(shop, "a")
        assert (first.status, "idempotency-replayed" in first.headers) == (201, False)
        again = buy(shop, "a")
        assert (again.status, again.body) == (201, first.body)
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["idempotency-replayed"] == "true"
        # Of another account, it is another key; and it is read by meaning, not by its bytes.
        assert buy(shop, "a", account_id=8).json["order_id"] != first.json["order_id"]
        body = json.dumps(dict(reversed(order().items())), indent=2).encode()
        same = shop.ask("/orders", "POST", body, Idempotency_Key="a")
        assert (same.status, same.body) == (201, first.body)

        other = buy(shop, "a", quantity=2)
        assert (other.status, other.json["detail"]) == (422, "the key a was used for another order")
        assert buy(shop, "a", payment=DECLINED).status == 422
        assert {buy(shop, None).json["order_id"] for _ in range(2)}.isdisjoint({first.json["order_id"]})
        world.wait_for_the_end()
    shop_books.assert_they_add_up(before, world.books(stock, payments))
    assert placed(world) == 4


@pytest.mark.parametrize(("stock", "payments"), WHERE)
def test_a_refusal_is_an_answer_like_any_other_and_what_names_nothing_is_none(
    stock: str, payments: str, world: World
) -> None:
    with world.monolith(stock=stock, payments=payments) as shop:
        for key, change in {
            "declined": {"payment": DECLINED},
            "sold out": {"sku": "CUP-004", "quantity": 5},
            "poor": {"sku": "POT-001", "quantity": 100, "account_id": 190, "payment": BALANCE},
        }.items():
            first, again = (buy(shop, key.replace(" ", "-"), **change) for _ in range(2))
            assert (again.status, again.body) == (first.status, first.body)
            assert first.status in (402, 409)
            assert "idempotency-replayed" not in first.headers
            assert again.headers["idempotency-replayed"] == "true"
        # The key of a request that could not be understood is free.
        assert buy(shop, "free", sku="NOPE").status == 422
        assert shop.ask("/orders", "POST", b"{", Idempotency_Key="free").status == 400
        assert buy(shop, "free").status == 201
        world.wait_for_the_end()


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "caf\u00e9"])
def test_a_key_that_cannot_be_is_refused(key: str, world: World) -> None:
    with world.monolith(stock="local", payments="local") as shop:
        before = dump(world.folder / "shop")
        answer = buy(shop, key)
        assert answer.status == 400
        assert answer.json["detail"] == "Idempotency-Key must be 1 to 255 visible ASCII characters"
        assert dump(world.folder / "shop") == before


@given(st.text())
def test_any_field_is_a_key_or_malformed(field: str) -> None:
    if 1 <= len(field) <= 255 and all("!" <= letter <= "~" for letter in field):
        assert order_keys.key_of(field) == field
    else:
        with pytest.raises(Malformed):
            order_keys.key_of(field)


@pytest.mark.parametrize("where", ["local", "http"])
def test_of_many_at_once_one_orders_and_all_hear_of_it(where: str, world: World) -> None:
    before = world.books(where, where)
    with world.monolith(stock=where, payments=where) as shop, ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda _: buy(shop, "once"), range(24)))
        assert {answer.status for answer in answers} == {201}
        assert len({answer.body for answer in answers}) == 1
        assert sum("idempotency-replayed" in answer.headers for answer in answers) == 23
        world.wait_for_the_end()
    assert placed(world) == 1
    shop_books.assert_they_add_up(before, world.books(where, where))


def test_who_asks_again_while_the_order_is_pending_waits_for_it(world: World) -> None:
    go_on = threading.Event()

    def hold(step: str) -> None:
        if step == "charge":
            go_on.wait(30)

    world.relay.before = hold
    with world.monolith("--answer-within", "0.3") as shop, ThreadPoolExecutor(2) as callers:
        first = buy(shop, "slow")
        assert (first.status, first.json["status"]) == (202, "pending")
        still = buy(shop, "slow")
        assert (still.status, still.body) == (202, first.body)
        go_on.set()
        wait_until(lambda: buy(shop, "slow").status == 201)
        assert list(callers.map(lambda _: buy(shop, "slow").status, range(2))) == [201, 201]
    assert placed(world) == 1


@pytest.mark.parametrize(
    "point", ["reserve:before-begun", "reserve:after-begun", "charge:after-call", "confirm:after-done"]
)
def test_who_lost_the_answer_to_kill_9_asks_again_and_has_ordered_once(point: str, world: World) -> None:
    before = world.books()
    with world.monolith(SHOP_DIE_AT=point) as shop:
        with suppress(OSError, HTTPException):
            buy(shop, "lost")
        assert shop.process.wait(30) == -signal.SIGKILL
    with world.monolith() as shop:
        answer = buy(shop, "lost")
        assert answer.status == 201
        # Before the first commit nothing was begun, and no key kept.
        assert ("idempotency-replayed" in answer.headers) is (point != "reserve:before-begun")
        world.wait_for_the_end()
    assert placed(world) == 1
    shop_books.assert_they_add_up(before, world.books())


def test_a_key_holds_when_the_ports_move_and_for_an_order_that_a_service_cost(world: World) -> None:
    with world.monolith(stock="local", payments="local") as shop:
        here = buy(shop, "here")
        declined = buy(shop, "no", payment=DECLINED)
    world.relay.before = _fail_charges
    with world.monolith("--retry-for", "0.1") as shop:
        assert buy(shop, "here").body == here.body
        assert buy(shop, "no", payment=DECLINED).body == declined.body
        unreached = buy(shop, "cost")
        assert unreached.status == 503
        world.wait_for_the_end()
        world.relay.calm()
        again = buy(shop, "cost")
        assert (again.status, again.headers["idempotency-replayed"]) == (503, "true")
        assert again.json["detail"].endswith("so the order was cancelled; you are charged nothing")
        assert buy(shop, "cost-anew").status == 201
        world.wait_for_the_end()
    with world.monolith(stock="local", payments="local") as shop:
        assert buy(shop, "cost").status == 503
        assert buy(shop, "cost-anew").status == 201
    assert placed(world) == 3


def _fail_charges(step: str) -> None:
    if step == "charge":
        raise Say(500)


def test_a_key_is_forgotten_after_a_day(world: World) -> None:
    with world.monolith(stock="local", payments="local") as shop:
        first = buy(shop, "day")
        assert buy(shop, "day").body == first.body
        with closing(sqlite3.connect(world.folder / "shop", isolation_level=None)) as db:
            db.execute("UPDATE order_keys SET at = strftime('%Y-%m-%dT%H:%M:%SZ', at, '-86500 seconds')")
        assert buy(shop, "day").json["order_id"] != first.json["order_id"]
        with closing(sqlite3.connect(world.folder / "shop", isolation_level=None)) as db:
            assert db.execute("SELECT count(*) FROM order_keys").fetchone() == (1,)
