"""Streams in Redis, as far as they are decided without one: addresses, ids, and the books of what lies there."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from legacy_monolith import seed
from legacy_monolith.database import open_writer
from legacy_monolith.telling import PROGRAM
from shop_events import arrivals, arriving, deliveries, metrics, outbox, sent
from shop_events.arriving import arrival
from shop_events.delivery import Absent, Spoiled
from shop_events.stream import (
    Group,
    Stream,
    entry_of,
    is_stream,
    needed_from,
    parse,
    shown,
    sortable,
    text_of,
)
from tests.support.shop_services import ROOT

RIGHT = {
    "redis://127.0.0.1:6379/0?stream=shop": Stream("redis://127.0.0.1:6379/0", "shop"),
    "redis://cache?stream=shop:inventory": Stream("redis://cache", "shop:inventory"),
    "redis://:s%40t@[::1]:6380/3?stream=a.b-c_d": Stream("redis://:s%40t@[::1]:6380/3", "a.b-c_d"),
    "rediss://u:p@h/1?ssl_ca_certs=/ca.pem&stream=s": Stream("rediss://u:p@h/1?ssl_ca_certs=%2Fca.pem", "s"),
    "unix:///run/redis.sock?db=2&stream=shop": Stream("unix:///run/redis.sock?db=2", "shop"),
    "unix://:secret@/run/redis.sock?stream=shop": Stream("unix://:secret@/run/redis.sock", "shop"),
}


@pytest.mark.parametrize("url", RIGHT)
def test_an_address_says_where_the_server_is_and_which_stream(url: str) -> None:
    assert is_stream(url)
    assert parse(url) == RIGHT[url]


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h?stream=",
        "redis://h?stream=a&stream=b",
        "redis://h?stream=a/b",
        "redis://h?stream=a%0Ab",
        f"redis://h?stream={'x' * 65}",
        "redis://h?stream=a&maxlen=7",
        "redis://h?stream=a&socket_timeout=7",
        "redis://h/zero?stream=a",
        "redis://h:0/0?stream=a",
        "redis://h:99999/0?stream=a",
        "redis://h:x/0?stream=a",
        "redis://h/0?stream=a#b",
        "redis:///0?stream=a",
        "redis://[::1/0?stream=a",
        "redis://h\n/0?stream=a",
        "unix://host/run/redis.sock?stream=a",
        "unix:///?stream=a",
        "unix:///run/redis.sock?db=two&stream=a",
        "redis://u:secret@h?stream",
        "redis://u:sec/secret@h?stream=a",
    ],
)
def test_what_is_no_address_of_a_stream_is_refused_in_one_line_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a stream such as redis://") as caught:
        parse(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_people_are_shown_no_password() -> None:
    assert shown("redis://u:p@ss@h:1/0?stream=a") == "redis://***@h:1/0?stream=a"
    assert shown("http://u:p@h/events") == "http://u:p@h/events"
    assert not is_stream("http://h/events")


entries = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


@given(entries, entries)
def test_ids_are_read_and_written_as_redis_does_and_sort_as_there(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    assert entry_of(text_of(one)) == entry_of(sortable(one)) == one
    assert (sortable(one) < sortable(other)) == (one < other)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1-0", "1-0-0", "1-x", "1 -0"])
def test_what_is_no_id_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no id of an entry"):
        entry_of(text)


@given(st.lists(st.tuples(entries, st.none() | entries)), entries)
def test_nothing_is_trimmed_that_somebody_needs(
    groups: list[tuple[tuple[int, int], tuple[int, int] | None]], kept: tuple[int, int]
) -> None:
    needed = needed_from(kept, [Group("x", given, oldest) for given, oldest in groups])
    assert needed <= kept
    assert all(needed <= (given if oldest is None else oldest) for given, oldest in groups)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("seeded") / "shop"
    open_writer(path, partial(seed.fill, seed=2019)).close()
    return path.read_bytes()


@pytest.fixture
def db(seeded: bytes, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    (tmp_path / "shop").write_bytes(seeded)
    with closing(open_writer(tmp_path / "shop", lambda _: None)) as connection:
        deliveries.subscribe(connection, "inventory", "redis://h/0?stream=a", {"PriceChanged": 1})
        yield connection


def behind(db: sqlite3.Connection) -> tuple[int, int]:
    (lag,) = deliveries.lags(db)
    return lag.events, lag.cursor


def test_what_lies_in_a_stream_is_behind_until_it_is_acknowledged(db: sqlite3.Connection) -> None:
    first, after = outbox.at_sequence(db, 1), None
    for sequence in (1, 2, 3, 4):
        deliveries.put(db, "inventory", sequence, (9, sequence), after)
        after = (9, sequence)
    assert behind(db) == (40, 4)
    assert deliveries.lags(db)[0].since == first.at
    sent.acknowledge(db, "inventory", (9, 3), [(9, 2)])
    assert behind(db) == (38, 4)  # the second is pending, the fourth was not given to anybody
    assert sent.oldest(db, "inventory") == (2, (9, 2))
    assert sent.newest(db, "inventory") == (9, 4)
    sent.acknowledge(db, "inventory", (9, 4), [])
    assert behind(db) == (36, 4)
    assert sent.newest(db, "inventory") == (9, 4)


def test_what_was_lost_is_sent_again_from_the_first_that_nobody_has_acknowledged(
    db: sqlite3.Connection,
) -> None:
    after = None
    for sequence in (1, 2, 3, 4):
        deliveries.put(db, "inventory", sequence, (9, sequence), after)
        after = (9, sequence)
    sent.acknowledge(db, "inventory", (9, 2), [])
    assert deliveries.send_again(db, "inventory") == 3
    assert behind(db) == (38, 2)
    assert sent.newest(db, "inventory") is None
    deliveries.put(db, "inventory", 5, (9, 5), after)  # what was on its way when that was found out
    assert behind(db) == (38, 2)
    assert deliveries.send_again(db, "inventory") is None


def test_what_a_relay_has_seen_stands_until_another_one_has_gone_on(db: sqlite3.Connection) -> None:
    deliveries.put(db, "inventory", 1, (9, 1), None)
    deliveries.put(db, "inventory", 2, (9, 2), (9, 1))
    assert sent.stand(db, "inventory", (9, 2), (9, 1))
    assert not sent.stand(db, "inventory", (9, 1), None)  # behind which the other one has put a second
    sent.acknowledge(db, "inventory", (9, 1), [])
    assert not sent.stand(db, "inventory", (9, 2), (9, 1))  # that may be trimmed by now, and is no loss
    assert sent.stand(db, "inventory", (9, 2), (9, 2))
    of = deliveries.subscription(db, "inventory")
    assert of
    deliveries.send_again(db, "inventory")
    assert not deliveries.stands(db, of)


def test_another_address_gets_what_the_old_one_has_not_taken(db: sqlite3.Connection) -> None:
    deliveries.put(db, "inventory", 1, (9, 1), None)
    deliveries.subscribe(db, "inventory", "redis://h/0?stream=a", {"PriceChanged": 1})
    assert behind(db) == (40, 1)
    deliveries.subscribe(db, "inventory", "http://h/events", {"PriceChanged": 1})
    assert behind(db) == (40, 0)


def test_nothing_is_left_of_who_is_unsubscribed(db: sqlite3.Connection) -> None:
    deliveries.put(db, "inventory", 1, (9, 1), None)
    assert deliveries.unsubscribe(db, "inventory")
    assert sent.oldest(db, "inventory") is None
    assert sent.newest(db, "inventory") is None


def test_an_entry_without_an_event_holds_up_nobody() -> None:
    for body in (b"", b"\xff", b"[]", b"{}", b"[" * 100_000, b"x" * 100_000, b'{"id": 7, "key": 7}'):
        what = arrival("5-0", {b"event": body})
        assert (what.key, what.id) == ("5-0", "5-0")
    body = b'{"id": "0123456789abcdef0123456789abcdef", "source": "shop:1", "key": "TEA-001"}'
    what = arrival("5-0", {b"event": body})
    assert (what.key, what.id) == ("shop:1 TEA-001", "0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "400 the entry has no event in it"),
        ({b"event": b"\xff\xfe"}, "400 the body is not JSON"),
        ({b"event": b"[" * 60_000}, "400 the body is not JSON"),
        ({b"event": b"x" * 65_537}, "400 the event is larger than 65536 bytes"),
        ({b"event": b"[]"}, "400 the body must be an object"),
        ({b"event": b'{"type": "Rain", "version": 1}'}, "422 Rain 1 is not known here"),
    ],
)
def test_what_is_no_event_is_hopeless(fields: dict[bytes, bytes], text: str, db: sqlite3.Connection) -> None:
    assert arriving.take(PROGRAM, db, arrival("5-0", fields)) == Spoiled(text, hopeless=True)


def test_a_database_that_is_busy_spoils_no_event(db: sqlite3.Connection, tmp_path: Path) -> None:
    body = b"""{"id": "0123456789abcdef0123456789abcdef", "source": "inventory:0123456789abcdef", "sequence": 1,
        "at": "2026-04-01T12:00:00Z", "type": "StockChanged", "version": 1, "key": "TEA-001",
        "data": {"sku": "TEA-001", "warehouse": "LEJ", "on_hand": 0, "reserved": 1}}"""
    db.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(tmp_path / "shop", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert isinstance(arriving.take(PROGRAM, db, arrival("5-0", {b"event": body})), Absent)
    assert arrivals.every(db) == []


def holds(alert: str, db: sqlite3.Connection, now: float) -> list[str]:
    """The series for which an alert of deploy/ holds, if it says `metric > number`."""
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "shop.rules.yaml").read_text())["groups"]
    (expression,) = (rule["expr"] for each in groups for rule in each["rules"] if rule["alert"] == alert)
    name, _, least = expression.split(" ")
    lines = [line.rsplit(" ", 1) for line in metrics.text(db, now).splitlines() if line.startswith(name)]
    return [series for series, value in lines if float(value) > float(least)]


def test_an_alert_tells_of_a_stream_that_nobody_reads(db: sqlite3.Connection) -> None:
    after = None
    for sequence in range(1, 41):
        deliveries.put(db, "inventory", sequence, (9, sequence), after)
        after = (9, sequence)
    told = datetime.fromisoformat(outbox.at_sequence(db, 1).at).timestamp()
    assert holds("ShopEventsLate", db, told + 59) == []
    assert holds("ShopEventsLate", db, told + 61) == ['shop_events_lag_seconds{consumer="inventory"}']
    sent.acknowledge(db, "inventory", (9, 40), [])
    assert holds("ShopEventsLate", db, told + 61) == []


def test_an_alert_tells_of_dead_letters_on_this_side(db: sqlite3.Connection) -> None:
    assert holds("ShopEventsDeadLetters", db, 0) == []
    arrivals.bury(db, arrivals.DeadArrival("5-0", "shop", "back", "5-0", "{", 1, "400 the body is not JSON"))
    assert holds("ShopEventsDeadLetters", db, 0) == ['shop_events_dead_letters{consumer="shop"}']


def test_a_dead_letter_is_told_in_json_whatever_is_in_it() -> None:
    body = '{"version": NaN, "data": [1.5, -Infinity, 1e999, {"x": NaN}], "key": "a"}'
    letter = arrivals.DeadArrival("5-0", "shop", "back", "5-0", body, 1, "400")
    assert (letter.member("version"), letter.member("key")) == (None, "a")
    assert letter.member("data") == [1.5, None, None, {"x": None}]
