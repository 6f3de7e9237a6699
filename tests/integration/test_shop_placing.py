"""Sagas against the services' own code, dying anywhere: whatever happens, the books agree in the end."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import shop_books
from extracted.inventory import database as inventory_database
from extracted.inventory import idempotency as inventory_idempotency
from extracted.inventory import requests as inventory_requests
from extracted.inventory import reserving
from extracted.payments import charging, idempotency, requests
from extracted.payments import database as payments_database
from extracted.payments.releases import RELEASES
from legacy_monolith import orders, saga_log, seed
from legacy_monolith.database import open_writer
from legacy_monolith.errors import NotFound, NotPaid, NotReached, OutOfStock, Refused
from legacy_monolith.order_request import Item, OrderRequest
from legacy_monolith.placing import Move, Placing
from legacy_monolith.replies import Done, Failed, Heard, Refusal, Reply, judge
from legacy_monolith.saga import WAITING, Rest
from legacy_monolith.saga_log import Pending, Places
from tests.support.shop_services import bring_over

AT = "2019-04-01T12:00:00Z"
PLACES = [Places(stock, payments) for stock, payments in product(["local", "http"], repeat=2)]
REMOTE = PLACES[1:]


class Died(BaseException):
    """The process is no more."""


@dataclass
class World:
    """The monolith and both services in one process; a call is a function, and dying an exception."""

    folder: Path
    shop: sqlite3.Connection
    payments: sqlite3.Connection
    inventory: sqlite3.Connection
    reached: list[str] = field(default_factory=list)
    dies_in: int = -1  # so many points from now; below 0 never

    def placing(self, places: Places) -> Placing:
        return Placing(self.shop, places, self.reach)

    def reach(self, point: str) -> None:
        self.reached.append(point)
        self.dies_in -= 1
        if self.dies_in == 0:
            raise Died(point)

    def call(self, what: Pending) -> Reply:
        """Make a call, and say what its answer means: here it always means something."""
        heard = self.carry_out(what)
        reply = judge(what.step, heard)
        assert isinstance(reply, Done | Refusal), (what, heard)
        return reply

    def carry_out(self, what: Pending) -> Heard:
        data = json.loads(what.call.body, parse_float=Decimal)
        target = f"POST {what.call.target}"
        done: idempotency.Given | inventory_idempotency.Given
        if what.call.target.startswith("/payments"):
            done = idempotency.once(self.payments, what.key, target, data, self._pay(what, data), 0.0)
        else:
            done = inventory_idempotency.once(self.inventory, what.key, target, data, _stock(what, data), 0.0)
        return Heard(done.status, done.body.encode())

    def _pay(self, what: Pending, data: dict[str, object]) -> idempotency.Work:
        release = RELEASES["v2"]
        if what.step == "charge":
            return lambda db: charging.charge(db, release, requests.charge(data))
        number = int(what.call.target.split("/")[2])
        return lambda db: charging.refund(db, release, number, requests.order_of(data))


def _stock(what: Pending, data: dict[str, object]) -> inventory_idempotency.Work:
    if what.step == "reserve":
        return lambda db: reserving.reserve(db, inventory_requests.reservation(data))
    work = {"confirm": reserving.confirm, "release": reserving.release}[what.step]
    return lambda db: work(db, int(what.call.target.split("/")[2]))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The three databases as the seed leaves them, each as a file's content."""
    folder = tmp_path_factory.mktemp("filled")
    open_writer(folder / "shop", partial(seed.fill, seed=2019)).close()
    for service in ("payments", "inventory"):
        bring_over(service, folder / "shop", folder / service)
    return {name: (folder / name).read_bytes() for name in ("shop", "payments", "inventory")}


Open = Callable[[], World]


@pytest.fixture
def new_world(filled: dict[str, bytes], tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_world() -> World:
            stack.close()
            for path in tmp_path.iterdir():
                path.unlink()
            for name, content in filled.items():
                (tmp_path / name).write_bytes(content)
            shop = stack.enter_context(closing(open_writer(tmp_path / "shop", lambda db: None)))
            services = [
                stack.enter_context(closing(module.open_database(tmp_path / name)))
                for name, module in (("payments", payments_database), ("inventory", inventory_database))
            ]
            for db in (shop, *services):
                db.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug
            return World(tmp_path, shop, *services)

        yield open_world


@pytest.fixture
def world(new_world: Open) -> World:
    return new_world()


def wish(
    sku: str = "TEA-001", quantity: int = 2, card: str | None = "tok_visa", account_id: int = 7
) -> OrderRequest:
    items = (Item(sku, quantity), Item("COF-001", 1))
    return OrderRequest(account_id, items, "card" if card else "balance", card)


def rich(world: World) -> int:
    """An account that has something to pay from."""
    row = world.shop.execute("SELECT account_id FROM accounts WHERE balance_cents >= 40000").fetchone()
    return int(row[0])


def see_through(placing: Placing, world: World, move: Move) -> Move:
    while isinstance(move.next, Pending):
        move = placing.settle(move.next, world.call(move.next), AT)
    return move


def books(world: World, places: Places) -> shop_books.Books:
    return shop_books.read(world.folder, places.stock, places.payments)


def ids(places: Places) -> str:
    return f"stock {places.stock}, payments {places.payments}"


@pytest.mark.parametrize("places", PLACES, ids=ids)
@pytest.mark.parametrize("card", ["tok_visa", None])
def test_an_order_is_placed_wherever_its_parts_are(places: Places, card: str | None, world: World) -> None:
    before, placing = books(world, places), world.placing(places)
    wanted = wish(card=card, account_id=rich(world))
    move = see_through(placing, world, placing.begin(wanted, AT))
    assert (move.next, move.refusal) == (Rest("confirmed"), None)
    shown = orders.find(world.shop, move.order_id)
    assert shown
    assert (shown["order_id"], shown["payment_id"], shown["placed_at"]) == (10_801, 801, AT)
    shop_books.assert_they_add_up(before, books(world, places))
    elsewhere = Places(*("local" if where == "http" else "http" for where in (places.stock, places.payments)))
    untouched = books(world, elsewhere)
    assert untouched.reserved == before.reserved
    assert untouched.charged == {}


@pytest.mark.parametrize("places", REMOTE, ids=ids)
@pytest.mark.parametrize(
    ("wanted", "error", "text"),
    [
        (wish("CUP-004", 5), OutOfStock, "5 of CUP-004 were ordered, 1 are available"),
        (wish(card="tok_declined"), NotPaid, "the card was declined"),
        (wish("POT-001", 100, card=None, account_id=190), NotPaid, "the balance of account 190 is too small"),
    ],
)
def test_an_order_that_is_refused_is_undone_and_says_why(
    places: Places, wanted: OrderRequest, error: type[Refused], text: str, world: World
) -> None:
    before, placing = books(world, places), world.placing(places)
    move = see_through(placing, world, placing.begin(wanted, AT))
    assert move.next == Rest("cancelled")
    assert (type(move.refusal), str(move.refusal)) == (error, text)
    assert orders.find(world.shop, move.order_id) is None
    shown = saga_log.order_shown(world.shop, move.order_id)
    assert shown
    assert (shown["status"], shown["reason"]) == ("cancelled", text)
    shop_books.assert_they_add_up(before, books(world, places))


@pytest.mark.parametrize("places", REMOTE, ids=ids)
def test_what_is_unknown_begins_no_saga(places: Places, world: World) -> None:
    before = list(world.shop.iterdump())
    with pytest.raises(Refused, match="there is no product NOPE"):
        world.placing(places).begin(wish("NOPE"), AT)
    assert list(world.shop.iterdump()) == before


def test_a_part_that_is_here_is_done_in_the_transaction_that_logs_it(world: World) -> None:
    placing = world.placing(Places(stock="local", payments="http"))
    move = placing.begin(wish(), AT)
    assert isinstance(move.next, Pending)
    assert (move.next.step, move.next.key, move.next.entry) == ("charge", "order-10801:charge:1", 3)
    assert world.reached == [
        *("reserve:before-begun", "reserve:before-done", "charge:before-begun"),
        *("reserve:after-begun", "reserve:after-done", "charge:after-begun"),
    ]


def test_a_saga_keeps_to_the_places_it_began_with(world: World) -> None:
    places = Places("http", "http")
    before = books(world, places)
    begun = world.placing(places).begin(wish(), AT)
    undone = world.placing(Places("local", "local"))
    assert see_through(undone, world, undone.resume(begun.order_id, AT)).next == Rest("confirmed")
    shop_books.assert_they_add_up(before, books(world, places))


def test_an_answer_that_comes_too_late_changes_nothing(world: World) -> None:
    placing = world.placing(Places("http", "http"))
    first = placing.begin(wish(), AT)
    assert isinstance(first.next, Pending)
    on = placing.settle(first.next, world.call(first.next), AT)
    log = saga_log.entries(world.shop, first.order_id)
    late = placing.settle(first.next, Failed("too late", 9), AT)
    assert late == on
    assert saga_log.entries(world.shop, first.order_id) == log


def test_a_balance_is_held_while_payments_elsewhere_is_asked_and_put_back_at_the_end(world: World) -> None:
    places = Places("local", "http")
    before, placing = books(world, places), world.placing(places)
    move = placing.begin(wish(card=None, account_id=rich(world)), AT)
    assert isinstance(move.next, Pending)
    assert books(world, places).held > 0
    assert books(world, places).balances < before.balances
    move = placing.settle(move.next, Failed("no answer within 5 s", 9), AT)
    assert (type(move.refusal), str(move.refusal)) == (
        NotReached,
        "a part of the shop could not be reached, so the order was cancelled; whatever was charged is given back",
    )
    assert see_through(placing, world, move).next == Rest("cancelled")
    shop_books.assert_they_add_up(before, books(world, places))


def test_a_compensation_that_fails_for_good_waits_as_a_dead_letter_and_is_done_in_another_round(
    world: World,
) -> None:
    places = Places("http", "http")
    before, placing = books(world, places), world.placing(places)
    move = placing.begin(wish(), AT)
    for step in ("reserve", "charge"):
        assert isinstance(move.next, Pending)
        assert move.next.step == step
        move = placing.settle(move.next, world.call(move.next), AT)
    while isinstance(move.next, Pending):
        move = placing.settle(move.next, Failed("500", 4), AT)
    assert move.next == Rest("owing-and-holding")
    assert saga_log.under_way(world.shop) == [10_801]
    assert [(letter.step, letter.key, letter.attempts) for letter in saga_log.dead_letters(world.shop)] == [
        ("refund", "order-10801:refund:1", 4),
        ("release", "order-10801:release:1", 4),
    ]

    move = placing.again(10_801, AT)
    assert isinstance(move.next, Pending)
    assert move.next.key == "order-10801:refund:2"
    move = placing.settle(move.next, Failed("503", 3), AT)
    refund = saga_log.dead_letters(world.shop)[0]
    assert (refund.key, refund.attempts, refund.last_error) == ("order-10801:refund:2", 7, "503")
    assert (refund.call.target, refund.call.body) == ("/payments/801/refund", '{"order_id": 10801}')
    assert placing.again(10_801, AT).next == move.next  # it is under way, so this goes on with the same call

    assert see_through(placing, world, move).next == Rest("owing")
    assert [letter.step for letter in saga_log.dead_letters(world.shop)] == ["refund"]
    assert see_through(placing, world, placing.again(10_801, AT)).next == Rest("cancelled")
    with pytest.raises(NotFound, match="order 10801 has no compensation that waits"):
        placing.again(10_801, AT)
    shop_books.assert_they_add_up(before, books(world, places))


WISHES = st.builds(
    wish,
    sku=st.sampled_from(["TEA-001", "CUP-004"]),
    quantity=st.integers(1, 3),
    card=st.sampled_from(["tok_visa", "tok_declined", None]),
    account_id=st.integers(1, 200),
)
#: What becomes of a call: answered; carried out but the answer is lost; lost; given up though it was carried out.
FATES = st.lists(
    st.sampled_from(["answered", "answered", "answer lost", "lost", "given up", "given up late"]),
    min_size=12,
    max_size=24,
)
DEATHS = st.lists(st.integers(1, 12), min_size=2, max_size=6)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    places=st.sampled_from(REMOTE),
    wishes=st.lists(WISHES, min_size=1, max_size=3),
    fates=FATES,
    deaths=DEATHS,
)
def test_the_books_agree_wherever_a_process_dies_and_whatever_is_lost(
    places: Places, wishes: list[OrderRequest], fates: list[str], deaths: list[int], new_world: Open
) -> None:
    world = new_world()
    before, late = books(world, places), []
    life = Life(world, places, fates, deaths, late)
    for wanted in wishes:
        life.live(lambda placing, wanted=wanted: placing.begin(wanted, AT))  # type: ignore[misc]
    life.recover()
    for call in late:  # what was on its way all the time arrives now, when everything is over
        call()
    shop_books.assert_they_add_up(before, books(world, places))


@dataclass
class Life:
    """Carries sagas out in a world in which calls are lost and the process dies, as often as it is told."""

    world: World
    places: Places
    fates: list[str]
    deaths: list[int]
    late: list[Callable[[], object]]

    def live(self, begin: Callable[[Placing], Move]) -> None:
        """Do something until it is done or the process dies."""
        self.world.dies_in = self.deaths.pop() if self.deaths else -1
        placing = self.world.placing(self.places)
        try:
            move = begin(placing)
            while isinstance(move.next, Pending):
                reply = self._reply(move.next)
                self.world.reach(f"{move.next.step}:after-call")
                move = placing.settle(move.next, reply, AT)
        except Died:
            pass
        assert not self.world.shop.in_transaction

    def recover(self) -> None:
        """Start again and again, until there is nothing left to do."""
        for _ in range(100):
            under_way = saga_log.under_way(self.world.shop)
            if not under_way:
                return
            for order_id in under_way:
                saga = saga_log.find(self.world.shop, order_id)
                assert saga
                waits = saga.state in WAITING
                again = Placing.again if waits else Placing.resume
                self.live(lambda placing, again=again, order_id=order_id: again(placing, order_id, AT))  # type: ignore[misc]
        pytest.fail("an order is stuck")

    def _reply(self, what: Pending) -> Reply:
        fate = self.fates.pop() if self.fates else "answered"
        match fate:
            case "answer lost":
                self.world.call(what)
            case "lost":
                pass
            case "given up":
                self.world.call(what)
                return Failed("given up", 1)
            case "given up late":
                self.late.append(partial(self.world.carry_out, what))
                return Failed("given up", 1)
        return self.world.call(what)
