"""Passwords, attempts and sessions, with clocks of the tests' own."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legacy_monolith import accounts, demo_logins, login, passwords, sessions
from legacy_monolith.attempts import FORGOTTEN_AFTER, FREE, LONGEST_WAIT, MOST_NAMES, Attempts, wait_after
from legacy_monolith.database import open_writer
from legacy_monolith.errors import Forbidden, TooMany, TooManyAttempts
from legacy_monolith.sessions import Session

NOW = 1_767_225_600


def two_accounts(db: sqlite3.Connection) -> None:
    for account_id in (7, 9):
        accounts.add(db, account_id, "Ada", f"ada.{account_id}@example.org", "2017-01-01")
    demo_logins.fill(db)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "shop.sqlite3", two_accounts)) as connection:
        yield connection


# -- passwords ---------------------------------------------------------------------------------------------


def test_a_password_matches_its_hash_and_nothing_else_does() -> None:
    kept = passwords.hashed("tea for two", bytes(16))
    assert passwords.matches("tea for two", kept)
    assert not passwords.matches("tea for two ", kept)
    assert not passwords.matches("", kept)
    assert passwords.hashed("tea for two", b"1" * 16) != kept
    assert "tea" not in kept


def test_letters_that_look_alike_are_alike_however_they_are_typed() -> None:
    assert passwords.matches("the\u0301", passwords.hashed("th\u00e9", bytes(16)))


def test_nobody_has_no_password() -> None:
    assert not passwords.matches("", passwords.NOBODY)


def test_the_demos_customers_have_the_password_that_the_docs_name(db: sqlite3.Connection) -> None:
    kept = [passwords.of(db, account_id) for account_id in range(1, 9)]
    assert len({each.split("$")[4] for each in kept if each}) == 8  # a salt for each
    assert kept[6]
    assert passwords.matches(demo_logins.PASSWORD, kept[6])
    assert passwords.of(db, 9) is None


# -- attempts ----------------------------------------------------------------------------------------------


def test_five_attempts_are_free_and_then_the_wait_doubles_up_to_a_minute() -> None:
    attempts, now, waits = Attempts(), float(NOW), []
    for _ in range(14):
        while wait := attempts.begin("ada", now):
            now += wait
            waits.append(wait)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_attempt_that_has_to_wait_is_none_and_does_not_lengthen_the_wait() -> None:
    attempts = Attempts()
    for _ in range(FREE):
        assert attempts.begin("ada", NOW) == 0
    assert [attempts.begin("ada", NOW) for _ in range(100)] == [1] * 100
    assert attempts.begin("ada", NOW + 1) == 0


def test_a_right_password_and_a_long_rest_forget_the_wrong_ones() -> None:
    attempts = Attempts()
    for _ in range(FREE):
        attempts.begin("ada", NOW)
        attempts.begin("alan", NOW)
    attempts.succeeded("ada")
    assert attempts.begin("ada", NOW) == 0
    assert attempts.begin("alan", NOW) == 1
    assert [attempts.begin("alan", NOW + FORGOTTEN_AFTER) for _ in range(FREE)] == [0] * FREE
    assert attempts.begin("alan", NOW + FORGOTTEN_AFTER) == 1


def test_names_do_not_fill_the_memory_and_those_last_tried_are_remembered() -> None:
    attempts = Attempts()
    for _ in range(FREE):
        attempts.begin("ada", NOW)
    for number in range(MOST_NAMES - 1):
        attempts.begin(str(number), NOW)
    assert attempts.begin("ada", NOW) == 1
    attempts.begin("one more", NOW)
    assert attempts.begin("ada", NOW) == 0  # forgotten, and begins anew
    assert len(attempts._names) == MOST_NAMES


@given(st.integers(0, 10**9))
def test_no_wait_is_longer_than_a_minute(count: int) -> None:
    assert 0 <= wait_after(count) <= LONGEST_WAIT


# -- sessions ----------------------------------------------------------------------------------------------


def test_a_session_is_found_by_its_secret_until_it_is_over(db: sqlite3.Connection) -> None:
    session = sessions.begin(db, 7, None, NOW)
    assert sessions.find(db, session.secret, NOW + sessions.LIFE - 1) == session
    assert sessions.find(db, session.secret, NOW + sessions.LIFE) is None
    for other in (None, "", session.secret[:-1], session.secret + "A", "A" * 43, "\ud800" * 43):
        assert sessions.find(db, other, NOW) is None


def test_a_login_begins_a_new_session_and_ends_the_one_before(db: sqlite3.Connection) -> None:
    first = sessions.begin(db, 7, None, NOW)
    second = sessions.begin(db, 7, first.secret, NOW)
    assert first.secret != second.secret
    assert first.form_key != second.form_key
    assert sessions.find(db, first.secret, NOW) is None
    assert sessions.find(db, second.secret, NOW) == second


def test_a_secret_that_somebody_else_has_chosen_is_never_a_session(db: sqlite3.Connection) -> None:
    planted = "A" * 43
    session = sessions.begin(db, 7, planted, NOW)
    assert session.secret != planted
    assert sessions.find(db, planted, NOW) is None


def test_the_database_holds_no_secret_and_no_session_that_is_over(db: sqlite3.Connection) -> None:
    old = sessions.begin(db, 7, None, NOW)
    new = sessions.begin(db, 7, None, NOW + sessions.LIFE)
    held = db.execute("SELECT session_hash FROM sessions").fetchall()
    assert len(held) == 1
    text = "\n".join(db.iterdump())
    assert old.secret not in text
    assert new.secret not in text
    assert new.form_key not in text


# -- the desk ----------------------------------------------------------------------------------------------


@pytest.fixture
async def desk(db: sqlite3.Connection) -> AsyncIterator[login.Desk]:
    async def write(work: Callable[..., Session], *arguments: object) -> Session:
        return work(db, *arguments)

    made = login.Desk(db, write)
    yield made
    made.close()


async def test_the_right_password_logs_in_however_the_address_is_spelt(
    desk: login.Desk, db: sqlite3.Connection
) -> None:
    session = await desk.log_in(" Ada.7@Example.ORG ", "tea for two", None, NOW)
    assert session.account_id == 7
    assert sessions.find(db, session.secret, NOW) == session


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada.7@example.org", "tea for three"),
        ("ada.7@example.org", ""),
        ("ada.7@example.org", "tea for two" + "\0"),
        ("ada.7@example.org", "x" * 10_000),
        ("ada.9@example.org", "tea for two"),  # nobody can log in to this account
        ("nobody@example.org", "tea for two"),
        ("", ""),
        ("ada.7@example.org' OR 1=1 --", "tea for two"),
    ],
)
async def test_whatever_is_wrong_is_told_in_the_same_words(
    desk: login.Desk, email: str, password: str
) -> None:
    with pytest.raises(Forbidden, match="this e-mail address and this password do not belong together"):
        await desk.log_in(email, password, None, NOW)


@pytest.mark.parametrize("email", ["ada.7@example.org", "nobody@example.org"])
async def test_after_five_wrong_passwords_the_right_one_has_to_wait_too(desk: login.Desk, email: str) -> None:
    for _ in range(FREE):
        with pytest.raises(Forbidden):
            await desk.log_in(email, "wrong", None, NOW)
    with pytest.raises(TooManyAttempts, match="try again in 1 seconds"):
        await desk.log_in(email, "tea for two", None, NOW)


async def test_many_guesses_at_once_are_not_one(desk: login.Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look(password: str, kept: str) -> bool:
        asked.append(password)
        return False

    monkeypatch.setattr(passwords, "matches", look)
    guesses = [desk.log_in("ada.7@example.org", str(number), None, NOW) for number in range(18)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert len(asked) == FREE
    assert [type(each) for each in outcomes] == [Forbidden] * FREE + [TooManyAttempts] * (18 - FREE)


async def test_no_more_passwords_wait_than_can_be_looked_at_soon(
    desk: login.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def look(password: str, kept: str) -> bool:
        return not go_on.wait(30)

    monkeypatch.setattr(passwords, "matches", look)
    room = login.AT_ONCE + login.WAITING
    waiting = [asyncio.create_task(desk.log_in(f"{n}@example.org", "x", None, NOW)) for n in range(room)]
    await asyncio.sleep(0)
    with pytest.raises(TooMany) as refused:
        await desk.log_in("ada.7@example.org", "tea for two", None, NOW)
    assert refused.value.retry_after == 2
    go_on.set()
    assert {type(each) for each in await asyncio.gather(*waiting, return_exceptions=True)} == {Forbidden}
    monkeypatch.undo()
    assert (await desk.log_in("ada.7@example.org", "tea for two", None, NOW)).account_id == 7
