"""The token of a card is in the shop's files as long as a charge may need it, and no longer."""

import json
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from benchmarks import shop_books
from legacy_monolith import database, seed
from legacy_monolith.database import open_existing, open_writer
from tests.support.relay import Drop, Say
from tests.support.shop_services import run, wait_until
from tests.support.shop_world import World, order, taken_apart

CARD = "tok_c0ffee_0451"
PAYMENT = {"method": "card", "card": CARD}


def held(folder: Path) -> set[str]:
    """The files of the shop that have the card in them, wherever in them."""
    return {path.name for path in folder.glob("shop*") if CARD.encode() in path.read_bytes()}


FATES = {
    "confirmed": (None, None, "confirmed"),
    "out of stock": ("reserve", Say(409), "cancelled"),
    "declined": ("charge", Say(402), "cancelled"),
    "charge failed": ("charge", Say(500), "cancelled"),
    "confirm failed": ("confirm", Say(400), "cancelled"),
    "owing": ("refund", Say(400), "owing"),
}
HERE = [name for name, (step, *_) in FATES.items() if step not in ("reserve", "confirm")]  # no calls are made


@pytest.mark.parametrize(
    ("stock", "fate"), [*(("http", name) for name in FATES), *(("local", name) for name in HERE)]
)
def test_no_file_holds_a_card_when_its_charge_is_settled(stock: str, fate: str, tmp_path: Path) -> None:
    step, instead, state = FATES[fate]

    def fail(now: str) -> None:
        if instead and (now == step or (step == "refund" and now == "confirm")):
            raise instead

    with taken_apart(tmp_path) as world, world.monolith("--retry-for", "0.1", stock=stock) as monolith:
        world.relay.before = fail
        if step == "refund" and stock == "local":
            world.relay.before = partial(_refuse, {"charge": Say(500), "refund": Say(400)})
        monolith.ask("/orders", "POST", order(payment=PAYMENT))
        wait_until(
            lambda: [each for each in states(world) if each in ("confirmed", "cancelled", "owing")] != []
        )
        assert states(world) == [state]
        monolith.stop()
        assert held(tmp_path) == set()
        with closing(sqlite3.connect(tmp_path / "shop")) as db:
            (draft,) = db.execute("SELECT draft FROM sagas").fetchone()
            bodies = db.execute(
                "SELECT body FROM saga_log WHERE step = 'charge' AND body IS NOT NULL"
            ).fetchall()
        assert json.loads(draft)["card"] == "removed"
        assert {json.loads(body)["card"] for (body,) in bodies} <= {"removed"}
        world.relay.calm()
        if state == "owing":  # a person's retry does without
            assert world.sagas("retry", 10_801).code == 0


def test_nothing_that_was_overwritten_is_left_in_the_free_room_of_the_file(tmp_path: Path) -> None:
    with taken_apart(tmp_path) as world, world.monolith() as monolith, ThreadPoolExecutor(8) as callers:
        wanted = [order(payment={"method": "card", "card": f"{CARD}_{number}"}) for number in range(40)]
        assert {each.status for each in callers.map(partial(monolith.ask, "/orders", "POST"), wanted)} == {
            201
        }
        monolith.stop()
    assert held(tmp_path) == set()


def _refuse(instead: dict[str, Exception], step: str) -> None:
    if step in instead:
        raise instead[step]


def states(world: World) -> list[str]:
    books = world.books()
    return [*books.ended.values(), *(state for _, state in books.under_way)]


def test_a_charge_that_is_resumed_after_kill_9_still_has_its_card(tmp_path: Path) -> None:
    asked = threading.Event()

    def lose(step: str) -> None:
        if step == "charge":
            asked.set()
            raise Drop

    with taken_apart(tmp_path) as world:
        world.relay.before = lose
        with world.monolith("--answer-within", "0.1") as monolith:
            assert monolith.ask("/orders", "POST", order(payment=PAYMENT)).status == 202
            assert asked.wait(30)
            monolith.process.send_signal(signal.SIGKILL)
            monolith.process.wait()
        assert held(tmp_path) != set()
        world.relay.calm()
        with world.monolith() as monolith:
            world.wait_for_the_end()
            assert states(world) == ["confirmed"]
            monolith.stop()
        assert held(tmp_path) == set()


def test_the_cards_of_an_earlier_release_are_swept_at_the_start_and_its_free_room_too(tmp_path: Path) -> None:
    with taken_apart(tmp_path) as world, world.monolith("--answer-within", "0.1") as monolith:
        ended = monolith.ask("/orders", "POST", order(payment=PAYMENT)).json["order_id"]
        world.wait_for_the_end()
        world.relay.before = partial(_refuse, {"charge": Drop()})
        waiting = monolith.ask("/orders", "POST", order(payment=PAYMENT | {"card": "tok_waits"})).json[
            "order_id"
        ]
        wait_until(lambda: "reserved" in states(world))
        monolith.stop()
    with closing(sqlite3.connect(tmp_path / "shop", isolation_level=None)) as db:  # as that release left it
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("PRAGMA user_version = 0")
        for table, column in (("sagas", "draft"), ("saga_log", "body")):
            db.execute(
                f"UPDATE {table} SET {column} = json_set({column}, '$.card', ?) "
                f"WHERE order_id = ? AND json_extract({column}, '$.card') IS NOT NULL",
                (CARD, ended),
            )
        db.execute("CREATE TABLE scratch AS SELECT ? || hex(randomblob(500)) FROM saga_log", (CARD,))
        db.execute("DROP TABLE scratch")
    assert held(tmp_path) == {"shop"}
    before = shop_books.read(tmp_path)
    open_existing(tmp_path / "shop").close()
    assert held(tmp_path) == set()
    assert shop_books.read(tmp_path) == before
    with closing(sqlite3.connect(tmp_path / "shop")) as db:
        cards = dict(db.execute("SELECT order_id, json_extract(draft, '$.card') FROM sagas").fetchall())
        assert cards == {ended: "removed", waiting: "tok_waits"}
        assert db.execute("PRAGMA user_version").fetchone() == (database.CLEAN,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_reader_only_delays_the_cleaning(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    open_writer(path, partial(seed.fill, seed=2019)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 0")
        db.execute("CREATE TABLE scratch AS SELECT ? AS card", (CARD,))
        db.execute("DROP TABLE scratch")
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM orders").fetchone()
        assert held(tmp_path) != set()
        open_existing(path).close()
        db.execute("COMMIT")
    done = run("legacy_monolith", "sagas", "--database", path)
    assert (done.code, done.err) == (0, "")
    assert held(tmp_path) == set()
