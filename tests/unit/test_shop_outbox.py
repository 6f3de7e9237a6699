"""What is told, in the transaction of what it tells; and the books of who has got it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from legacy_monolith import catalogue, orders, seed
from legacy_monolith.database import open_writer
from legacy_monolith.errors import NotPaid, OutOfStock
from legacy_monolith.order_request import Item, OrderRequest
from shop_events import deliveries, metrics, outbox
from shop_events.delivery import Waiting
from shop_events.transactions import transaction

AT = "2026-04-01T12:00:00Z"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("seeded") / "shop"
    open_writer(path, partial(seed.fill, seed=2019)).close()
    return path.read_bytes()


@pytest.fixture
def db(seeded: bytes, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "shop"
    path.write_bytes(seeded)
    with closing(open_writer(path, lambda _: None)) as connection:
        yield connection


def told(db: sqlite3.Connection, after: int) -> list[tuple[str, int, str, Any]]:
    rows = db.execute(
        "SELECT type, version, key, data FROM outbox WHERE sequence > ? ORDER BY sequence", (after,)
    )
    return [(kind, version, key, json.loads(data)) for kind, version, key, data in rows]


def card(token: str = "tok_visa", sku: str = "TEA-001", quantity: int = 2) -> OrderRequest:
    return OrderRequest(7, (Item(sku, quantity),), "card", token)


def test_the_history_begins_with_what_there_is(db: sqlite3.Connection) -> None:
    events = told(db, 0)
    prices = [each for each in events if each[0] == "PriceChanged"]
    levels = [each for each in events if each[0] == "StockChanged"]
    assert (len(prices), len(prices) + len(levels)) == (40, len(events))
    assert {each[3]["reason"] for each in levels} == {"opening"}
    assert [each[3]["level"] for each in levels] == [each[3]["change"] for each in levels]
    assert sum(each[3]["level"]["reserved"] for each in levels) == sum(
        row[0] for row in db.execute("SELECT reserved FROM stock_levels")
    )
    assert str(outbox.source(db)).startswith("shop:")


def test_a_file_that_is_opened_again_goes_on_with_its_history(db: sqlite3.Connection, tmp_path: Path) -> None:
    source, last = outbox.source(db), outbox.last(db)
    with closing(open_writer(tmp_path / "shop", lambda _: None)) as again:
        assert (outbox.source(again), outbox.last(again)) == (source, last)


def test_an_order_is_told_by_all_who_have_a_part_in_it(db: sqlite3.Connection) -> None:
    before = outbox.last(db)
    order_id = orders.place(db, card(), AT)
    events = told(db, before)
    assert [each[:3] for each in events] == [
        ("StockChanged", 2, "TEA-001"),
        ("PaymentTaken", 1, "801"),
        ("OrderConfirmed", 1, str(order_id)),
    ]
    stock, payment, order = (each[3] for each in events)
    assert (stock["reason"], stock["change"]) == ("reserved", {"on_hand": 0, "reserved": 2})
    assert payment["amount"] == order["total"]
    assert order["items"] == [{"sku": "TEA-001", "quantity": 2}]


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [(card("tok_declined"), NotPaid), (card(quantity=100_000), OutOfStock)],
    ids=["declined", "out of stock"],
)
def test_what_was_undone_was_never_told(
    wanted: OrderRequest, refusal: type[Exception], db: sqlite3.Connection
) -> None:
    before = outbox.last(db)
    with pytest.raises(refusal):
        orders.place(db, wanted, AT)
    assert told(db, before) == []


def test_a_price_is_told_when_it_changes(db: sqlite3.Connection) -> None:
    before = outbox.last(db)
    with transaction(db):
        assert catalogue.reprice(db, "TEA-001", 990)
        assert catalogue.reprice(db, "TEA-999", 990) is None
    ((kind, version, key, data),) = told(db, before)
    assert (kind, version, key, data["price"]) == (
        "PriceChanged",
        1,
        "TEA-001",
        {"amount": 9.9, "currency": "EUR"},
    )


@pytest.fixture
def fresh(db: sqlite3.Connection) -> tuple[sqlite3.Connection, int]:
    """A database with a consumer of payments, and the number of the first payment that was told."""
    deliveries.subscribe(db, "payments", "http://127.0.0.1:1/events", {"PaymentTaken": 1})
    for _ in range(3):
        orders.place(db, card(quantity=1), AT)
    first = outbox.first_after(db, 0, ["PaymentTaken"])
    assert first
    return db, first.sequence


def test_a_consumer_is_behind_by_what_it_has_not_got(fresh: tuple[sqlite3.Connection, int]) -> None:
    db, first = fresh
    (lag,) = deliveries.lags(db)
    assert (lag.events, lag.since, lag.dead) == (3, outbox.at_sequence(db, first).at, 0)
    deliveries.taken(db, "payments", first)
    (lag,) = deliveries.lags(db)
    assert (lag.events, lag.cursor) == (2, first)
    deliveries.taken(db, "payments", 1)  # another relay, which is behind
    assert deliveries.lags(db)[0].cursor == first


def test_what_is_put_off_is_behind_and_what_is_dead_is_not(fresh: tuple[sqlite3.Connection, int]) -> None:
    db, first = fresh
    event = outbox.at_sequence(db, first)
    deliveries.put_off(db, "payments", event, 1, 5.0, "500")
    assert (deliveries.lags(db)[0].events, deliveries.lags(db)[0].since) == (3, event.at)
    deliveries.bury(db, "payments", first, 8, "500")
    assert (deliveries.lags(db)[0].events, deliveries.lags(db)[0].dead) == (2, 1)
    (dead,) = deliveries.dead_events(db)
    assert (dead.event, dead.attempts, dead.last_error) == (event, 8, "500")
    assert deliveries.dig_out(db, "no such id") == []
    assert deliveries.dig_out(db, event.id) == ["payments"]
    assert (deliveries.lags(db)[0].events, deliveries.lags(db)[0].dead) == (3, 0)


def test_who_asks_for_more_is_told_that_from_its_beginning(fresh: tuple[sqlite3.Connection, int]) -> None:
    db, _ = fresh
    take_all(db)
    deliveries.subscribe(db, "payments", "http://127.0.0.1:1/events", {"PaymentTaken": 1, "PriceChanged": 1})
    prices = db.execute(
        "SELECT sequence FROM outbox WHERE type = 'PriceChanged' ORDER BY sequence"
    ).fetchall()
    assert deliveries.lags(db)[0].events == len(prices) + 3
    got = take_all(db)
    assert {sequence for (sequence,) in prices} <= set(got)
    deliveries.subscribe(db, "payments", "http://127.0.0.1:1/events", {"PaymentTaken": 1})
    assert take_all(db) == []


def test_one_that_is_retried_lets_none_be_missed(fresh: tuple[sqlite3.Connection, int]) -> None:
    db, _ = fresh
    *_, last = take_all(db)
    deliveries.bury(db, "payments", last, 8, "500")
    deliveries.subscribe(db, "payments", "http://127.0.0.1:1/events", {"PaymentTaken": 1, "StockChanged": 2})
    deliveries.dig_out(db, outbox.at_sequence(db, last).id)
    assert deliveries.lags(db)[0].cursor < last - 1
    deliveries.put_off(db, "payments", outbox.at_sequence(db, last), 1, 0.0, "500")
    deliveries.taken(db, "payments", last)
    stock = db.execute("SELECT sequence FROM outbox WHERE type = 'StockChanged' AND sequence < ?", (last,))
    assert {sequence for (sequence,) in stock} <= set(take_all(db))


def test_one_that_stands_behind_another_keeps_its_attempts(fresh: tuple[sqlite3.Connection, int]) -> None:
    db, first = fresh
    event = outbox.at_sequence(db, first)
    deliveries.put_off(db, "payments", event, 3, 5.0, "500")
    deliveries.pass_over(db, "payments", event)
    assert deliveries.waiting(db, "payments") == [Waiting(first, event.key, 3, 5.0)]


def test_a_dead_letter_that_was_told_again_is_none(fresh: tuple[sqlite3.Connection, int]) -> None:
    db, first = fresh
    deliveries.bury(db, "payments", first, 8, "500")
    deliveries.taken(db, "payments", first)  # from a relay that had begun before, or after all was told anew
    assert deliveries.dead_events(db) == []


def take_all(db: sqlite3.Connection) -> list[int]:
    """Have the consumer take what there is for it; gives the numbers."""
    taken = []
    while (of := deliveries.subscription(db, "payments")) and (head := deliveries.head(db, of)):
        taken.append(head.sequence)
        deliveries.taken(db, "payments", head.sequence)
    return taken


def test_the_metrics_tell_the_lag(fresh: tuple[sqlite3.Connection, int]) -> None:
    db, first = fresh
    db.execute("UPDATE outbox SET at = '2026-04-01T12:00:00.000Z' WHERE sequence = ?", (first,))
    lines = metrics.text(db, now=1_775_044_830.5).splitlines()
    assert 'shop_events_behind{consumer="payments"} 3' in lines
    assert 'shop_events_lag_seconds{consumer="payments"} 30.5' in lines
    assert 'shop_events_dead_letters{consumer="payments"} 0' in lines
    assert f"shop_events_total {outbox.last(db)}" in lines


def test_a_number_is_told_to_the_last_digit(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT INTO outbox (sequence, type, version, key, data) VALUES (12345678, 'OrderPlaced', 1, 'x', '{}')"
    )
    assert "shop_events_total 12345678" in metrics.text(db, 0.0).splitlines()


def test_a_consumer_of_what_is_rare_costs_nothing_however_much_else_happens(db: sqlite3.Connection) -> None:
    before = outbox.last(db)
    with transaction(db):
        for _ in range(2_000):
            outbox.write(db, "StockChanged", 2, "TEA-001", {})
        outbox.write(db, "PaymentTaken", 1, "7", {})
    hundreds: list[None] = []
    db.set_progress_handler(lambda: hundreds.append(None), 100)  # called after so many steps of SQLite
    found = outbox.first_after(db, 0, ["PaymentRefunded", "PaymentTaken"])
    assert found
    assert found.sequence == before + 2_001
    assert outbox.first_after(db, 0, ["PaymentRefunded"]) is None
    assert outbox.count_after(db, 0, ["PaymentRefunded", "PaymentTaken"]) == 1
    assert len(hundreds) < 20
