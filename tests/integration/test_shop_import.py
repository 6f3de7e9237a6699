"""Filling the extracted services' databases from the monolith's."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from legacy_monolith import payments, seed, stock, versions
from legacy_monolith.database import open_existing, open_writer
from shop_events import deliveries, outbox
from tests.support.shop_services import ROOT, assert_one_line, bring_over, dump, run, wait_until

EXTRACTED = ("payments", "inventory")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database file of a monolith that is not running. Read only."""
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite3"
    open_writer(path, partial(seed.fill, seed=2019)).close()
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "own.sqlite3"


@pytest.mark.parametrize("service", EXTRACTED)
def test_an_import_run_again_changes_nothing(service: str, shop: Path, database: Path) -> None:
    source = dump(shop)
    first = bring_over(service, shop, database)
    imported = dump(database)
    again = bring_over(service, shop, database)
    assert "800 added, 0 changed, 0 unchanged" in first or "40 added, 0 changed, 0 unchanged" in first
    assert "0 added, 0 changed, 800 unchanged" in again or "0 added, 0 changed, 40 unchanged" in again
    assert dump(database) == imported
    assert dump(shop) == source


@pytest.fixture
def moving_shop(shop: Path, tmp_path: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    copy = tmp_path / "moving.sqlite3"
    copy.write_bytes(shop.read_bytes())
    with closing(sqlite3.connect(copy, isolation_level=None)) as db:
        yield copy, db


@pytest.mark.parametrize(
    ("service", "change", "report"),
    [
        (
            "payments",
            "UPDATE payments SET refunded_cents = 1 WHERE payment_id <= 3",
            "payments: 0 added, 3 changed",
        ),
        (
            "payments",
            "INSERT INTO accounts VALUES (900, 'A', 'a@b', '2020-01-01', 0)",
            "accounts: 1 added, 0 ch",
        ),
        (
            "inventory",
            "UPDATE stock_items SET reorder_at = 99 WHERE sku = 'TEA-001'",
            "items: 0 added, 1 changed",
        ),
        (
            "inventory",
            "UPDATE stock_levels SET on_hand = on_hand + 1 WHERE sku = 'CUP-004'",
            "0 added, 1 changed",
        ),
        (
            "inventory",
            "UPDATE warehouses SET name = 'Köln' WHERE code = 'BER'",
            "warehouses: 0 added, 1 changed",
        ),
    ],
)
def test_an_import_picks_up_what_has_changed(
    service: str,
    change: str,
    report: str,
    moving_shop: tuple[Path, sqlite3.Connection],
    database: Path,
) -> None:
    source, db = moving_shop
    bring_over(service, source, database)
    db.execute("PRAGMA ignore_check_constraints = ON")
    db.execute(change)
    assert report in bring_over(service, source, database)
    fresh = database.with_name("fresh")
    bring_over(service, source, fresh)
    assert dump(database) == dump(fresh)


def test_an_import_sees_one_moment_of_a_shop_at_work(
    moving_shop: tuple[Path, sqlite3.Connection], database: Path
) -> None:
    source, db = moving_shop
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM payments")
    assert "payments: 800 added" in bring_over("payments", source, database)


@pytest.mark.parametrize("command", ["import", "reconcile"])
@pytest.mark.parametrize(
    ("service", "change"),
    [
        ("payments", lambda db: payments.refund(db, 1, 100)),
        ("inventory", lambda db: stock.receive(db, "TEA-001", "LEJ", 5)),
    ],
)
def test_an_event_that_comes_while_a_command_waits_is_neither_undone_nor_a_difference(
    command: str,
    service: str,
    change: Callable[[sqlite3.Connection], None],
    moving_shop: tuple[Path, sqlite3.Connection],
    database: Path,
) -> None:
    source, _ = moving_shop
    bring_over(service, source, database)
    with (
        closing(sqlite3.connect(database, isolation_level=None)) as ours,
        closing(open_existing(source)) as shop,
    ):
        ours.execute("BEGIN IMMEDIATE")
        with begun(service, command, source, database) as process:
            wait_until(lambda: has_open(process, database))  # it waits for the lock, the shop is open already
            change(shop)
            ours.execute("COMMIT")
            take_newest(service, shop, ours)
            assert process.wait(30) == 0
    done = run(f"extracted.{service}", "reconcile", "--from", source, "--database", database, "--json")
    assert json.loads(done.out) | {"compared": 0} == {
        "equal": True,
        "differences": [],
        "compared": 0,
        "to_come": 0,
        "imported": True,
    }


@pytest.mark.parametrize("service", EXTRACTED)
def test_an_import_undoes_nothing_that_only_somebody_else_has_taken(
    service: str, moving_shop: tuple[Path, sqlite3.Connection], database: Path
) -> None:
    source, shop = moving_shop
    bring_over(service, source, database)
    ours = import_module(f"extracted.{service}.database")
    with closing(ours.open_existing(database)) as db:
        outbox.write(db, "StockChanged", 2, "TEA-001", {}, by=service)
        deliveries.subscribe(db, "audit", "http://127.0.0.1:1/events", {"StockChanged": 2})
        deliveries.taken(db, "audit", 1)
        assert not deliveries.untaken(db)
        done = run(f"extracted.{service}", "import", "--from", source, "--database", database)
        assert_one_line(done, f"extracted.{service}")
        assert "it has 1 events of its own that the monolith has not taken" in done.err
        row = (outbox.at_sequence(db, 1).id, outbox.source(db), 1, "2026-04-01T12:00:00.000Z")
        shop.execute("INSERT INTO handled (id, source, sequence, at) VALUES (?, ?, ?, ?)", row)
        bring_over(service, source, database)


def begun(service: str, command: str, source: Path, database: Path) -> "subprocess.Popen[bytes]":
    words = ("-m", f"extracted.{service}", command, "--from", str(source), "--database", str(database))
    return subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL)


def has_open(process: "subprocess.Popen[bytes]", path: Path) -> bool:
    assert process.poll() is None
    names = []
    for each in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            names.append(each.readlink())
    return path.resolve() in names


def take_newest(service: str, shop: sqlite3.Connection, ours: sqlite3.Connection) -> None:
    """Let the service have the newest event of the shop."""
    told = outbox.at_sequence(shop, outbox.last(shop))
    body = deliveries.body(
        shop, told, deliveries.Subscription("x", "", {}, 0), versions.no_newer_than
    ).encode()
    handling, events, writing = (
        import_module(f"extracted.{service}.{name}") for name in ("handling", "events", "writing")
    )
    # Skipped, if the import was quicker, and has read the effect.
    assert handling.handle(ours, events.read(writing.object_of(body))) in ("handled", "skipped")


@pytest.mark.parametrize("service", EXTRACTED)
@pytest.mark.parametrize("kind", ["text", "foreign", "missing", "folder", "empty", "another service's"])
def test_an_import_from_something_else_changes_nothing(
    service: str, kind: str, shop: Path, database: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    match kind:
        case "text":
            source.write_text("this is no database\n" * 99)
        case "foreign":
            with closing(sqlite3.connect(source)) as db:
                db.execute("CREATE TABLE payments (payment_id INTEGER)")
        case "folder":
            source.mkdir()
        case "empty":
            source.touch()
        case "another service's":
            bring_over("payments", shop, source)
    for existing in (False, True):
        if existing:
            bring_over(service, shop, database)
        before = dump(database) if existing else None
        done = run(f"extracted.{service}", "import", "--from", source, "--database", database)
        assert_one_line(done, f"extracted.{service}")
        assert str(source) in done.err
        assert (dump(database) if database.exists() else None) == before


@pytest.mark.parametrize("service", EXTRACTED)
def test_an_import_into_the_monolith_itself_is_refused(service: str, shop: Path) -> None:
    before = dump(shop)
    assert_one_line(
        run(f"extracted.{service}", "import", "--from", shop, "--database", shop), f"extracted.{service}"
    )
    assert dump(shop) == before
