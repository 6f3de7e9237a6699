"""kill -9 at every step of a saga: of the monolith at every point, of a service before, during and after its call.

Whatever dies, the shop is started again, and each order ends as an order or in full compensation.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from http.client import HTTPException
from typing import get_args

import pytest

from benchmarks import shop_books
from legacy_monolith.saga import Step
from tests.support.relay import Drop, Say
from tests.support.shop_services import Service
from tests.support.shop_world import BALANCE, DECLINED, World, order, taken_apart

STEPS = get_args(Step)
#: What is bought, by the steps that it takes the saga through; with the fate of a saga that nobody kills.
KINDS: dict[str, tuple[dict[str, object], str]] = {
    "placed": (order(), "confirmed"),
    "declined": (order(payment=DECLINED), "cancelled"),
    "undone": (order(payment=BALANCE, account_id=1), "cancelled"),  # for its confirmation is hopeless
}
MOMENTS = ("before-begun", "after-begun", "after-call", "before-done", "after-done")
POINTS = [
    *[("placed", f"{step}:{moment}") for step in ("reserve", "charge", "confirm") for moment in MOMENTS],
    *[("undone", f"{step}:{moment}") for step in ("refund", "release") for moment in MOMENTS],
    *[("undone", f"confirm:{moment}") for moment in ("after-call", "before-failed", "after-failed")],
    *[("declined", f"charge:{moment}") for moment in ("after-call", "before-refused", "after-refused")],
]


@pytest.fixture(autouse=True)
def _closes_its_sockets() -> None:
    """The relay is shared by all tests here, and notices only later that a shop of the one before has left it."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with taken_apart(tmp_path_factory.mktemp("shop")) as world:
        shop_books.enrich(world.folder, account_id=1)
        yield world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    shared.relay.calm()
    yield shared
    shared.relay.calm()


def prepare(world: World, kind: str) -> None:
    def hopeless(step: str) -> None:
        if step == "confirm":
            raise Say(400)

    if kind == "undone":
        world.relay.before = hopeless


def buy_and_die(monolith: Service, wanted: dict[str, object]) -> None:
    """Place an order, of which the shop dies, at once or while it goes on after its answer."""
    with contextlib.suppress(OSError, HTTPException):
        monolith.ask("/orders", "POST", wanted)
    assert monolith.process.wait(30) == -signal.SIGKILL


def assert_ended(
    world: World, before: shop_books.Books, fates: list[str], stock: str = "http", payments: str = "http"
) -> None:
    """Start the shop again if it has died, and see all orders through."""
    world.at_work()
    world.wait_for_the_end()
    after = world.books(stock, payments)
    assert [state for number, state in sorted(after.ended.items()) if number not in before.ended] == fates
    shop_books.assert_they_add_up(before, after)


@pytest.mark.parametrize(("kind", "point"), POINTS, ids=[f"{kind}-{point}" for kind, point in POINTS])
def test_the_monolith_dies_at_a_point_of_its_log(kind: str, point: str, world: World) -> None:
    before, (wanted, fate) = world.books(), KINDS[kind]
    prepare(world, kind)
    world.rest()
    with world.monolith(SHOP_DIE_AT=point) as monolith:
        buy_and_die(monolith, wanted)
    # An order whose first entry was not committed is none, and nobody was told that it is.
    assert_ended(world, before, [] if point == "reserve:before-begun" else [fate])


MIXED = [
    *[("local", "http", f"charge:{moment}") for moment in ("before-begun", "after-begun", "after-call")],
    *[("local", "http", f"confirm:{moment}") for moment in ("before-done", "after-done")],
    *[("http", "local", f"reserve:{moment}") for moment in ("after-begun", "after-call", "before-done")],
    *[("http", "local", f"{step}:before-done") for step in ("charge", "confirm")],
]


@pytest.mark.parametrize(("stock", "payments", "point"), MIXED)
def test_the_monolith_dies_with_one_part_here_and_one_elsewhere(
    stock: str, payments: str, point: str, world: World
) -> None:
    before = world.books(stock, payments)
    world.rest()
    with world.monolith(stock=stock, payments=payments, SHOP_DIE_AT=point) as monolith:
        buy_and_die(monolith, order())
    # What is local before the first call is in the same transaction as the beginning of the order.
    gone = (stock, point) == ("local", "charge:before-begun")
    assert_ended(world, before, [] if gone else ["confirmed"], stock, payments)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("carried_out", [False, True], ids=["the call is lost", "the answer is lost"])
def test_the_monolith_dies_in_the_middle_of_a_call(step: str, carried_out: bool, world: World) -> None:
    kind = "undone" if step in ("refund", "release") else "placed"
    before, (wanted, fate) = world.books(), KINDS[kind]
    prepare(world, kind)
    hopeless = world.relay.before
    killed: list[int] = []
    monolith = world.at_work()

    def kill(at: str) -> None:
        hopeless(at)
        if at == step and not killed:
            killed.append(monolith.process.pid)
            os.kill(monolith.process.pid, signal.SIGKILL)
            if not carried_out:
                raise Drop

    world.relay.before = kill
    buy_and_die(monolith, wanted)
    assert killed
    assert_ended(world, before, [fate])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("moment", ["before", "half", "after"])
def test_a_service_dies_at_its_step(step: str, moment: str, world: World) -> None:
    kind = "undone" if step in ("refund", "release") else "placed"
    before, (wanted, fate) = world.books(), KINDS[kind]
    prepare(world, kind)
    inner = getattr(world.relay, moment)
    killed: list[str] = []

    def kill(at: str) -> None:
        inner(at)
        if at == step and not killed:
            killed.append(at)
            world.kill(step)
            world.start(world.service_of(step))
            if moment == "after":
                raise Drop  # who is dead answers nothing

    setattr(world.relay, moment, kill)
    answer = world.at_work().ask("/orders", "POST", wanted)
    assert answer.status == (201 if kind == "placed" else 503)
    assert_ended(world, before, [fate])
    assert killed


def test_all_three_die_at_once(world: World) -> None:
    before, monolith = world.books(), world.at_work()
    killed: list[str] = []

    def kill(step: str) -> None:
        if step == "charge" and not killed:
            killed.append(step)
            os.kill(monolith.process.pid, signal.SIGKILL)
            for each in ("charge", "reserve"):
                world.kill(each)
                world.start(world.service_of(each))

    world.relay.after = kill
    buy_and_die(monolith, order())
    assert_ended(world, before, ["confirmed"])


def test_every_point_of_the_log_is_one_where_the_monolith_dies_here() -> None:
    """Points are known by their step and their moment; a step that can come to more than one end has more of them."""
    points = {point for _, point in POINTS}
    assert points >= {f"{step}:{moment}" for step in STEPS for moment in MOMENTS}
