"""The extracted services' writes: each key has one effect and one answer, whatever happens in between."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from legacy_monolith import seed
from legacy_monolith.database import open_writer
from tests.support.shop_services import ROOT, Answer, Service, bring_over, dump, running, wait_until

EXTRACTED = ("payments", "inventory")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both services' databases, filled from a monolith's."""
    folder = tmp_path_factory.mktemp("shop")
    open_writer(folder / "shop", partial(seed.fill, seed=2019)).close()
    for service in EXTRACTED:
        bring_over(service, folder / "shop", folder / service)
    return folder


@pytest.fixture(scope="module")
def payments(folder: Path) -> Iterator[Service]:
    with running("extracted.payments", "--database", folder / "payments") as service:
        yield service


@pytest.fixture(scope="module")
def inventory(folder: Path) -> Iterator[Service]:
    with running("extracted.inventory", "--database", folder / "inventory") as service:
        yield service


def euros(amount: object) -> dict[str, object]:
    return {"amount": amount, "currency": "EUR"}


def charge(number: int, **change: object) -> dict[str, object]:
    """A payment of the order that goes with its number."""
    return {
        "payment_id": number,
        "order_id": 10_000 + number,
        "account_id": 7,
        "method": "card",
        "card": "tok_visa",
        "amount": euros(12.9),
        "tax": euros(0.84),
        "taken_at": "2019-04-01T12:00:00Z",
    } | change


def reservation(order_id: int, *items: tuple[str, int]) -> dict[str, object]:
    return {"order_id": order_id, "items": [{"sku": sku, "quantity": quantity} for sku, quantity in items]}


def post(service: Service, target: str, body: object, key: str) -> Answer:
    return service.ask(target, "POST", body, Idempotency_Key=key)


def assert_problem(answer: Answer, status: int, detail: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status, answer.json["status"], answer.json["type"]) == (status, status, "about:blank")
    assert detail in answer.json["detail"]


def test_a_payment_is_taken_and_given_back(payments: Service) -> None:
    taken = post(payments, "/payments", charge(801), "801")
    assert (taken.status, taken.headers["location"]) == (201, "/payments/801")
    assert taken.json["amount"] == euros(12.9)
    assert taken.json["fee"] == euros(0.32)
    assert payments.ask("/payments/801").json == taken.json
    assert taken.json in payments.ask("/accounts/7/payments").json["payments"]

    back = post(payments, "/payments/801/refund", {"order_id": 10_801}, "801-back")
    assert back.status == 200
    assert back.json == taken.json | {"status": "refunded", "refunded": euros(12.9)}
    assert payments.ask("/payments/801").json == back.json


def test_an_account_that_payments_has_not_heard_of_is_known_after_its_first_payment(
    payments: Service,
) -> None:
    assert payments.ask("/accounts/4711/payments").status == 404
    post(payments, "/payments", charge(802, account_id=4711, method="balance", card=None), "802")
    assert payments.ask("/accounts/4711/payments").json["count"] == 1


def test_goods_are_set_aside_sold_and_put_back(inventory: Service) -> None:
    def left() -> int:
        return int(inventory.ask("/stock/TEA-002").json["available"])

    before = left()
    held = post(inventory, "/reservations", reservation(20_001, ("TEA-002", 2), ("TEA-002", 1)), "a")
    assert (held.status, held.json["state"], left()) == (201, "held", before - 3)
    assert held.json["lines"] == [{"sku": "TEA-002", "warehouse": "LEJ", "quantity": 3}]
    assert inventory.ask(held.headers["location"]).json == held.json

    sold = post(inventory, "/reservations/20001/confirm", {}, "b")
    assert (sold.status, sold.json["state"], left()) == (200, "confirmed", before - 3)
    back = post(inventory, "/reservations/20001/release", {}, "c")
    assert (back.status, back.json["state"], left()) == (200, "released", before)
    assert inventory.ask("/reservations/20001").json == back.json
    assert post(inventory, "/reservations/20001/release", {}, "d").json == back.json
    assert left() == before


def test_an_order_takes_from_several_warehouses_in_picking_order(inventory: Service) -> None:
    shelves = inventory.ask("/stock/POT-001").json["warehouses"]
    free = [each["on_hand"] - each["reserved"] for each in shelves]
    held = post(inventory, "/reservations", reservation(20_002, ("POT-001", free[0] + 1)), "e")
    assert [(line["warehouse"], line["quantity"]) for line in held.json["lines"]] == [
        (shelves[0]["code"], free[0]),
        (shelves[1]["code"], 1),
    ]


REFUSALS: dict[str, tuple[str, str, Any, int, str]] = {
    "declined": ("payments", "/payments", charge(803, card="tok_declined"), 402, "the card was declined"),
    "too much": ("payments", "/payments", charge(804, amount=euros(10_000.01)), 402, "declined"),
    "taken number": ("payments", "/payments", charge(1, order_id=70_000), 409, "another payment 1"),
    "paid order": ("payments", "/payments", charge(805, order_id=10_001), 409, "one for order 10001"),
    "wrong order": ("payments", "/payments/1/refund", {"order_id": 10_002}, 409, "for another order"),
    "too few": (
        *("inventory", "/reservations", reservation(20_010, ("TEA-003", 1), ("CUP-004", 5))),
        *(409, "5 of CUP-004 were ordered, "),
    ),
    "not kept": (
        "inventory",
        "/reservations",
        reservation(20_011, ("NOPE", 1)),
        409,
        "1 of NOPE were ordered, 0",
    ),
    "nothing held": (
        "inventory",
        "/reservations/20012/confirm",
        {},
        409,
        "nothing is reserved for order 20012",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_an_answer_too_and_leaves_no_other_trace(
    case: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    name, target, body, status, detail = REFUSALS[case]
    service = request.getfixturevalue(name)
    before = without_answers(folder / name)
    first = post(service, target, body, case.replace(" ", "-"))
    assert_problem(first, status, detail)
    again = post(service, target, body, case.replace(" ", "-"))
    assert (again.status, again.body) == (first.status, first.body)
    assert without_answers(folder / name) == before


def dumped(path: Path) -> list[str]:
    """All but the catalogue, which follows by itself, and later."""
    return [line for line in dump(path) if "catalogue" not in line]


def without_answers(path: Path) -> list[str]:
    return [line for line in dumped(path) if 'INTO "answers"' not in line]


def without_events(path: Path) -> list[str]:
    return [line for line in without_answers(path) if "outbox" not in line and "sqlite_sequence" not in line]


def events(path: Path) -> int:
    return sum('INTO "outbox" ' in line for line in dumped(path))


WRITES: dict[str, tuple[str, str, Any]] = {
    "charge": ("payments", "/payments", charge(810)),
    "refund": ("payments", "/payments/2/refund", {"order_id": 10_002}),
    "reserve": ("inventory", "/reservations", reservation(20_020, ("TEA-004", 2), ("COF-001", 1))),
    "confirm": ("inventory", "/reservations/20020/confirm", {}),
    "release": ("inventory", "/reservations/20020/release", {}),
}


@pytest.mark.parametrize("step", WRITES)
def test_a_repeated_key_gets_the_first_answer_and_has_no_second_effect(
    step: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    name, target, body = WRITES[step]
    service = request.getfixturevalue(name)
    first = post(service, target, body, f"twice:{step}")
    assert first.status in (200, 201)
    assert "idempotency-replayed" not in first.headers
    after = dumped(folder / name)
    again = post(service, target, dict(reversed(body.items())), f"twice:{step}")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert dumped(folder / name) == after


@pytest.mark.parametrize("step", WRITES)
def test_a_key_belongs_to_one_request(step: str, folder: Path, request: pytest.FixtureRequest) -> None:
    name, target, body = WRITES[step]
    service = request.getfixturevalue(name)
    post(service, target, body, f"mine:{step}")
    before = dumped(folder / name)
    other_body = body | {"note": "another"}
    assert_problem(post(service, target, other_body, f"mine:{step}"), 422, "was used for another request")
    if step in ("confirm", "release", "refund"):
        other_target = target.replace("20020", "20021").replace("/2/", "/3/")
        assert_problem(post(service, other_target, body, f"mine:{step}"), 422, f"the key mine:{step} ")
    assert dumped(folder / name) == before


@pytest.mark.parametrize("step", WRITES)
def test_the_same_again_under_another_key_has_no_second_effect_either(
    step: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    name, target, body = WRITES[step]
    body = body | ({"order_id": 20_030} if step == "reserve" else {})
    target = target.replace("20020", "20030")
    service = request.getfixturevalue(name)
    first = post(service, target, body, f"one:{step}")
    after = without_answers(folder / name)
    again = post(service, target, body, f"two:{step}")
    assert (again.status, again.body) == (first.status, first.body)
    assert without_answers(folder / name) == after


@pytest.mark.parametrize("step", WRITES)
@pytest.mark.parametrize(
    ("key", "detail"),
    [
        (None, "the header Idempotency-Key is missing"),
        ("", "must be 1 to 255 visible"),
        ("a b", "must be 1 to 255 visible"),
        ("k" * 256, "must be 1 to 255 visible"),
        ("\xe9", "must be 1 to 255 visible"),
    ],
)
def test_a_write_without_a_good_key_is_refused(
    step: str, key: str | None, detail: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    name, target, body = WRITES[step]
    before = dumped(folder / name)
    headers = {} if key is None else {"Idempotency_Key": key}
    assert_problem(request.getfixturevalue(name).ask(target, "POST", body, **headers), 400, detail)
    assert dumped(folder / name) == before


@pytest.mark.parametrize(
    ("name", "target", "body", "detail"),
    [
        ("payments", "/payments", b"{", "not JSON"),
        ("payments", "/payments", b"[]", "must be an object"),
        ("payments", "/payments", b'{"amount": NaN}', "not JSON"),
        ("payments", "/payments", charge(0), "payment_id must be a whole number"),
        ("payments", "/payments", charge(820, order_id=True), "order_id must be"),
        ("payments", "/payments", charge(820, method="cash"), 'method must be "card" or "balance"'),
        ("payments", "/payments", charge(820, card="4111111111111111"), "card must be a card token"),
        ("payments", "/payments", charge(820, amount=12.9), "amount must be an amount with the currency"),
        ("payments", "/payments", charge(820, amount=euros("12.9")), "amount must have a number"),
        ("payments", "/payments", charge(820, amount=euros(True)), "amount must have a number"),
        ("payments", "/payments", charge(820, amount=euros(12.905)), "amount must be in whole cents"),
        ("payments", "/payments", charge(820, amount=euros(-1)), "amount must have a number from 0"),
        ("payments", "/payments", charge(820, amount=euros(0)), "amount must be 0.01 or more"),
        ("payments", "/payments", charge(820, amount={"amount": 1, "currency": "USD"}), "currency EUR"),
        ("payments", "/payments", charge(820, tax=euros(13)), "tax must be no more than amount"),
        ("payments", "/payments", charge(820, taken_at="today"), "taken_at must be a time"),
        ("payments", "/payments/1/refund", {}, "order_id must be a whole number"),
        ("inventory", "/reservations", {"order_id": 1}, "items must be a list of 1 to 50"),
        ("inventory", "/reservations", {"order_id": 1, "items": []}, "items must be a list of 1 to 50"),
        ("inventory", "/reservations", {"order_id": 1, "items": [7]}, "items[0] must be an object"),
        ("inventory", "/reservations", reservation(1, ("tea", 1)), "items[0].sku must be"),
        ("inventory", "/reservations", reservation(1, ("TEA-001", 0)), "items[0].quantity must be"),
        ("inventory", "/reservations", reservation(2**63, ("TEA-001", 1)), "order_id must be"),
        ("inventory", "/reservations/1/confirm", b"", "not JSON"),
    ],
)
def test_a_write_that_cannot_be_understood_does_not_use_up_its_key(
    name: str, target: str, body: object, detail: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    before = dumped(folder / name)
    assert_problem(post(request.getfixturevalue(name), target, body, "unused"), 400, detail)
    assert dumped(folder / name) == before


def test_a_body_that_is_too_large_is_refused(payments: Service) -> None:
    body = b'{"x": "' + b"x" * 70_000 + b'"}'
    assert post(payments, "/payments", body, "large").status == 413


@pytest.mark.parametrize("step", ["charge", "reserve"])
def test_of_concurrent_duplicates_one_is_carried_out(
    step: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    name, target, body = WRITES[step]
    body = body | ({"order_id": 20_040} if step == "reserve" else {"payment_id": 811, "order_id": 10_811})
    service = request.getfixturevalue(name)
    before, told = len(without_events(folder / name)), events(folder / name)
    together = threading.Barrier(8)

    def ask(_: int) -> Answer:
        together.wait()
        return post(service, target, body, f"at-once:{step}")

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(ask, range(8)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    # One payment; or one reservation with its two lines.
    assert len(without_events(folder / name)) - before == (1 if step == "charge" else 3)
    # What is told: the payment, or the two levels.
    assert events(folder / name) - told == (1 if step == "charge" else 2)


@pytest.mark.parametrize(
    ("undo", "do", "detail"),
    [
        (
            ("payments", "/payments/830/refund", {"order_id": 10_830}, "cancelled"),
            ("payments", "/payments", charge(830), "-"),
            "payment 830 was cancelled before it was taken",
        ),
        (
            ("inventory", "/reservations/20050/release", {}, "released"),
            ("inventory", "/reservations", reservation(20_050, ("TEA-001", 1)), "-"),
            "the reservation for order 20050 was released",
        ),
    ],
)
def test_what_is_undone_before_it_arrives_does_not_happen_any_more(
    undo: tuple[str, str, Any, str],
    do: tuple[str, str, Any, str],
    detail: str,
    request: pytest.FixtureRequest,
) -> None:
    name, target, body, state = undo
    service = request.getfixturevalue(name)
    answer = post(service, target, body, f"undo:{target}")
    assert answer.status == 200
    assert state in answer.json.values()
    assert_problem(post(service, do[1], do[2], f"late:{target}"), 409, detail)


def test_the_last_goods_go_to_those_who_come_first(inventory: Service) -> None:
    left = inventory.ask("/stock/POT-006").json["available"]

    def buy(number: int) -> int:
        return post(inventory, "/reservations", reservation(number, ("POT-006", 1)), f"last:{number}").status

    with ThreadPoolExecutor(8) as buyers:
        statuses = list(buyers.map(buy, range(30_000, 30_000 + left + 5)))
    assert sorted(statuses) == [201] * left + [409] * 5
    assert inventory.ask("/stock/POT-006").json["available"] == 0


@pytest.mark.parametrize("step", ["charge", "reserve"])
def test_a_service_killed_in_the_middle_of_a_write_has_done_all_of_it_or_nothing(
    step: str, folder: Path, tmp_path: Path
) -> None:
    name, target, body = WRITES[step]
    body = body | ({"order_id": 20_060} if step == "reserve" else {"payment_id": 812, "order_id": 10_812})
    own = tmp_path / name
    bring_over(name, folder / "shop", own)
    before = dump(own)
    with (
        running(f"extracted.{name}", "--database", own) as service,
        closing(sqlite3.connect(own, isolation_level=None)) as db,
        ThreadPoolExecutor(1) as caller,
    ):
        db.execute("BEGIN IMMEDIATE")  # so the write has begun, and waits
        idle = threads(service)
        asked = caller.submit(post, service, target, body, "killed")
        wait_until(lambda: threads(service) > idle)
        service.process.kill()
        with pytest.raises(ConnectionError):
            asked.result()
        db.execute("ROLLBACK")
    assert dump(own) == before
    with running(f"extracted.{name}", "--database", own) as service:
        assert post(service, target, body, "killed").status == 201
        service.process.kill()
    with running(f"extracted.{name}", "--database", own) as service:
        again = post(service, target, body, "killed")
        assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")


def threads(service: Service) -> int:
    """One more as soon as the first write has begun, for writes have a thread of their own."""
    return len(list(Path(f"/proc/{service.process.pid}/task").iterdir()))


def test_a_busy_database_is_said_to_be_busy_and_the_key_stays_free(payments: Service, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "payments", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        answer = post(payments, "/payments", charge(840), "busy")
        assert payments.ask("/payments/1").status == 200
        db.execute("ROLLBACK")
    assert_problem(answer, 503, "the database does not answer")
    assert answer.headers["retry-after"] == "1"
    assert post(payments, "/payments", charge(840), "busy").status == 201


def test_both_services_have_the_same_code_where_they_do_the_same() -> None:
    for module in ("idempotency", "writing", "serving"):
        texts = [
            (ROOT / "extracted" / name / f"{module}.py").read_text().replace(f"extracted.{name}", "extracted")
            for name in EXTRACTED
        ]
        assert texts[0] == texts[1], module
