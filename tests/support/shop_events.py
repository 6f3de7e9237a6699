"""Events to tell, and relays as real processes."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from tests.support.shop_services import ROOT, run, wait_until

FAST = ("--deliver-every", "0.02", "--deliver-longest-pause", "0.1")


def event(kind: str, version: int, data: dict[str, Any], number: int = 1, **change: object) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "source": "shop:0123456789abcdef",
        "sequence": number,
        "type": kind,
        "version": version,
        "key": "x",
        "at": "2026-04-01T12:00:00.000Z",
        "data": data,
    } | change


def stock_1(reserved: int = 2, sku: str = "TEA-001") -> dict[str, Any]:
    return {"sku": sku, "warehouse": "LEJ", "on_hand": 0, "reserved": reserved}


def stock_2(reserved: int = 2, sku: str = "TEA-001") -> dict[str, Any]:
    change = {"on_hand": 0, "reserved": reserved}
    level = {"on_hand": 9, "reserved": 5}
    return {"sku": sku, "warehouse": "LEJ", "reason": "reserved", "change": change, "level": level}


def payment(number: int = 801) -> dict[str, Any]:
    return {
        "payment_id": number,
        "account_id": 7,
        "order_id": 10_000 + number,
        "method": "card",
        "amount": {"amount": Decimal("12.9"), "currency": "EUR"},
        "tax": {"amount": Decimal("0.84"), "currency": "EUR"},
        "taken_at": "2026-04-01T12:00:00Z",
    }


@contextmanager
def relay_of(
    module: str, database: Path, *options: object, log: IO[str] | int | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """A relay of the events of a database; what it says to its operator goes to `log`."""
    command = [sys.executable, "-m", module, "relay", "--database", database, *FAST, *options]
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith("delivering the events of ")
            yield process
        finally:
            process.kill()


def events_of(module: str, database: Path) -> dict[str, Any]:
    """What the command lists."""
    done = run(module, "events", "--database", database, "--json")
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


def subscribe(module: str, database: Path, name: str, port: int, *types: str) -> None:
    url = f"http://127.0.0.1:{port}/events"
    done = run(module, "events", "subscribe", name, url, *types, "--database", database)
    assert (done.code, done.err) == (0, "")


def wait_until_delivered(module: str, database: Path) -> None:
    """Wait until no consumer is behind."""
    wait_until(lambda: not any(each["events"] for each in events_of(module, database)["consumers"]))


def tell(database: Path, kind: str, version: int, key: str, data: object) -> str:
    """Write an event as some release may have; gives its id."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=10.0)) as db:
        row: tuple[str] = db.execute(
            "INSERT INTO outbox (type, version, key, data) VALUES (?, ?, ?, ?) RETURNING id",
            (kind, version, key, json.dumps(data)),
        ).fetchone()
        return row[0]


def rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
        return db.execute(sql).fetchall()
