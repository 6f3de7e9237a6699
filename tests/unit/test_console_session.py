"""Sessions of the console, and the forms of its pages."""

from __future__ import annotations

import pytest

from strangler.console.login import ours
from strangler.console.session import LIFE, Sessions

TOKEN = "s3cret"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_holds_for_its_life_and_no_longer() -> None:
    clock = Clock()
    sessions = Sessions(TOKEN, clock)
    cookie = sessions.begin()
    clock.now += LIFE - 1
    assert sessions.holds(cookie)
    clock.now += 1
    assert not sessions.holds(cookie)


def test_a_session_lives_through_a_restart_and_ends_with_its_token() -> None:
    clock = Clock()
    cookie = Sessions(TOKEN, clock).begin()
    assert Sessions(TOKEN, clock).holds(cookie)
    assert not Sessions("another", clock).holds(cookie)


def test_no_two_sessions_are_the_same() -> None:
    sessions = Sessions(TOKEN, Clock())
    assert sessions.begin() != sessions.begin()


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        ".",
        "..",
        "9999999999.abc.",
        "9999999999.abc.0000",
        "9999999999.00112233445566778899aabbccddeeff." + "0" * 64,
        "nan.x.y",
        "\udcff.\udcff.\udcff",
        "a" * 100_000,
    ],
)
def test_what_is_no_session(cookie: str) -> None:
    assert not Sessions(TOKEN, Clock()).holds(cookie)
    assert not Sessions(None, Clock()).holds(cookie)


def test_a_later_end_cannot_be_written_into_a_session() -> None:
    sessions = Sessions(TOKEN, Clock())
    until, nonce, signature = sessions.begin().split(".")
    assert not sessions.holds(f"{int(until) + 1}.{nonce}.{signature}")


def test_without_a_token_nobody_has_a_session() -> None:
    sessions = Sessions(None, Clock())
    assert not sessions.holds(sessions.begin())


def test_a_form_belongs_to_its_session_and_its_process() -> None:
    sessions = Sessions(TOKEN, Clock())
    mine, other = sessions.begin(), sessions.begin()
    token = sessions.form_token(mine)
    assert sessions.is_our_form(mine, token)
    assert not sessions.is_our_form(other, token)
    assert not sessions.is_our_form(None, token)
    assert not sessions.is_our_form(mine, "")
    assert not Sessions(TOKEN, Clock()).is_our_form(mine, token)


@pytest.mark.parametrize(
    ("address", "goes_to"),
    [
        ("/routes/a?b=c", "/routes/a?b=c"),
        ("/", "/"),
        ("", "/"),
        ("https://evil.example.com/", "/"),
        ("//evil.example.com/", "/"),
        ("/\\evil.example.com/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("routes", "/"),
    ],
)
def test_a_login_leads_to_no_other_site(address: str, goes_to: str) -> None:
    assert ours(address) == goes_to
