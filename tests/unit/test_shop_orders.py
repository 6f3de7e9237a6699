import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from legacy_monolith import accounts, catalogue, orders, payments, seed, stock
from legacy_monolith.database import LATER_SCHEMA, open_writer
from legacy_monolith.errors import NotPaid, OutOfStock, Refused, UnknownReference
from legacy_monolith.order_request import Item, OrderRequest
from legacy_monolith.payments import Method

AT = "2019-04-01T12:00:00Z"


def small_shop(db: sqlite3.Connection) -> None:
    """Two products in two warehouses, two accounts with 100 euros each."""
    stock.open_warehouse(db, "LEJ", "Leipzig", 1)
    stock.open_warehouse(db, "BER", "Berlin", 2)
    for sku, price_cents in (("TEA-001", 1_290), ("CUP-001", 850)):
        catalogue.add(db, catalogue.Product(sku, sku.lower(), "things", price_cents, 19))
        stock.add_item(db, sku, price_cents // 2, 5)
        stock.receive(db, sku, "LEJ", 3)
        stock.receive(db, sku, "BER", 4)
    for account_id in (1, 2):
        accounts.add(db, account_id, "Ada", f"{account_id}@example.org", "2017-01-01")
        accounts.deposit(db, account_id, 10_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.sqlite3"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(path, small_shop)) as connection:
        yield connection


def order(*items: tuple[str, int], method: Method = "balance", card: str | None = None) -> OrderRequest:
    return OrderRequest(1, tuple(Item(*item) for item in items), method, card)


def dump(db: sqlite3.Connection) -> list[str]:
    """All that a database holds but the events, which have a time, and an id that no other has."""
    events = re.compile(r"""INSERT INTO "?(outbox\w*|sqlite_sequence"? VALUES\('outbox')""")
    return [line for line in db.iterdump() if not events.match(line)]


def test_an_order_moves_stock_money_and_paper_together(db: sqlite3.Connection) -> None:
    order_id = orders.place(db, order(("TEA-001", 5), ("CUP-001", 1)), AT)

    placed = orders.find(db, order_id)
    assert placed
    assert placed["total"] == {"amount": 73.0, "currency": "EUR"}
    assert placed["tax"] == {"amount": 11.66, "currency": "EUR"}
    tea = stock.of(db, "TEA-001")
    assert tea
    assert (tea["available"], tea["reserved"], tea["on_hand"]) == (2, 5, 7)
    assert tea["warehouses"] == [
        {"code": "LEJ", "name": "Leipzig", "on_hand": 3, "reserved": 3},
        {"code": "BER", "name": "Berlin", "on_hand": 4, "reserved": 2},
    ]
    account = accounts.find(db, 1)
    assert account
    assert account["balance"] == {"amount": 27.0, "currency": "EUR"}
    payment = payments.find(db, payments.id_for_order(db, order_id))
    assert payment
    assert payment["amount"] == placed["total"]
    assert payment["tax"] == placed["tax"]


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (order(("CUP-001", 1), ("TEA-001", 8)), OutOfStock),
        (order(("TEA-001", 4), ("TEA-001", 4)), OutOfStock),
        (order(("TEA-001", 7), ("CUP-001", 7)), NotPaid),
        (order(("TEA-001", 1), method="card", card=payments.DECLINED_CARD), NotPaid),
        (order(("TEA-001", 1), ("POT-001", 1)), UnknownReference),
        (OrderRequest(3, (Item("TEA-001", 1),), "balance"), UnknownReference),
    ],
)
def test_a_refused_order_leaves_nothing_behind(
    db: sqlite3.Connection, wanted: OrderRequest, refusal: type[Refused]
) -> None:
    before = dump(db)
    with pytest.raises(refusal):
        orders.place(db, wanted, AT)
    assert dump(db) == before


def test_what_is_reserved_can_be_put_back_until_it_is_sold(db: sqlite3.Connection) -> None:
    before = dump(db)
    stock.reserve(db, 1, "TEA-001", 2)
    stock.reserve(db, 1, "TEA-001", 3)
    stock.reserve(db, 2, "TEA-001", 1)
    stock.release(db, 2)
    assert [level["reserved"] for level in levels(db, "TEA-001")] == [3, 2]
    stock.release(db, 1)
    stock.release(db, 1)
    assert dump(db) == before

    stock.reserve(db, 3, "TEA-001", 1)
    stock.confirm(db, 3)
    stock.release(db, 3)
    assert [level["reserved"] for level in levels(db, "TEA-001")] == [1, 0]


def levels(db: sqlite3.Connection, sku: str) -> list[dict[str, int]]:
    found = stock.of(db, sku)
    assert found
    return found["warehouses"]  # type: ignore[return-value]


@pytest.mark.parametrize("method", ["card", "balance"])
def test_money_is_given_back_once_and_to_where_it_came_from(db: sqlite3.Connection, method: Method) -> None:
    order_id = orders.place(db, order(("TEA-001", 1), method=method, card="tok_visa"), AT)
    payment_id = payments.id_for_order(db, order_id)
    payments.refund(db, payment_id, 290)
    for _ in range(2):
        payments.give_back(db, order_id)
        payment, account = payments.find(db, payment_id), accounts.find(db, 1)
        assert payment
        assert account
        assert (payment["status"], payment["refunded"]) == ("refunded", payment["amount"])
        assert account["balance"] == {"amount": 100.0 if method == "card" else 97.1, "currency": "EUR"}
    payments.give_back(db, 99)  # never paid: nothing to give back


def test_a_file_from_before_the_later_tables_gets_them(path: Path) -> None:
    later = re.findall(r"TABLE IF NOT EXISTS (\w+)", " ".join(LATER_SCHEMA))
    open_writer(path, small_shop).close()
    with closing(sqlite3.connect(path)) as old:
        as_new = dump(old)
        for table in reversed(later):
            old.execute(f"DROP TABLE {table}")
        assert dump(old) != as_new
    with closing(open_writer(path, small_shop)) as db:
        assert sorted(dump(db)) == sorted(as_new)
        assert orders.place(db, order(("TEA-001", 1)), AT) == 10_001


@pytest.mark.parametrize(
    "step",
    [
        "UPDATE ON stock_levels",
        "INSERT ON orders",
        "INSERT ON order_lines",
        "UPDATE ON accounts",
        "INSERT ON payments",
    ],
)
@pytest.mark.parametrize("fault", ["FAIL", "ABORT", "ROLLBACK"])
def test_a_fault_at_any_step_leaves_nothing_behind(db: sqlite3.Connection, step: str, fault: str) -> None:
    db.execute(f"CREATE TRIGGER fault AFTER {step} BEGIN SELECT RAISE({fault}, 'injected'); END")
    before = dump(db)
    with pytest.raises(sqlite3.IntegrityError, match="injected"):
        orders.place(db, order(("TEA-001", 5)), AT)
    assert dump(db) == before

    db.execute("DROP TRIGGER fault")
    assert orders.place(db, order(("TEA-001", 5)), AT) == 10_001


def test_the_last_item_goes_to_one_of_many_buyers(db: sqlite3.Connection, path: Path) -> None:
    orders.place(db, order(("TEA-001", 6), method="card", card="tok_visa"), AT)
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def buy() -> None:
        with closing(open_writer(path, small_shop)) as own:
            together.wait()
            try:
                orders.place(own, order(("TEA-001", 1)), AT)
                outcomes.append("bought")
            except OutOfStock:
                outcomes.append("out of stock")

    buyers = [threading.Thread(target=buy) for _ in range(4)]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    assert sorted(outcomes) == ["bought", *["out of stock"] * 3]


WISHES = st.builds(
    OrderRequest,
    account_id=st.integers(1, 3),
    items=st.lists(
        st.builds(Item, st.sampled_from(["TEA-001", "CUP-001", "POT-001"]), st.integers(1, 5)),
        min_size=1,
        max_size=3,
    ).map(tuple),
    method=st.sampled_from(["card", "balance"]),
    card=st.sampled_from(["tok_visa", payments.DECLINED_CARD]),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wishes=st.lists(WISHES, max_size=12))
def test_the_books_agree_whatever_is_ordered(tmp_path: Path, wishes: list[OrderRequest]) -> None:
    path = tmp_path / "books.sqlite3"
    path.unlink(missing_ok=True)
    with closing(open_writer(path, small_shop)) as db:
        for wanted in wishes:
            try:
                orders.place(db, wanted, AT)
            except Refused:
                continue
        check_books(db, balance=20_000)


def check_books(db: sqlite3.Connection, balance: int) -> None:
    def cents(sql: str) -> int:
        return int(db.execute(sql).fetchone()[0] or 0)

    reserved = db.execute("SELECT sku, sum(reserved) FROM stock_levels GROUP BY sku HAVING sum(reserved) > 0")
    ordered = db.execute("SELECT sku, sum(quantity) FROM order_lines GROUP BY sku")
    assert dict(reserved) == dict(ordered)
    lines = cents("SELECT sum(quantity * unit_price_cents) FROM order_lines")
    assert cents("SELECT sum(total_cents) FROM orders") == lines
    assert cents("SELECT sum(amount_cents) FROM payments") == lines
    drawn = cents("SELECT sum(amount_cents) FROM payments WHERE method = 'balance'")
    assert cents("SELECT sum(balance_cents) FROM accounts") == balance - drawn


def seeded(path: Path, number: int) -> list[str]:
    with closing(open_writer(path, partial(seed.fill, seed=number))) as db:
        return dump(db)


def test_the_same_seed_gives_the_same_shop(tmp_path: Path) -> None:
    first = seeded(tmp_path / "a", 2019)
    assert seeded(tmp_path / "b", 2019) == first
    assert seeded(tmp_path / "c", 2020) != first


def test_a_second_start_leaves_the_data_alone(path: Path) -> None:
    assert seeded(path, 1) == seeded(path, 2)


def test_the_seeded_past_has_everything_a_comparison_wants(path: Path) -> None:
    with closing(open_writer(path, partial(seed.fill, seed=2019))) as db:
        assert len(catalogue.every(db)) == 40
        assert stock.every(db, below=5)
        assert any(len(item["warehouses"]) == 1 for item in stock.every(db))  # type: ignore[arg-type]
        every = [payments.find(db, number) for number in range(1, seed.ORDERS + 1)]
        shown = [payment for payment in every if payment]
        assert len(shown) == seed.ORDERS
        assert {payment["status"] for payment in shown} == {"captured", "refunded", "partly_refunded"}
        counts = (payments.of_account(db, number)["count"] for number in range(seed.ACCOUNTS, 0, -1))
        assert list(islice(counts, 10)) == [0] * 10
