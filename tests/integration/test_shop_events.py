"""Events go from the shop to its services, by real processes: at least once, with their effect once."""

import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from legacy_monolith import seed
from legacy_monolith.database import open_writer
from tests.support.relay import Drop, Relay, Say, relaying
from tests.support.shop_events import (
    event,
    events_of,
    payment,
    relay_of,
    rows,
    stock_1,
    stock_2,
    subscribe,
    tell,
    wait_until_delivered,
)
from tests.support.shop_services import PATIENCE, Service, bring_over, run, running, wait_until
from tests.support.shop_world import order

SHOP = "legacy_monolith"
STOCK = ("StockChanged", "PriceChanged")
MONEY = ("PaymentTaken", "PaymentRefunded")
RESERVED = "SELECT sku, {}, on_hand, reserved FROM {} ORDER BY sku, 2"


@dataclass
class World:
    """A shop, both services, and for each a gate through which the events come to it."""

    folder: Path
    shop: Service
    services: dict[str, Service] = field(default_factory=dict)
    gates: dict[str, Relay] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self, name: str) -> None:
        self.services[name] = self.stack.enter_context(
            running(f"extracted.{name}", "--database", self.folder / name)
        )
        self.gates[name].ports["inventory"] = self.services[name].port

    def restart(self, name: str) -> None:
        self.services[name].process.send_signal(signal.SIGKILL)
        self.services[name].process.wait()
        self.start(name)

    @property
    def database(self) -> Path:
        return self.folder / "shop"

    def levels_agree(self) -> bool:
        here = rows(self.folder / "inventory", RESERVED.format("code", "levels"))
        return here == rows(self.database, RESERVED.format("warehouse", "stock_levels"))

    def payments_agree(self) -> bool:
        columns = "payment_id, order_id, amount_cents, refunded_cents"
        every = f"SELECT {columns} FROM payments WHERE payment_id < 1000000 ORDER BY 1"
        return rows(self.folder / "payments", every) == rows(self.database, every)

    def delivered(self) -> None:
        wait_until_delivered(SHOP, self.database)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("shop")
    open_writer(folder / "shop", partial(seed.fill, seed=2019)).close()
    with running(SHOP, "--database", folder / "shop") as shop, ExitStack() as stack:
        world = World(folder, shop, stack=stack)
        for name, types in (("payments", MONEY), ("inventory", STOCK)):
            bring_over(name, folder / "shop", folder / name)
            world.gates[name] = stack.enter_context(relaying())
            world.start(name)
            subscribe(SHOP, folder / "shop", name, world.gates[name].port, *types)
        yield world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    yield shared
    for gate in shared.gates.values():
        gate.calm()
    assert events_of(SHOP, shared.database)["dead_letters"] == []


def buy(world: World, count: int = 1, **change: object) -> None:
    for _ in range(count):
        assert world.shop.ask("/orders", "POST", order(**change)).status == 201


def behind(world: World) -> dict[str, int]:
    return {each["consumer"]: each["events"] for each in events_of(SHOP, world.database)["consumers"]}


def outcomes(world: World, name: str) -> dict[str, int]:
    return dict(rows(world.folder / name, "SELECT outcome, count(*) FROM handled GROUP BY outcome"))


def test_what_is_ordered_after_the_import_comes_to_the_services(world: World) -> None:
    buy(world, 5, quantity=3)
    assert not world.levels_agree()
    with relay_of(SHOP, world.database):
        world.delivered()
    assert world.levels_agree()
    assert world.payments_agree()
    assert outcomes(world, "payments") == {"handled": 5}
    told = rows(world.database, "SELECT count(*) FROM outbox WHERE type IN ('StockChanged', 'PriceChanged')")
    assert outcomes(world, "inventory") == {"handled": 5, "skipped": told[0][0] - 5}


def test_who_is_subscribed_anew_while_an_event_is_under_way_is_told_everything(world: World) -> None:
    buy(world, 2)
    gate, port = world.gates["payments"], world.gates["payments"].port
    everything = {each for (each,) in rows(world.database, f"SELECT id FROM outbox WHERE type IN {MONEY}")}
    under_way, go_on = threading.Event(), threading.Event()

    seen = len(gate.seen)

    def hold_the_second(_: str) -> None:
        if len(gate.seen) == seen + 1:
            under_way.set()
            go_on.wait(PATIENCE)

    gate.before = hold_the_second
    with relay_of(SHOP, world.database, "--deliver-within", PATIENCE, "--deliver-every", PATIENCE):
        assert under_way.wait(PATIENCE)
        assert run(SHOP, "events", "unsubscribe", "payments", "--database", world.database).code == 0
        subscribe(SHOP, world.database, "payments", port, *MONEY)
        go_on.set()
        world.delivered()
    assert {key for _, key, _ in gate.seen[seen + 2 :]} == everything


def test_a_relay_that_dies_after_the_effect_delivers_again_and_the_effect_is_one(world: World) -> None:
    gate = world.gates["inventory"]
    gate.seen.clear()
    buy(world, 2)
    with relay_of(SHOP, world.database) as relay:

        def kill(step: str) -> None:
            os.kill(relay.pid, signal.SIGKILL)
            raise Drop

        gate.after = kill
        assert relay.wait(30) == -signal.SIGKILL
    assert events_of(SHOP, world.database)["consumers"][0]["events"] > 0
    gate.calm()
    with relay_of(SHOP, world.database):
        world.delivered()
    keys = [key for _, key, _ in gate.seen]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 2
    assert world.levels_agree()
    assert world.payments_agree()


@pytest.mark.parametrize("moment", ["before", "half", "after"])
@pytest.mark.parametrize("name", ["payments", "inventory"])
def test_a_consumer_that_dies_has_the_effect_once(name: str, moment: str, world: World) -> None:
    gate = world.gates[name]
    gate.seen.clear()
    killed: list[str] = []

    def kill(step: str) -> None:
        if not killed:
            killed.append(step)
            world.restart(name)
            if moment == "after":
                raise Drop  # who is dead answers nothing

    setattr(gate, moment, kill)
    buy(world, 2)
    with relay_of(SHOP, world.database):
        world.delivered()
    assert killed
    assert moment == "before" or len(gate.seen) == 3
    assert world.levels_agree()
    assert world.payments_agree()


def test_who_is_away_gets_everything_later_and_no_letter_dies(world: World) -> None:
    world.services["payments"].process.kill()
    world.services["payments"].process.wait()
    port = world.services["payments"].port
    subscribe(SHOP, world.database, "payments", port, *MONEY)  # nobody listens there
    buy(world, 3)
    log = world.folder / "log"
    with log.open("w") as file, relay_of(SHOP, world.database, "--deliver-attempts", "1", log=file):
        wait_until(lambda: behind(world) == {"inventory": 0, "payments": 3})
        assert world.levels_agree()
        text = world.shop.ask("/metrics").body.decode()
        assert 'shop_events_behind{consumer="payments"} 3\n' in text
        world.start("payments")
        subscribe(SHOP, world.database, "payments", world.gates["payments"].port, *MONEY)
        world.delivered()
    assert world.payments_agree()
    # Whoever has subscribed a wrong address finds it in the log: once, and not with every attempt.
    away, back = log.read_text().splitlines()
    assert away.startswith("payments is away: ClientConnectorError: ")
    assert f"127.0.0.1:{port} " in away
    assert back == "payments is back"


def test_one_that_fails_is_a_dead_letter_in_the_end_and_can_be_retried(world: World) -> None:
    # More is given back than was taken: refused with 409, which could get better.
    owed = {"payment_id": 1_000_000, "refunded": {"amount": 1, "currency": "EUR"}}
    bad = tell(world.database, "PaymentRefunded", 1, "1000000", owed)
    behind = tell(world.database, "PaymentTaken", 1, "1000000", taken(1_000_000, 1))
    buy(world, 2)
    with relay_of(SHOP, world.database, "--deliver-attempts", "3"):
        world.delivered()
        (dead,) = events_of(SHOP, world.database)["dead_letters"]
        assert (dead["id"], dead["consumer"], dead["attempts"]) == (bad, "payments", 3)
        assert "409 there is no payment 1000000" in dead["last_error"]
        assert rows(world.folder / "payments", f"SELECT outcome FROM handled WHERE id = '{behind}'")
        text = run(SHOP, "events", "--database", world.database).out
        assert f"python -m legacy_monolith events retry {bad} --database {world.database}" in text
        assert run(SHOP, "events", "retry", bad, "--database", world.database).code == 0
        world.delivered()
    assert events_of(SHOP, world.database)["dead_letters"] == []
    refunded = "SELECT refunded_cents FROM payments WHERE payment_id = 1000000"
    assert rows(world.folder / "payments", refunded) == [(100,)]
    again = run(SHOP, "events", "retry", bad, "--database", world.database)
    assert (again.code, again.err.count("\n")) == (2, 1)


def taken(number: int, amount: int) -> dict[str, object]:
    euros = {"amount": amount, "currency": "EUR"}
    return payment(number) | {"amount": euros, "tax": {"amount": 0, "currency": "EUR"}}


HOSTILE = {
    "unknown version": ("StockChanged", 9, stock_2(), "422 StockChanged 9 is not known here"),
    "wrong types": ("StockChanged", 2, stock_2() | {"sku": 7}, "400 sku must be a stock-keeping unit"),
    "huge": ("PriceChanged", 1, {"sku": "X", "name": "x" * 100_000}, "413 "),
    "huge number": ("StockChanged", 1, stock_1(10**30), "400 reserved must be a whole number"),
    "not an object": ("PriceChanged", 1, [[[]]], "400 data must be an object"),
}


@pytest.mark.parametrize(("kind", "version", "data", "error"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_event_dies_at_once_and_nothing_is_lost(
    kind: str, version: int, data: object, error: str, world: World
) -> None:
    bad = tell(world.database, kind, version, "TEA-001", data)
    buy(world)
    with relay_of(SHOP, world.database):
        world.delivered()
    (dead,) = events_of(SHOP, world.database)["dead_letters"]
    assert (dead["id"], dead["attempts"], dead["data"]) == (bad, 1, data)
    assert dead["last_error"].startswith(error)
    assert world.levels_agree()
    forget(world)


def test_what_a_consumer_says_is_shown_as_one_line_without_a_terminals_signs(world: World) -> None:
    buy(world)
    gate = world.gates["payments"]

    def refuse(_: str) -> None:
        raise Say(422, b'{"detail": "no\\n\\u001b[2Jindeed"}')

    gate.before = refuse
    with relay_of(SHOP, world.database):
        world.delivered()
        (dead,) = events_of(SHOP, world.database)["dead_letters"]
        assert dead["last_error"] == "422 no??[2Jindeed"
        gate.calm()
        assert run(SHOP, "events", "retry", dead["id"], "--database", world.database).code == 0
        world.delivered()


@pytest.mark.parametrize(
    ("body", "kept"), [(b'{"detail": "half \\ud83d"}', "400 half ?"), (b"[" * 4096, "400")]
)
def test_whatever_a_consumer_says_the_relay_goes_on(body: bytes, kept: str, world: World) -> None:
    def babble(_: str) -> None:
        raise Say(400, body)

    world.gates["inventory"].before = babble
    bad = tell(world.database, "StockChanged", 2, "TEA-001", stock_2())
    with relay_of(SHOP, world.database):
        world.delivered()
    (dead,) = events_of(SHOP, world.database)["dead_letters"]
    assert (dead["id"], dead["last_error"]) == (bad, kept)
    forget(world)


def forget(world: World) -> None:
    with closing(sqlite3.connect(world.database, isolation_level=None)) as db:
        db.execute("DELETE FROM dead_events")


def test_both_versions_have_the_same_effect(world: World) -> None:
    url = f"http://127.0.0.1:{world.gates['inventory'].port}/events"
    database = ("--database", world.database)
    said = run(SHOP, "events", "subscribe", "inventory", url, "StockChanged@1", "PriceChanged", *database)
    assert said.out == f"inventory gets PriceChanged@1, StockChanged@1 at {url}\n"
    buy(world, quantity=2)
    with relay_of(SHOP, world.database):
        world.delivered()
    assert world.levels_agree()
    subscribe(SHOP, world.database, "inventory", world.gates["inventory"].port, *STOCK)


def test_an_event_is_told_what_became_of_it(world: World) -> None:
    source = rows(world.database, "SELECT source FROM outbox_source")[0][0]
    ask = partial(world.services["inventory"].ask, "/events", "POST")
    known = rows(world.folder / "inventory", "SELECT id FROM handled WHERE outcome = 'skipped'")[0][0]
    assert ask(event("StockChanged", 2, stock_2(), id=known, source=source)).json["outcome"] == "known"
    stranger = ask(event("StockChanged", 2, stock_2(), number=10**6))
    assert (stranger.status, stranger.json["detail"]) == (
        503,
        "nothing was imported from shop:0123456789abcdef yet",
    )
    assert ask(b"[]").status == 400
    assert ask(b"\xff").status == 400
    assert ask(b"[" * 60_000).status == 400
    assert ask(b"x" * 70_000).status == 413
    too_much = event("StockChanged", 2, stock_2(10**9), number=10**9, source=source)
    assert ask(too_much).status == 409
    assert world.levels_agree()


def test_the_shop_delivers_by_itself_if_it_is_asked_to(world: World) -> None:
    world.shop.process.terminate()
    world.shop.process.wait()
    options = ("--database", world.database, "--relay", "--deliver-every", "0.02")
    world.shop = world.stack.enter_context(running(SHOP, *options))
    buy(world, 3)
    world.delivered()
    assert world.levels_agree()
    assert world.payments_agree()
    assert world.shop.stop()[0] == 0


def reconciled(world: World, name: str) -> tuple[int, dict[str, Any]]:
    options = ("--from", world.database, "--database", world.folder / name)
    done = run(f"extracted.{name}", "reconcile", *options, "--json")
    assert done.err == ""
    text = run(f"extracted.{name}", "reconcile", *options)
    assert text.code == done.code
    assert text.out.count("\n") == 1 + len(json.loads(done.out)["differences"])
    return done.code, json.loads(done.out)


@pytest.fixture
def apart(tmp_path: Path) -> World:
    """A shop that does not run, and services that have imported; nothing runs."""
    open_writer(tmp_path / "shop", partial(seed.fill, seed=2019)).close()
    for name in ("payments", "inventory"):
        bring_over(name, tmp_path / "shop", tmp_path / name)
    return World(tmp_path, Service(None, 0))  # type: ignore[arg-type]


def test_after_an_import_both_are_equal_and_after_catching_up_they_are_again(apart: World) -> None:
    levels = rows(apart.database, "SELECT count(*) FROM stock_levels")[0][0]
    for name, count in (("payments", 200 + 800), ("inventory", 3 + 40 + levels)):
        code, found = reconciled(apart, name)
        assert (code, found["equal"], found["differences"], found["to_come"]) == (0, True, [], 0)
        assert (found["compared"], found["imported"]) == (count, True)
    with ExitStack() as stack:
        apart.shop = stack.enter_context(running(SHOP, "--database", apart.database))
        for name, types in (("payments", MONEY), ("inventory", STOCK)):
            service = stack.enter_context(running(f"extracted.{name}", "--database", apart.folder / name))
            subscribe(SHOP, apart.database, name, service.port, *types)
        buy(apart, 2, quantity=2)
        code, found = reconciled(apart, "payments")
        assert (code, found["to_come"]) == (1, 2)
        assert [(each["key"], each["here"]) for each in found["differences"]] == [
            ([801], None),
            ([802], None),
        ]
        code, found = reconciled(apart, "inventory")
        assert (code, found["to_come"]) == (1, 2)
        (level,) = found["differences"]
        assert level["table"] == "levels"
        assert level["monolith"]["reserved"] - level["here"]["reserved"] == 4
        with relay_of(SHOP, apart.database):
            apart.delivered()
        for name in ("payments", "inventory"):
            code, found = reconciled(apart, name)
            assert (code, found["to_come"]) == (0, 0)


@pytest.mark.parametrize(("name", "compared"), [("payments", 1000), ("inventory", 137)])
def test_a_service_that_has_imported_nothing_is_told_so_and_not_row_by_row(
    name: str, compared: int, apart: World
) -> None:
    empty = apart.folder / "empty"
    with running(f"extracted.{name}", "--database", empty):
        pass
    options = ("--from", apart.database, "--database", empty)
    done = run(f"extracted.{name}", "reconcile", *options)
    first, why, *shown, rest = done.out.splitlines()
    assert (done.code, done.err, len(shown)) == (1, "", 20)
    assert first.startswith(f"{compared} rows compared, {compared} differ; ")
    assert why == "  nothing was imported from there yet: `import` does it"
    assert rest == f"  and {compared - 20} more, all of them with --json"
    found = json.loads(run(f"extracted.{name}", "reconcile", *options, "--json").out)
    assert (found["imported"], len(found["differences"])) == (False, compared)


@pytest.mark.parametrize("name", ["payments", "inventory"])
@pytest.mark.parametrize("missing", ["shop", "own"])
def test_what_cannot_be_compared_is_refused(name: str, missing: str, apart: World) -> None:
    source = apart.folder / name if missing == "shop" else apart.database  # a service is no shop
    database = apart.folder / (name if missing == "shop" else "nothing")
    done = run(f"extracted.{name}", "reconcile", "--from", source, "--database", database)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert not (apart.folder / "nothing").exists()


def test_a_command_that_is_none_says_which_there_are(apart: World) -> None:
    done = run(SHOP, "events", "subscribe", "payments", "--database", apart.database)
    assert (
        "events subscribe payments: say one of subscribe NAME URL TYPE... | unsubscribe NAME | " in done.err
    )


@pytest.mark.parametrize(
    "words",
    [
        ("subscribe", "payments"),
        ("subscribe", "payments", "http://127.0.0.1:1/events"),
        ("subscribe", "payments", "ftp://x/events", "PaymentTaken"),
        ("subscribe", "payments", "http://x:99999/events", "PaymentTaken"),
        ("subscribe", "Pay\nments", "http://x/events", "PaymentTaken"),
        ("subscribe", "payments", "http://x/events", "PaymentTake"),
        ("subscribe", "payments", "http://x/events", "StockChanged@3"),
        ("unsubscribe", "nobody"),
        ("retry",),
        ("retry", "0"),
        ("rerty", "0"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_in_one_line(words: tuple[str, ...], world: World) -> None:
    before = events_of(SHOP, world.database)
    done = run(SHOP, "events", *words, "--database", world.database)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert events_of(SHOP, world.database) == before
