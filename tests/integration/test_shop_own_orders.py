"""What a caller has ordered: also what is under way and what was cancelled, wherever stock and payments are."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import pytest

from legacy_monolith import front, orders, progress, seed
from legacy_monolith.database import open_writer
from legacy_monolith.errors import OutOfStock
from legacy_monolith.order_request import Item, OrderRequest
from legacy_monolith.placing import Placing
from legacy_monolith.replies import Refusal
from legacy_monolith.saga_log import Pending, Places

AT = "2026-04-01T12:00:00Z"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "shop", partial(seed.fill, seed=2019))) as db:
        yield db


def wish(account_id: int) -> OrderRequest:
    return OrderRequest(account_id, (Item("TEA-001", 1),), "card", "tok_visa")


def pending(shop: sqlite3.Connection, account_id: int) -> int:
    return Placing(shop, Places("http", "http"), lambda _: None).begin(wish(account_id), AT).order_id


def cancelled(shop: sqlite3.Connection, account_id: int) -> int:
    placing = Placing(shop, Places("http", "http"), lambda _: None)
    move = placing.begin(wish(account_id), AT)
    assert isinstance(move.next, Pending)
    placing.settle(move.next, Refusal(OutOfStock, "none"), AT)
    return move.order_id


def confirmed(shop: sqlite3.Connection, account_id: int) -> int:
    return orders.place(shop, wish(account_id), AT)


def test_all_kinds_are_listed_latest_first_and_no_more_than_asked_for(shop: sqlite3.Connection) -> None:
    random, mine = Random(7), []
    for _ in range(40):
        kind = random.choice([pending, cancelled, confirmed])
        account_id = random.choice([7, 8])
        placed = (kind(shop, account_id), kind.__name__)
        mine += [placed] * (account_id == 7)
    listed = [(each["order_id"], each["status"]) for each in front.orders_of(shop, 7, len(mine))]
    assert listed == mine[::-1]
    assert {status for _, status in listed} == {"pending", "cancelled", "confirmed"}
    for most in (0, 1, 5):
        assert [each["order_id"] for each in front.orders_of(shop, 7, most)] == [
            order_id for order_id, _ in mine[::-1][:most]
        ]
    progress.advance(shop, {"order_id": (last := confirmed(shop, 7)), "placed_at": AT}, "packed", AT)
    assert front.orders_of(shop, 7, 1)[0]["status"] == "packed"
    assert front.latest_order(shop, 7) == last


def test_a_form_is_used_up_by_what_may_become_an_order_and_by_nothing_else(shop: sqlite3.Connection) -> None:
    before = front.latest_order(shop, 7)
    cancelled(shop, 7)
    assert front.latest_order(shop, 7) == before  # the same form may be sent again, as with one transaction
    assert front.latest_order(shop, 7) != pending(shop, 7) == front.latest_order(shop, 7)
    cancelled(shop, 7)
    last = confirmed(shop, 7)
    assert front.latest_order(shop, 7) == last


def test_a_list_reads_what_is_the_callers_own_and_not_all_that_there_is(shop: sqlite3.Connection) -> None:
    sql = """SELECT order_id FROM sagas WHERE json_extract(draft, '$.account_id') = 7
        AND state <> 'confirmed' ORDER BY order_id DESC LIMIT 50"""
    (plan,) = shop.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    assert plan[-1] == "SEARCH sagas USING INDEX sagas_of_account (<expr>=?)"


def test_a_form_costs_no_more_for_whoever_was_refused_a_hundred_times(shop: sqlite3.Connection) -> None:
    def work() -> int:
        """So many steps of SQLite's machine does it take to find out what a form is used up by."""
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        shop.set_progress_handler(count, 1)
        front.latest_order(shop, 7)
        shop.set_progress_handler(None, 0)
        return steps

    pending(shop, 8)
    cancelled(shop, 7)
    before = work()
    for _ in range(100):
        cancelled(shop, 7)
    assert work() == before
