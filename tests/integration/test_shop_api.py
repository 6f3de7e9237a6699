"""The monolith over HTTP: what it answers, and what it refuses."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.shop_services import Answer, Service, dump, running


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "shop.sqlite3"


@pytest.fixture(scope="module")
def shop(database: Path) -> Iterator[Service]:
    with running("legacy_monolith", "--database", database, "--release", "legacy-1") as service:
        yield service


def order(sku: str = "TEA-002", quantity: int = 1, **change: object) -> dict[str, object]:
    items = [{"sku": sku, "quantity": quantity}]
    return {"account_id": 7, "items": items, "payment": {"method": "card", "card": "tok_visa"}} | change


def assert_problem(answer: Answer, status: int, detail: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-release"] == "legacy-1"
    assert detail in answer.json["detail"]
    assert (answer.json["status"], answer.json["type"]) == (status, "about:blank")


@pytest.mark.parametrize(
    ("target", "cache_control"),
    [
        ("/healthz", "no-store"),
        ("/products", "public, max-age=60"),
        ("/products/TEA-001", "public, max-age=60"),
        ("/stock", "no-cache"),
        ("/stock/TEA-001", "no-cache"),
        ("/accounts/7", "private, no-cache"),
        ("/accounts/7/payments", "private, no-cache"),
        ("/payments/42", "private, no-cache"),
        ("/orders/10001", "private, no-cache"),
    ],
)
def test_reads_answer_json_and_head_answers_its_headers(
    shop: Service, target: str, cache_control: str
) -> None:
    got, head = shop.ask(target), shop.ask(target, "HEAD")
    assert got.status == head.status == 200
    assert got.json
    assert head.body == b""
    assert head.headers | {"date": ""} == got.headers | {"date": ""}
    assert got.headers["content-type"] == "application/json"
    assert got.headers["cache-control"] == cache_control
    assert got.headers["x-release"] == "legacy-1"


def test_lists_can_be_narrowed(shop: Service) -> None:
    teas = shop.ask("/products?category=tea").json["items"]
    assert {tea["category"] for tea in teas} == {"tea"}
    scarce = shop.ask("/stock?below=5").json["items"]
    assert scarce
    assert all(item["available"] < 5 for item in scarce)


def test_a_product_that_has_not_changed_is_not_sent_again(shop: Service) -> None:
    tag = shop.ask("/products/TEA-001").headers["etag"]
    again = shop.ask("/products/TEA-001", If_None_Match=f'"other", W/{tag}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert shop.ask("/products/TEA-001", If_None_Match='"other"').status == 200


@pytest.mark.parametrize("thing", ["products", "stock", "accounts", "payments", "orders"])
@pytest.mark.parametrize("name", ["0", "99999", "x%FF", "%00", "%ED%A0%80", "9" * 30])
def test_what_does_not_exist_is_not_found(shop: Service, thing: str, name: str) -> None:
    assert_problem(shop.ask(f"/{thing}/{name}"), 404, "there is no ")


def test_an_order_is_placed_and_can_be_read(shop: Service) -> None:
    before = shop.ask("/stock/COF-001").json["available"]
    placed = shop.ask("/orders", "POST", order("COF-001", 2))
    assert placed.status == 201
    assert shop.ask(placed.headers["location"]).json == placed.json
    payment = shop.ask(f"/payments/{placed.json['payment_id']}").json
    assert payment["order_id"] == placed.json["order_id"]
    assert payment in shop.ask("/accounts/7/payments").json["payments"]
    assert shop.ask("/stock/COF-001").json["available"] == before - 2


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (order("CUP-004", 5), 409, "5 of CUP-004 were ordered"),
        (order(payment={"method": "card", "card": "tok_declined"}), 402, "the card was declined"),
        (
            order("POT-001", 100, account_id=190, payment={"method": "balance"}),
            402,
            "the balance of account 190",
        ),
        (order("NOPE"), 422, "there is no product NOPE"),
        (order(account_id=201), 422, "there is no account 201"),
        (order(quantity=0), 400, "items[0].quantity"),
        (b"{", 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b'"' + b"x" * 70_000 + b'"', 413, "too large"),
    ],
)
def test_an_order_that_cannot_be_is_refused_and_changes_nothing(
    shop: Service, database: Path, body: Any, status: int, detail: str
) -> None:
    before = dump(database)
    assert_problem(shop.ask("/orders", "POST", body), status, detail)
    assert dump(database) == before


def test_a_fault_in_the_last_step_is_a_500_that_tells_no_secrets(shop: Service, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("CREATE TRIGGER fault AFTER INSERT ON payments BEGIN SELECT RAISE(FAIL, 'secret'); END")
        before = dump(database)
        try:
            answer = shop.ask("/orders", "POST", order())
            assert dump(database) == before
        finally:
            db.execute("DROP TRIGGER fault")
    assert_problem(answer, 500, "could not be answered")
    assert b"secret" not in answer.body
    assert shop.ask("/orders", "POST", order()).status == 201


def test_many_buyers_of_the_last_items_get_no_more_than_there_are(shop: Service) -> None:
    left = shop.ask("/stock/POT-006").json["available"]
    with ThreadPoolExecutor(8) as buyers:
        answers = list(buyers.map(lambda _: shop.ask("/orders", "POST", order("POT-006")), range(left + 5)))
    assert sorted(answer.status for answer in answers) == [201] * left + [409] * 5
    assert len({answer.json["payment_id"] for answer in answers if answer.status == 201}) == left
    assert shop.ask("/stock/POT-006").json["available"] == 0


def test_unknown_methods_and_paths_are_problems_too(shop: Service) -> None:
    assert_problem(shop.ask("/"), 404, "nothing at this path")
    refused = shop.ask("/orders/10001", "DELETE")
    assert_problem(refused, 405, "does not answer to this method")
    assert set(refused.headers["allow"].split(",")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "rest",
    [
        b"GET /stock/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    ],
)
def test_nonsense_on_the_wire_is_the_callers_fault(shop: Service, rest: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shop.port), timeout=10) as connection:
        connection.sendall(rest)
        status = connection.makefile("rb").readline().split()[1]
    assert status in (b"400", b"404")
    assert shop.ask("/healthz").json == {
        "status": "ok",
        "service": "legacy_monolith",
        "release": "legacy-1",
    }


def test_a_busy_database_is_said_to_be_busy(shop: Service, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        answer = shop.ask("/orders", "POST", json.dumps(order()).encode())
        assert shop.ask("/payments/1").status == 200
        db.execute("ROLLBACK")
    assert_problem(answer, 503, "the database does not answer")
