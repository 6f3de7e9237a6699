"""How long a key is remembered, and what it stands for."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from extracted.inventory.database import open_database
from extracted.inventory.idempotency import KEPT_SECONDS, Given, Result, once
from extracted.inventory.problems import KeyReused


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(tmp_path / "own")) as connection:
        yield connection


def ask(db: sqlite3.Connection, now: float, data: object = None, answer: str = "first") -> Given:
    return once(db, "key", "POST /x", data, lambda _: Result(201, {"answer": answer}), now)


def test_a_key_is_remembered_for_a_day_and_forgotten_after_it(db: sqlite3.Connection) -> None:
    first = ask(db, now=1_000.0)
    assert first == Given(201, '{"answer": "first"}', again=False)
    late = ask(db, now=1_000.0 + KEPT_SECONDS, answer="second")
    assert late == Given(201, '{"answer": "first"}', again=True)
    too_late = ask(db, now=1_000.1 + KEPT_SECONDS, answer="second")
    assert too_late == Given(201, '{"answer": "second"}', again=False)
    assert db.execute("SELECT count(*) FROM answers").fetchone() == (1,)


def test_a_request_is_known_by_its_meaning(db: sqlite3.Connection) -> None:
    assert not ask(db, 0.0, {"a": Decimal("12.90"), "b": [1, 2]}).again
    assert ask(db, 0.0, {"b": [1, 2], "a": Decimal("12.9")}).again
    with pytest.raises(KeyReused):
        ask(db, 0.0, {"b": [2, 1], "a": Decimal("12.9")})


def test_work_that_fails_leaves_neither_effect_nor_answer(db: sqlite3.Connection) -> None:
    def fail(inner: sqlite3.Connection) -> Result:
        inner.execute("INSERT INTO warehouses VALUES ('LEJ', 'Leipzig', 1)")
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(sqlite3.OperationalError):
        once(db, "key", "POST /x", None, fail, 0.0)
    assert db.execute("SELECT count(*) FROM warehouses").fetchone() == (0,)
    assert not ask(db, 0.0).again
