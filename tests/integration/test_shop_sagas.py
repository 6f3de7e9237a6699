"""Orders whose parts are elsewhere, over real HTTP: what callers get, and what operators see."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from benchmarks import shop_books
from tests.support.relay import Drop, Say
from tests.support.shop_services import ROOT, Answer, Service, assert_one_line, run, wait_until
from tests.support.shop_world import BALANCE, DECLINED, World, order, taken_apart


@pytest.fixture(autouse=True)
def _closes_its_sockets() -> None:
    """The relay is shared by all tests here, and notices only later that a shop of the one before has left it."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with taken_apart(tmp_path_factory.mktemp("shop")) as world:
        yield world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    shared.relay.calm()
    yield shared
    shared.relay.calm()


def buy(monolith: Service, **change: object) -> Answer:
    return monolith.ask("/orders", "POST", order(**change))  # type: ignore[arg-type]


@pytest.mark.parametrize(("stock", "payments"), [*product(["local", "http"], repeat=2)])
def test_a_caller_sees_no_difference_wherever_the_parts_are(
    stock: str, payments: str, tmp_path: Path
) -> None:
    with taken_apart(tmp_path) as world, world.monolith(stock=stock, payments=payments) as monolith:
        before = world.books(stock, payments)
        placed = buy(monolith, quantity=2, sku="COF-001")
        assert placed.status == 201
        assert placed.headers["location"] == f"/orders/{placed.json['order_id']}"
        assert list(placed.json) == [
            *("order_id", "account_id", "payment_id", "placed_at", "total", "tax", "lines"),
        ]
        assert (placed.json["order_id"], placed.json["payment_id"]) == (10_801, 801)
        assert monolith.ask("/orders/10801").json == placed.json
        till = monolith if payments == "local" else world.services["payments"]
        shelves = monolith if stock == "local" else world.services["inventory"]
        assert till.ask("/payments/801").json["amount"] == placed.json["total"]
        assert shelves.ask("/stock/COF-001").json["reserved"] == before.reserved["COF-001"] + 2

        answers = [
            buy(monolith, sku="CUP-004", quantity=5),
            buy(monolith, payment=DECLINED),
            buy(monolith, sku="POT-001", quantity=100, account_id=190, payment=BALANCE),
            buy(monolith, sku="NOPE"),
            buy(monolith, account_id=201),
            monolith.ask("/orders", "POST", b"{"),
        ]
        assert [answer.status for answer in answers] == [409, 402, 402, 422, 422, 400]
        assert [answer.json["detail"] for answer in answers[:3]] == [
            "5 of CUP-004 were ordered, 1 are available",
            "the card was declined",
            "the balance of account 190 is too small",
        ]
        assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
        world.wait_for_the_end()
        shop_books.assert_they_add_up(before, world.books(stock, payments))


def test_ports_are_moved_there_and_back_one_at_a_time(tmp_path: Path) -> None:
    settings = [
        ("local", "local"),
        ("http", "local"),
        ("http", "http"),
        ("local", "http"),
        ("local", "local"),
    ]
    with taken_apart(tmp_path) as world:
        for number, (stock, payments) in enumerate(settings):
            before = world.books(stock, payments)
            environment = {"SHOP_STOCK": stock, "SHOP_PAYMENTS": payments}
            with world.monolith_by_environment(**environment) as monolith:
                placed = buy(monolith)
                # One series of numbers, whoever has the payment: no two payments are ever called the same.
                assert (placed.json["order_id"], placed.json["payment_id"]) == (10_801 + number, 801 + number)
            after = world.books(stock, payments)
            assert after.reserved - before.reserved == {"TEA-001": 1}
            assert after.charged.keys() - before.charged.keys() == {10_801 + number}
        with world.monolith() as monolith:
            paid = [monolith.ask(f"/orders/{number}").json["payment_id"] for number in range(10_801, 10_806)]
        assert paid == [801, 802, 803, 804, 805]


def test_a_call_that_is_lost_or_fails_is_made_again_with_the_same_key(world: World) -> None:
    before = world.books()
    lost = {"reserve": 1, "charge": 2, "confirm": 1}

    def lose(step: str) -> None:
        lost[step] -= 1
        if lost[step] >= 0:
            raise Drop if step == "charge" else Say(502)

    world.relay.after = lose
    with world.monolith() as monolith:
        world.relay.seen.clear()
        placed = buy(monolith)
    assert placed.status == 201
    number = placed.json["order_id"]
    assert world.relay.seen == [
        *[("reserve", f"order-{number}:reserve:1", status) for status in (502, 201)],
        *[("charge", f"order-{number}:charge:1", status) for status in (0, 0, 201)],
        *[("confirm", f"order-{number}:confirm:1", status) for status in (502, 200)],
    ]
    shop_books.assert_they_add_up(before, world.books())


def test_a_caller_who_would_wait_too_long_is_told_where_to_look(world: World) -> None:
    before, open_again = world.books(), []

    def hold(step: str) -> None:
        if step == "charge" and not open_again:
            raise Drop

    world.relay.before = hold
    with world.monolith("--answer-within", "0.2") as monolith:
        answer = buy(monolith, payment=BALANCE, account_id=world_account(world))
        assert answer.status == 202
        where = answer.headers["location"]
        assert answer.json == monolith.ask(where).json
        assert (answer.json["status"], answer.json["reason"]) == ("pending", None)
        assert answer.json["total"] == {"amount": 7.7, "currency": "EUR"}
        listed = json.loads(world.sagas("--json").out)["under_way"]
        assert [(each["order_id"], each["state"], each["step"]) for each in listed] == [
            (answer.json["order_id"], "reserved", "charge")
        ]
        open_again.append(True)
        wait_until(lambda: "payment_id" in monolith.ask(where).json)
        assert "status" not in monolith.ask(where).json
    shop_books.assert_they_add_up(before, world.books())


def world_account(world: World) -> int:
    with shop_books.opened(world.folder / "shop") as db:
        sql = "SELECT account_id FROM accounts ORDER BY balance_cents DESC"
        return int(db.execute(sql).fetchone()[0])


def test_an_order_is_cancelled_when_a_service_cannot_be_had_for_too_long(world: World) -> None:
    def nobody(step: str) -> None:
        if step == "charge":
            raise Say(500, b'{"detail": "on fire"}')

    before, world.relay.before = world.books(), nobody
    with world.monolith("--retry-for", "0.2") as monolith:
        answer = buy(monolith)
        assert answer.status == 503
        unreached = "a part of the shop could not be reached, so the order was cancelled"
        assert answer.json["detail"] == f"{unreached}; whatever was charged is given back"
        world.wait_for_the_end()
        number = world.relay.seen[-1][1].split(":")[0].removeprefix("order-")
        shown = monolith.ask(f"/orders/{number}").json
        assert (shown["status"], shown["reason"]) == ("cancelled", f"{unreached}; you are charged nothing")
        code, _, log = monolith.stop()
        assert (code, "charge failed after" in log, "500 on fire" in log) == (0, True, True)
    with shop_books.opened(world.folder / "shop") as db:
        sql = "SELECT reason FROM sagas WHERE order_id = ?"
        (kept,) = db.execute(sql, (number,)).fetchone()
    assert kept == "charge failed, so the order was cancelled: 500 on fire"
    shop_books.assert_they_add_up(before, world.books())
    assert world.services["payments"].ask(f"/payments/{int(number) - 10_000}").status == 404


@pytest.mark.parametrize(
    "body", [b'{"detail": "half \\ud83d"}', b"[" * 100_000, b'{"detail": "\xff"}', b"{" + b" " * 1_000_000]
)
def test_whatever_a_service_says_the_order_comes_to_its_end(body: bytes, world: World) -> None:
    def babble(step: str) -> None:
        if step == "charge":
            raise Say(400, body)

    before, world.relay.before = world.books(), babble
    with world.monolith() as monolith:
        assert buy(monolith).status == 503
        world.wait_for_the_end()
    shop_books.assert_they_add_up(before, world.books())


def test_many_buyers_of_the_last_items_get_no_more_than_there_are(world: World) -> None:
    before = world.books()
    left = world.services["inventory"].ask("/stock/POT-006").json["available"]
    with world.monolith() as monolith, ThreadPoolExecutor(8) as buyers:
        answers = list(buyers.map(lambda _: buy(monolith, sku="POT-006").status, range(left + 5)))
    assert sorted(answers) == [201] * left + [409] * 5
    shop_books.assert_they_add_up(before, world.books())


def test_sagas_that_are_under_way_when_the_shop_is_told_to_stop_go_on_at_the_next_start(world: World) -> None:
    before, asked = world.books(), []

    def hold(step: str) -> None:
        asked.append(step)
        raise Drop

    world.relay.before = hold
    with world.monolith("--answer-within", "0.1") as monolith:
        numbers = [buy(monolith).json["order_id"] for _ in range(3)]
        code, _, log = monolith.stop()
        assert (code, log) == (0, "")
    assert asked
    listed = world.sagas()
    assert listed.code == 0
    assert f"  order {numbers[0]}: placed, next reserve, since 2" in listed.out
    world.relay.calm()
    with world.monolith() as monolith:
        world.wait_for_the_end()
        assert [monolith.ask(f"/orders/{number}").status for number in numbers] == [200] * 3
    assert world.sagas().out == "under way: 0\ndead letters: 0\n"
    shop_books.assert_they_add_up(before, world.books())


def test_a_dead_letter_has_all_that_a_person_needs_and_can_be_retried(world: World) -> None:
    def refuse(step: str) -> None:
        if step in ("confirm", "refund"):
            raise Say(400, b'{"detail": "what is this?"}')

    before, world.relay.before = world.books(), refuse
    with world.monolith() as monolith:
        assert buy(monolith).status == 503
        wait_until(lambda: [state for _, state in world.books().under_way] == ["owing"])

        letter = json.loads(world.sagas("--json").out)["dead_letters"][0]
        number = letter["order_id"]
        at = letter.pop("at")
        assert at.endswith("Z")
        assert letter == {
            "order_id": number,
            "state": "owing",
            "step": "refund",
            "request": {
                "method": "POST",
                "target": f"/payments/{number - 10_000}/refund",
                "body": {"order_id": number},
            },
            "key": f"order-{number}:refund:1",
            "attempts": 1,
            "last_error": "400 what is this?",
        }
        text = world.sagas().out
        assert f"order {number}: refund was given up at {at}, 1 attempts: 400 what is this?" in text
        assert f"POST /payments/{number - 10_000}/refund" in text
        # As a line that can be run: what was listed by way of another proxy is not undone by way of the usual one.
        assert (
            f"sagas retry {number} --database {world.folder / 'shop'} --proxy {world.relay.address}\n" in text
        )
        assert f"--proxy {world.relay.address} --token-keys k\n" in world.sagas("--token-keys", "k").out

        failed = world.sagas("retry", number)
        assert (failed.code, failed.out) == (1, "")
        assert failed.err.splitlines()[-1] == f"order {number}: refund has failed again: 400 what is this?"
        assert json.loads(world.sagas("--json").out)["dead_letters"][0]["attempts"] == 2

        world.relay.calm()
        done = world.sagas("retry", number)
        assert (done.code, done.err) == (0, "")
        assert done.out == f"order {number} is cancelled: all that was done for it is undone\n"
        assert world.relay.seen[-1] == ("refund", f"order-{number}:refund:3", 200)
        assert_one_line(world.sagas("retry", number), "legacy_monolith")
    shop_books.assert_they_add_up(before, world.books())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_retry_that_was_interrupted_beside_a_running_shop_is_said_again(
    number: signal.Signals, world: World
) -> None:
    asked = threading.Event()

    def refuse(step: str) -> None:
        if step in ("confirm", "refund"):
            raise Say(400)

    def lose(_: str) -> None:
        asked.set()
        raise Drop

    before, world.relay.before = world.books(), refuse
    with world.monolith() as monolith:
        assert buy(monolith).status == 503
        wait_until(lambda: [state for _, state in world.books().under_way] == ["owing"])
        order_id = world.books().under_way[0][0]
        world.relay.before = lose
        command = [sys.executable, "-m", "legacy_monolith", "sagas", "retry", str(order_id)]
        with subprocess.Popen(
            [*command, "--database", world.folder / "shop", "--proxy", world.relay.address], cwd=ROOT
        ) as retry:
            assert asked.wait(30)
            retry.send_signal(number)
        assert world.books().under_way == [(order_id, "refunding-last")]
        world.relay.calm()
        done = world.sagas("retry", order_id)
        assert (done.code, done.err) == (0, "")
        # It went on with what was begun, and did not begin another round.
        assert world.relay.seen[-1] == ("refund", f"order-{order_id}:refund:2", 200)
        assert_one_line(world.sagas("retry", order_id), "legacy_monolith")
    shop_books.assert_they_add_up(before, world.books())


def test_an_order_that_the_shop_sees_through_by_itself_is_not_retried(world: World) -> None:
    def lose(step: str) -> None:
        if step in ("confirm", "refund"):
            raise Drop

    world.relay.before = lose
    with world.monolith("--retry-for", "0.1", "--answer-within", "0.1") as monolith:
        assert buy(monolith).status in (202, 503)
        wait_until(lambda: [state for _, state in world.books().under_way] == ["refunding"])
        assert_one_line(world.sagas("retry", world.books().under_way[0][0]), "legacy_monolith")
        world.relay.calm()
        world.wait_for_the_end()


def test_a_busy_database_makes_a_saga_wait_and_lose_nothing(world: World) -> None:
    before = world.books()
    with (
        world.monolith() as monolith,
        closing(sqlite3.connect(world.folder / "shop", isolation_level=None, check_same_thread=False)) as db,
        ThreadPoolExecutor(1) as buyer,
    ):

        def occupy(step: str) -> None:
            if step == "reserve":
                db.execute("BEGIN IMMEDIATE")

        world.relay.after = occupy
        answer = buyer.submit(buy, monolith)
        assert "a saga waits" in read_line(monolith)
        db.execute("ROLLBACK")
        assert answer.result().status == 201
    shop_books.assert_they_add_up(before, world.books())


def read_line(service: Service) -> str:
    assert service.process.stderr
    return service.process.stderr.readline()


@pytest.mark.parametrize(
    "arguments",
    [
        ["sagas"],
        ["sagas", "--database", "NONE"],
        ["sagas", "retry", "--database", "OWN"],
        ["sagas", "retry", "x", "--database", "OWN"],
        ["sagas", "retry", "9" * 5000, "--database", "OWN"],
        ["sagas", "retry", "99", "--database", "OWN"],
        ["sagas", "stop", "1", "--database", "OWN"],
        ["serve", "--database", "OWN", "--stock", "nowhere"],
        ["serve", "--database", "OWN", "--proxy", "localhost"],
        ["serve", "--database", "OWN", "--proxy", "http://a/b"],
        ["serve", "--database", "OWN", "--proxy", "http://a:99999"],
        ["serve", "--database", "OWN", "--retry-for", "-1"],
        ["serve", "--database", "OWN", "--undo-for", "nan"],
    ],
)
def test_a_command_that_cannot_be_is_one_line_and_exit_2(arguments: list[str], world: World) -> None:
    places = {"OWN": str(world.folder / "shop"), "NONE": str(world.folder / "none")}
    assert_one_line(
        run("legacy_monolith", *(places.get(each, each) for each in arguments)), "legacy_monolith"
    )
    assert not (world.folder / "none").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("SHOP_PAYMENTS", "elsewhere"), ("SHOP_DIE_AT", "charge:lunch"), ("SHOP_CALL_WITHIN", "soon")],
)
def test_a_variable_that_cannot_be_is_one_line_and_exit_2(
    name: str, value: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert_one_line(run("legacy_monolith", "--database", world.folder / "shop"), "legacy_monolith")
