"""The shop's services as processes: starting, stopping, importing, and saying what is wrong."""

import json
import signal
import socket
import sqlite3
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from legacy_monolith import saga_log
from legacy_monolith.drafts import Draft
from legacy_monolith.saga_log import Places
from tests.support.shop_services import assert_one_line, run, running

MODULES = ("legacy_monolith", "extracted.payments", "extracted.inventory")
ORDER = b"""{"account_id": 7, "items": [{"sku": "TEA-001", "quantity": 1}],
            "payment": {"method": "card", "card": "tok_visa"}}"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "own.sqlite3"


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_service_cleanly(module: str, number: int, database: Path) -> None:
    with (
        running(module, "--database", database) as service,
        closing(HTTPConnection("127.0.0.1", service.port)) as kept_alive,
    ):
        kept_alive.request("GET", "/healthz")
        assert json.load(kept_alive.getresponse())["status"] == "ok"
        assert service.stop(number) == (0, "", "")
    assert not list(database.parent.glob("*-wal"))


def test_an_order_in_the_making_is_finished_before_the_end(database: Path) -> None:
    with (
        running("legacy_monolith", "--database", database) as service,
        closing(HTTPConnection("127.0.0.1", service.port, timeout=30)) as buyer,
    ):
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            buyer.request("POST", "/orders", ORDER)
            # Answered one after the other, so by now the order has been begun, and waits for the lock.
            assert [service.ask("/healthz").status for _ in range(3)] == [200] * 3
            service.process.send_signal(signal.SIGTERM)
            db.execute("ROLLBACK")
        assert buyer.getresponse().status == 201
        assert service.process.wait(30) == 0


SUBSCRIBE = ("events", "subscribe", "x", "http://127.0.0.1:1/events", "PaymentTaken")
BROKEN = {
    "price": ("legacy_monolith", ("price", "TEA-001", "9.90"), "UPDATE ON products"),
    "order": ("legacy_monolith", ("order", "10900", "packed"), "INSERT ON order_progress"),
    "retry": ("legacy_monolith", ("sagas", "retry", "10901"), "INSERT ON saga_log"),
    "subscribe": ("legacy_monolith", SUBSCRIBE, "INSERT ON subscriptions"),
    "subscribe at payments": ("extracted.payments", SUBSCRIBE, "INSERT ON subscriptions"),
}


@pytest.mark.parametrize(("module", "words", "when"), BROKEN.values(), ids=BROKEN)
def test_a_database_that_fails_in_the_midst_of_a_command_is_one_line(
    module: str, words: tuple[str, ...], when: str, database: Path
) -> None:
    with running(module, "--database", database):
        pass
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        if module == "legacy_monolith":
            db.execute("INSERT INTO orders VALUES (10900, 7, 100, 7, '2026-04-01T12:00:00Z')")
            db.execute("INSERT INTO payments_elsewhere VALUES (10900, 900)")
            draft = Draft(10_901, 901, 7, (), "balance", None, "2026-04-01T12:00:00Z")
            saga_log.start(db, draft, Places("http", "http"), draft.at)
            saga_log.come_to(db, 10_901, "owing", draft.at)
        db.execute(f"CREATE TRIGGER broken BEFORE {when} BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    done = run(module, *words, "--database", database)
    assert_one_line(done, module)
    assert f"cannot use the database {database}: disk full" in done.err


@pytest.mark.parametrize("module", MODULES[1:])
def test_serve_may_be_said_as_well(module: str, database: Path) -> None:
    said = run(module, "serve", "--port", "x", "--database", database)
    left_out = run(module, "--port", "x", "--database", database)
    assert said == left_out


def test_the_same_seed_is_served_from_a_new_file_and_from_an_old_one(database: Path, tmp_path: Path) -> None:
    answers = []
    for path, number in ((database, 5), (database, 6), (tmp_path / "other", 5)):
        with running("legacy_monolith", "--database", path, "--seed", number) as service:
            answers.append(service.ask("/payments/42").body)
    assert len(set(answers)) == 1


@pytest.mark.parametrize("module", MODULES)
def test_help_says_how_to_start(module: str) -> None:
    done = run(module, "--help")
    assert done.code == 0
    assert f"python -m {module}" in done.out
    assert "--port" in done.out
    assert "--database" in done.out


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--database", "OWN", "--port", "65536"],
        ["--database", "OWN", "--port", "many"],
        ["--database", "OWN", "--release", "v 3"],
        ["--database", "OWN", "--colour", "blue"],
        ["--database", "OWN", "stop"],
        ["--database", "OWN", "--host", "256.0.0.1"],
        ["--database", "TEXT"],
        ["--database", "FOREIGN"],
        ["--database", "FOLDER"],
        ["--database", "FOLDER/none/own.sqlite3"],
    ],
)
def test_a_bad_start_is_one_line_and_exit_2(module: str, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, however long one looks at it\n" * 20)
    make_foreign(tmp_path / "foreign")
    places = {"OWN": "own", "TEXT": "text", "FOREIGN": "foreign", "FOLDER": "."}
    for word, place in places.items():
        options = [option.replace(word, str(tmp_path / place)) for option in options]
    before = (tmp_path / "foreign").read_bytes()
    assert_one_line(run(module, *options), module)
    assert (tmp_path / "foreign").read_bytes() == before


def make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE payments (payment_id INTEGER)")


@pytest.mark.parametrize("module", MODULES)
def test_a_port_that_is_taken_is_one_line_and_exit_2(module: str, database: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(module, "--database", database, "--port", port)
    assert_one_line(done, module)
    assert f"cannot listen on 127.0.0.1:{port}" in done.err


def test_what_went_wrong_inside_is_told_to_the_operator_only(database: Path) -> None:
    with running("legacy_monolith", "--database", database) as service:
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            db.execute(
                "CREATE TRIGGER fault AFTER INSERT ON orders BEGIN SELECT RAISE(FAIL, 'injected'); END"
            )
        answer = service.ask("/orders", "POST", ORDER)
        code, _, log = service.stop()
    assert (answer.status, code) == (500, 0)
    assert b"injected" not in answer.body
    assert "injected" in log
