"""Events by Redis Streams, through a real Redis that keeps nothing: at least once, with their effect once."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shop_events.delivery import Lost, Seen, Taken
from shop_events.sending import Streams
from shop_events.stream import NONE, parse, text_of
from tests.support.redis_server import RedisServer, consuming, redis_server
from tests.support.shop_events import FAST, event, events_of, payment, rows, stock_1, wait_until_delivered
from tests.support.shop_services import Service, bring_over, run, running, wait_until
from tests.support.shop_streams import (
    INVENTORY,
    MONEY,
    PAYMENTS,
    SHOP,
    assert_equal,
    assert_in_order,
    behind,
    buy,
    copied,
    dead,
    delivered,
    euros,
    furnish,
    handled,
    held,
    inventory,
    owed,
    paid,
    payments,
    refunded,
    relay,
    subscribed,
)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def folder(furnished: Path, tmp_path: Path) -> Path:
    return copied(furnished, tmp_path)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def shop(folder: Path) -> Iterator[Service]:
    with running(SHOP, "--database", folder / "shop") as service:
        yield service


def test_what_happens_in_the_shop_comes_to_its_services(
    folder: Path, redis: RedisServer, shop: Service
) -> None:
    subscribed(folder, redis.url("inventory"))
    subscribed(folder, redis.url("payments"), "payments", MONEY)
    with relay(folder), inventory(folder, redis), payments(folder, redis):
        buy(shop, 3, quantity=2)
        buy(shop, 2, sku="COF-001")
        delivered(folder)
    assert_equal(folder, PAYMENTS, INVENTORY)
    assert rows(folder / "payments", "SELECT outcome, count(*) FROM handled GROUP BY 1") == [("handled", 5)]
    told = rows(folder / "shop", "SELECT count(*) FROM outbox WHERE type IN ('StockChanged', 'PriceChanged')")
    assert rows(folder / "inventory", "SELECT count(*) FROM handled") == told
    assert 'shop_events_behind{consumer="inventory"} 0\n' in shop.ask("/metrics").body.decode()


def test_an_entry_says_what_is_in_it_in_the_version_that_the_consumer_knows(
    folder: Path, redis: RedisServer
) -> None:
    subscribed(folder, redis.url("inventory"), types=("StockChanged@1",))
    with relay(folder), redis.client() as client:
        wait_until(lambda: bool(client.exists("inventory")))
        ((_, fields),) = client.xrange("inventory", count=1)
    told = json.loads(fields[b"event"])
    assert (fields[b"id"], fields[b"key"]) == (told["id"].encode(), told["key"].encode())
    assert (fields[b"type"], told["version"]) == (b"StockChanged", 1)


def test_what_no_group_needs_is_trimmed_and_nothing_else(
    folder: Path, redis: RedisServer, shop: Service
) -> None:
    subscribed(folder, redis.url("inventory"))
    with redis.client() as client:
        client.xgroup_create("inventory", "others", "0", mkstream=True)
        with relay(folder), inventory(folder, redis):
            delivered(folder)
            total = client.xlen("inventory")
            assert total == rows(folder / "inventory", "SELECT count(*) FROM handled")[0][0]
            client.xgroup_setid("inventory", "others", "$")
            buy(shop)  # so that there is something to look at
            delivered(folder)
            wait_until(lambda: client.xlen("inventory") < 5)
    assert total > 100
    assert_equal(folder)


@pytest.mark.parametrize("victim", ["relay", "consumer", "redis"])
def test_killed_again_and_again_nothing_is_lost_or_doubled(
    victim: str, folder: Path, redis: RedisServer, shop: Service
) -> None:
    subscribed(folder, redis.url("inventory"))
    subscribed(folder, redis.url("payments"), "payments", MONEY)
    chance = random.Random(7)
    start: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        "relay": lambda: relay(folder),
        "consumer": lambda: inventory(folder, redis),
    }
    with payments(folder, redis), ExitStack() as stack:
        running_now = {name: stack.enter_context(each()) for name, each in start.items()}
        for _ in range(6):
            buy(shop, chance.randrange(1, 4), sku=chance.choice(["TEA-001", "COF-001", "CUP-001"]))
            lag = chance.randrange(40)
            wait_until(lambda most=lag: behind(folder) <= most)  # type: ignore[misc]
            buy(shop)
            if victim == "redis":
                redis.kill()
                buy(shop)
                redis.start()
            else:
                running_now[victim].kill()
                running_now[victim].wait()
                buy(shop)
                running_now[victim] = stack.enter_context(start[victim]())
        delivered(folder)
    assert_equal(folder, PAYMENTS, INVENTORY)
    assert_in_order(folder)
    assert dead(folder) == dead(folder, INVENTORY) == []


def test_one_that_dies_before_the_effect_has_acknowledged_nothing(folder: Path, redis: RedisServer) -> None:
    subscribed(folder, redis.url("payments"), "payments", MONEY)
    with relay(folder), redis.client() as client:
        with (
            payments(folder, redis) as process,
            closing(sqlite3.connect(folder / "payments", isolation_level=None)) as db,
        ):
            db.execute("BEGIN IMMEDIATE")  # so the effect must wait
            told = paid(folder, 900_001, "1")
            wait_until(lambda: held(client, "payments") == 1)
            process.kill()
            process.wait()
        assert behind(folder, "payments") == 1
        with payments(folder, redis):
            delivered(folder)
    assert handled(folder, told)


def test_one_that_dies_before_it_has_acknowledged_has_the_effect_once(
    folder: Path, redis: RedisServer, shop: Service
) -> None:
    subscribed(folder, redis.url("inventory"))
    with relay(folder), redis.client() as client:
        with inventory(folder, redis) as process:
            delivered(folder)
            client.execute_command("ACL SETUSER", "default", "-xack")
            before = rows(folder / "inventory", "SELECT count(*) FROM handled")[0][0]
            buy(shop)
            wait_until(lambda: rows(folder / "inventory", "SELECT count(*) FROM handled") == [(before + 1,)])
            process.kill()
            process.wait()
        assert behind(folder) == held(client, "inventory") == 1
        client.execute_command("ACL SETUSER", "default", "+xack")
        with inventory(folder, redis):
            delivered(folder)
    assert_equal(folder)


def test_what_redis_has_lost_before_it_was_read_is_sent_again(folder: Path, redis: RedisServer) -> None:
    subscribed(folder, redis.url("inventory"))
    with relay(folder), redis.client() as client:
        total = behind(folder)
        wait_until(lambda: client.xlen("inventory") == total)
        redis.kill()
        redis.start()
        wait_until(lambda: client.xlen("inventory") == total)  # though nothing new has happened
        client.delete("inventory")
        wait_until(lambda: client.xlen("inventory") == total)
        client.xtrim("inventory", maxlen=10, approximate=False)
        wait_until(lambda: client.xlen("inventory") == total + 10)
        assert behind(folder) == total
        with inventory(folder, redis):
            delivered(folder)
    assert rows(folder / "inventory", "SELECT count(*) FROM handled") == [(total,)]
    assert_equal(folder)


def test_a_snapshot_that_is_older_than_what_was_sent_loses_nothing(folder: Path, redis: RedisServer) -> None:
    subscribed(folder, redis.url("payments"), "payments", MONEY)
    with redis.client() as client:
        with relay(folder):
            paid(folder, 900_001, "1")
            wait_until(lambda: client.exists("payments") and client.xlen("payments") == 1)
            client.save()
            paid(folder, 900_002, "2")
            wait_until(lambda: client.xlen("payments") == 2)
            wait_until(lambda: rows(folder / "shop", "SELECT count(*) FROM sent") == [(2,)])
        redis.kill()
        redis.start()
        assert client.xlen("payments") == 1
        with relay(folder), payments(folder, redis):
            delivered(folder)
    assert rows(folder / "payments", "SELECT count(*) FROM handled") == [(2,)]


async def test_an_entry_is_added_only_behind_the_newest_one(redis: RedisServer) -> None:
    streams, to = Streams(within=5.0), parse(redis.url("inventory"))
    body = json.dumps(event("StockChanged", 1, stock_1()))
    async with AsyncExitStack() as stack:
        client = stack.enter_context(redis.client())
        stack.push_async_callback(streams.close)
        first = await streams.add(to, body, None)
        assert isinstance(first, Taken)
        second = await streams.add(to, body, first.entry)
        assert isinstance(second, Taken)
        assert second.entry
        client.xdel("inventory", text_of(second.entry))
        assert await streams.add(to, body, second.entry) == Lost()
        assert client.xlen("inventory") == 1
        assert first.entry
        assert await streams.look(to, "inventory", second.entry, first.entry) == Lost()
        assert await streams.look(to, "inventory", first.entry, first.entry) == Seen(NONE, frozenset())


def test_while_redis_is_away_nobody_waits_and_no_letter_dies(
    folder: Path, redis: RedisServer, shop: Service
) -> None:
    subscribed(folder, redis.url("inventory"))
    with relay(folder, "--deliver-attempts", "1"), inventory(folder, redis):
        delivered(folder)
        redis.kill()
        buy(shop, 3)
        assert behind(folder) == 3
        text = shop.ask("/metrics").body.decode()
        assert 'shop_events_behind{consumer="inventory"} 3\n' in text
        redis.start()
        delivered(folder)
        redis.pause()  # it takes connections, and answers nothing
        buy(shop, 2)
        redis.go_on()
        delivered(folder)
    assert_equal(folder)
    assert events_of(SHOP, folder / "shop")["dead_letters"] == []


def test_of_two_consumers_one_works_and_the_other_goes_on_with_what_it_has_begun(
    folder: Path, redis: RedisServer
) -> None:
    subscribed(folder, redis.url("payments"), "payments", MONEY)
    patient = ("--deliver-attempts", "9999")
    standing = partial(
        consuming, PAYMENTS, folder / "payments", redis.url("payments"), "--consumer", "second"
    )
    with relay(folder), payments(folder, redis, *patient) as first, standing(first="standing by") as second:
        bad, behind_it = owed(folder, 900_001), paid(folder, 900_003, "900001")
        other = paid(folder, 900_002, "900002")
        wait_until(lambda: handled(folder, other))
        assert not handled(folder, bad)
        assert not handled(folder, behind_it)  # for it has the key of the one that fails
        with redis.client() as client:
            (held,) = client.xpending_range("payments", "payments", "-", "+", 1)
            assert held["consumer"] == b"payments"
            first.kill()
            assert second.stdout
            assert second.stdout.readline() == "taking the events of payments as payments\n"
            wait_until(
                lambda: client.xpending_range("payments", "payments", "-", "+", 1)[0]["consumer"] == b"second"
            )
        paid(folder, 900_001, "another key")
        delivered(folder)
        assert handled(folder, bad, behind_it)
    assert refunded(folder, 900_001) == [(100,)]
    assert dead(folder) == []


def test_before_an_import_events_wait_and_none_is_given_up(folder: Path, redis: RedisServer) -> None:
    (folder / "inventory").unlink()
    with running(INVENTORY, "--database", folder / "inventory"):
        pass  # it makes an empty database
    subscribed(folder, redis.url("inventory"))
    options = ("--deliver-attempts", "1")
    with (
        relay(folder),
        consuming(INVENTORY, folder / "inventory", redis.url("inventory"), *options),
        redis.client() as client,
    ):
        wait_until(lambda: held(client, "inventory") > 0)
        bring_over("inventory", folder / "shop", folder / "inventory")
        delivered(folder)
    assert dead(folder, INVENTORY) == []
    assert_equal(folder)


def test_back_to_the_shop_by_servers_that_send_and_take_beside_answering(
    folder: Path, redis: RedisServer
) -> None:
    database = ("--database", folder / "payments")
    subscribe = ("events", "subscribe", "shop", redis.url("back"), *MONEY)
    assert run(PAYMENTS, *subscribe, *database).code == 0
    with running(PAYMENTS, *database, "--relay", *FAST) as service:
        charge = payment(900_001) | {"card": "tok_visa", "amount": euros(12.9), "tax": euros(0.84)}
        assert service.ask("/payments", "POST", charge, Idempotency_Key="one").status == 201
        with redis.client() as client:
            wait_until(lambda: client.exists("back") == 1)
        refused = run(PAYMENTS, "import", "--from", folder / "shop", *database)
        assert "events of its own that the monolith has not taken" in refused.err
        with running(SHOP, "--database", folder / "shop", "--consume", redis.url("back"), *FAST) as shop:
            wait_until_delivered(PAYMENTS, folder / "payments")
            assert shop.ask("/payments/900001").status == 200
            assert shop.stop()[0] == 0
        assert service.stop()[0] == 0
    assert_equal(folder, PAYMENTS)


def test_what_is_a_dead_letter_at_the_shop_no_import_undoes(folder: Path, redis: RedisServer) -> None:
    source = "payments:0123456789abcdef"
    refund = event("PaymentRefunded", 1, {"payment_id": 9, "refunded": euros(9999)})
    with redis.client() as client:
        client.xadd("back", {"event": json.dumps(refund | {"source": source})})
    with consuming(SHOP, folder / "shop", redis.url("back"), "--deliver-attempts", "1"):
        wait_until(lambda: bool(dead(folder, SHOP)))
    with closing(sqlite3.connect(folder / "payments", isolation_level=None)) as db:
        db.execute("INSERT INTO outbox_source (one, source) VALUES (1, ?)", (source,))
    refused = run(PAYMENTS, "import", "--from", folder / "shop", "--database", folder / "payments")
    assert "it has 1 events of its own that the monolith has not taken" in refused.err
