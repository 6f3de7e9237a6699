"""What goes wrong with events by Redis Streams: bad events, strangers, a Redis that refuses, senseless commands."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.redis_server import RedisServer, consuming, free_port, redis_server
from tests.support.shop_events import event, relay_of
from tests.support.shop_services import ROOT, Service, assert_one_line, run, running, wait_until
from tests.support.shop_streams import (
    INVENTORY,
    MONEY,
    PAYMENTS,
    SHOP,
    assert_equal,
    behind,
    buy,
    copied,
    dead,
    delivered,
    error_lines,
    euros,
    furnish,
    handled,
    inventory,
    owed,
    own,
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


def test_one_that_keeps_failing_is_a_dead_letter_and_can_be_retried(folder: Path, redis: RedisServer) -> None:
    subscribed(folder, redis.url("payments"), "payments", MONEY)
    bad, behind_it = owed(folder, 900_001), paid(folder, 900_001, "900001")
    with (
        running(PAYMENTS, "--database", folder / "payments") as service,
        relay(folder),
        payments(folder, redis, "--deliver-attempts", "3"),
    ):
        delivered(folder)
        assert handled(folder, behind_it)
        (letter,) = dead(folder)
        assert (letter["id"], letter["consumer"], letter["attempts"]) == (bad, "payments", 3)
        assert letter["last_error"].startswith("409 there is no payment 900001")
        assert (letter["stream"], letter["type"], letter["key"]) == ("payments", "PaymentRefunded", "900001")
        assert 'shop_events_dead_letters{consumer="payments"} 1\n' in service.ask("/metrics").body.decode()
    text = run(PAYMENTS, "events", "--database", folder / "payments").out
    assert f"python -m extracted.payments events retry {bad} --database {folder / 'payments'}" in text
    assert run(PAYMENTS, "events", "retry", bad, "--database", folder / "payments").code == 0
    assert refunded(folder, 900_001) == [(100,)]
    assert dead(folder) == []
    again = run(PAYMENTS, "events", "retry", bad, "--database", folder / "payments")
    assert_one_line(again, PAYMENTS)


def test_a_retry_that_fails_says_so_and_the_letter_stays(folder: Path, redis: RedisServer) -> None:
    subscribed(folder, redis.url("payments"), "payments", MONEY)
    bad = owed(folder, 900_001)
    with relay(folder), payments(folder, redis, "--deliver-attempts", "1"):
        delivered(folder)
    again = run(PAYMENTS, "events", "retry", bad, "--database", folder / "payments")
    assert (again.code, again.out, again.err.count("\n")) == (1, "", 1)
    assert "has failed once more: 409 there is no payment 900001" in again.err
    assert [each["attempts"] for each in dead(folder)] == [2]
    assert run(PAYMENTS, "events", "drop", bad, "--database", folder / "payments").code == 0
    assert dead(folder) == []
    assert_one_line(run(PAYMENTS, "events", "drop", bad, "--database", folder / "payments"), PAYMENTS)


STRANGE: dict[str, dict[Any, Any]] = {
    "no event": {"colour": "red"},
    "not text": {"event": b"\xff\xfe"},
    "not JSON": {"event": "PaymentTaken"},
    "deep": {"event": "[" * 60_000},
    "huge": {"event": "x" * 10**6},
    "unknown": {"event": json.dumps(event("\x1b[2JRain\n", 1, {}, 11))},
    "of the wrong types": {"event": json.dumps(event("PaymentRefunded", 1, {}, 12, source=[], key={}))},
    "of a stranger": {
        "event": json.dumps(event("PaymentRefunded", 1, {"payment_id": 9, "refunded": euros(1)}, 14))
    },
    "of the wrong contents": {"event": json.dumps(event("PaymentRefunded", 1, {"payment_id": True}, 13))},
}


def test_what_somebody_else_puts_there_is_a_dead_letter_and_holds_up_nobody(
    folder: Path, redis: RedisServer, shop: Service
) -> None:
    subscribed(folder, redis.url("payments"), "payments", MONEY)
    with relay(folder), payments(folder, redis), redis.client() as client:
        for fields in STRANGE.values():
            client.xadd("payments", fields)
            buy(shop)
        client.xadd("payments", {"event": "from the end of time"}, id=f"{2**64 - 1}-5")
        buy(shop, 2)
        delivered(folder)
        wait_until(lambda: len(dead(folder)) == len(STRANGE) + 1)
    assert_equal(folder, PAYMENTS)
    errors = {each["last_error"].partition(" ")[0] for each in dead(folder)}
    assert errors == {"400", "409", "422"}
    text = run(PAYMENTS, "events", "--database", folder / "payments").out
    assert text.count("of the stream payments was given up at") == len(STRANGE) + 1
    assert "\x1b" not in text
    for letter in dead(folder):
        again = run(PAYMENTS, "events", "retry", letter["id"], "--database", folder / "payments")
        assert again.code == 1


def test_a_wrong_password_is_said_and_nothing_is_lost(folder: Path, tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "secret") as redis:
        wrong = redis.url("inventory", password="guessed")
        subscribed(folder, wrong)
        with relay_of(SHOP, folder / "shop", log=subprocess.PIPE) as sender:
            assert sender.stderr
            line = sender.stderr.readline()
            assert line.startswith("inventory is away: redis://***@127.0.0.1:")
            assert "password" in line
            with consuming(INVENTORY, folder / "inventory", wrong) as consumer:
                assert consumer.stderr
                assert consumer.stderr.readline().startswith("no events come from redis://***@127.0.0.1:")
        assert "guessed" not in run(SHOP, "events", "--database", folder / "shop", "--json").out
        subscribed(folder, redis.url("inventory", password="secret"))
        right = redis.url("inventory", password="secret")
        with relay(folder), consuming(INVENTORY, folder / "inventory", right):
            delivered(folder)
    assert_equal(folder)


def spoil_type(client: Any) -> None:
    client.set("inventory", "no stream")


def fill_up(client: Any) -> None:
    client.config_set("maxmemory", "1")


def mend(client: Any) -> None:
    client.config_set("maxmemory", "0")
    with suppress(Exception):
        if client.type("inventory") == b"string":
            client.delete("inventory")


@pytest.mark.parametrize("spoil", [spoil_type, fill_up])
def test_what_redis_refuses_waits_until_somebody_has_mended_it(
    spoil: Callable[[Any], None], folder: Path, redis: RedisServer, shop: Service
) -> None:
    subscribed(folder, redis.url("inventory"))
    with redis.client() as client:
        spoil(client)
        with relay(folder, "--deliver-attempts", "1"), inventory(folder, redis):
            buy(shop, 2)
            before = behind(folder)
            assert before > 100
            mend(client)
            delivered(folder)
    assert_equal(folder)


@pytest.mark.parametrize(
    "words",
    [
        ("subscribe", "x", "redis://127.0.0.1/0", "StockChanged"),
        ("subscribe", "x", "redis://:secret@h/0?stream=a&maxlen=3", "StockChanged"),
        ("subscribe", "x", "redis://127.0.0.1:1/0?stream=taken", "StockChanged"),
        ("drop", "0"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_in_one_line(words: tuple[str, ...], folder: Path) -> None:
    subscribed(folder, "redis://127.0.0.1:1/0?stream=taken")
    done = run(SHOP, "events", *words, "--database", folder / "shop")
    assert_one_line(done, SHOP)
    assert "secret" not in done.err


@pytest.mark.parametrize(
    "options",
    [
        ("--from", "http://127.0.0.1:1/events"),
        ("--from", "redis://127.0.0.1:1/0"),
        ("--from", "redis://127.0.0.1:1/0?stream=a", "--group", "In ventory"),
        (),
    ],
)
@pytest.mark.parametrize("module", [SHOP, PAYMENTS, INVENTORY])
def test_consuming_from_nowhere_is_refused_in_one_line(
    module: str, options: tuple[str, ...], folder: Path
) -> None:
    done = run(module, "consume", "--database", own(folder, module), *options)
    assert_one_line(done, module)


@pytest.mark.parametrize("module", [SHOP, PAYMENTS, INVENTORY])
def test_without_the_library_one_line_says_what_to_install(
    module: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    url = "redis://127.0.0.1:1/0?stream=a"
    for words in (("events", "subscribe", "x", url, "PaymentTaken"), ("consume", "--from", url)):
        done = run(module, *words, "--database", own(folder, module))
        assert_one_line(done, module)
        assert "pip install 'strangler[redis]'" in done.err


def test_a_lock_that_cannot_be_had_is_one_line(folder: Path) -> None:
    (folder / "inventory-inventory-a.lock").mkdir()
    words = ("--database", folder / "inventory", "--from", "redis://127.0.0.1:1/0?stream=a")
    done = run(INVENTORY, "consume", *words)
    assert_one_line(done, INVENTORY)
    assert "inventory-inventory-a.lock" in done.err


def test_a_redis_that_is_full_is_read_all_the_same(folder: Path, redis: RedisServer, shop: Service) -> None:
    subscribed(folder, redis.url("inventory"))
    with relay(folder), redis.client() as client:
        with inventory(folder, redis):
            delivered(folder)
        before = client.xinfo_stream("inventory")["entries-added"]
        buy(shop)
        wait_until(lambda: client.xinfo_stream("inventory")["entries-added"] > before)
        fill_up(client)
        with inventory(folder, redis):
            delivered(folder)
    assert_equal(folder)


def test_through_a_socket_of_the_system_too(folder: Path, tmp_path: Path) -> None:
    with redis_server(tmp_path, "--unixsocket", str(tmp_path / "socket")):
        url = f"unix://{tmp_path / 'socket'}?db=1&stream=inventory"
        subscribed(folder, url)
        with relay(folder), consuming(INVENTORY, folder / "inventory", url):
            delivered(folder)
    assert_equal(folder)


def test_through_tls_too(folder: Path, tmp_path: Path) -> None:
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    files = {"cert-file": "own.pem", "key-file": "own.pem", "ca-cert-file": "ca.pem"}
    options = [word for name, file in files.items() for word in (f"--tls-{name}", str(tmp_path / file))]
    with redis_server(tmp_path, "--tls-port", str(port), "--tls-auth-clients", "no", *options):
        url = f"rediss://127.0.0.1:{port}/0?stream=inventory&ssl_ca_certs={tmp_path / 'ca.pem'}"
        subscribed(folder, url)
        with relay(folder), consuming(INVENTORY, folder / "inventory", url):
            delivered(folder)
    assert_equal(folder)


def test_a_standing_order_to_stop_is_followed(folder: Path, redis: RedisServer) -> None:
    with inventory(folder, redis) as first, inventory(folder, redis, first="standing by") as second:
        assert error_lines(second) == []
        assert error_lines(first) == []


def test_a_consumer_that_is_there_before_redis_waits_for_it(folder: Path, redis: RedisServer) -> None:
    redis.kill()
    subscribed(folder, redis.url("inventory"))
    with relay(folder), inventory(folder, redis) as process:
        assert process.stderr
        assert "refused" in process.stderr.readline()
        redis.start()
        delivered(folder)
        assert error_lines(process) == []  # said once, however often it was tried
    assert_equal(folder)


def test_a_relay_without_the_library_says_what_to_install(folder: Path) -> None:
    subscribed(folder, "redis://127.0.0.1:1/0?stream=a")
    words = ["relay", "--database", str(folder / "shop")]
    code = f"import sys; sys.modules['redis'] = None; from {SHOP}.__main__ import main; main({words})"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        line = process.stderr.readline()
        process.kill()
    assert line.startswith("inventory is away: a stream in Redis needs the package redis: pip install")
