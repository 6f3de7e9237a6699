"""Tokens: what each of the three readers makes of them, and what becomes of keys."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extracted.inventory import tokens as inventory
from extracted.payments import tokens as payments
from legacy_monolith import token_keys, tokens
from legacy_monolith.errors import UnusableKeys
from legacy_monolith.tokens import LIFE, SKEW, Key, Keys

CASES = json.loads((Path(__file__).parents[1] / "cases" / "tokens.json").read_text(encoding="utf-8"))
KEYS = json.dumps(CASES["keys"])
NOW = 1_767_225_600

#: Reader -> (how it reads keys, the token of an account, and the shop's own).
READERS: dict[str, tuple[Callable[[str], Any], Callable[..., Any], Callable[..., bool]]] = {
    "monolith": (token_keys.parse, tokens.read, tokens.is_of_shop),
    "payments": (payments.parse_keys, payments.read, payments.is_of_shop),
    "inventory": (inventory.parse_keys, inventory.read, inventory.is_of_shop),
}
OWN: dict[str, tuple[Callable[[str], Any], Callable[[Any], dict[str, str]]]] = {
    "monolith": (token_keys.parse, token_keys.own_token),
    "payments": (payments.parse_keys, payments.own_token),
    "inventory": (inventory.parse_keys, inventory.own_token),
}
PARSERS: dict[str, tuple[Callable[[str], Any], type[Exception]]] = {
    "monolith": (token_keys.parse, UnusableKeys),
    "payments": (payments.parse_keys, payments.UnusableKeys),
    "inventory": (inventory.parse_keys, inventory.UnusableKeys),
}
FILES: dict[str, tuple[Callable[[Path], Any], type[Exception]]] = {
    "monolith": (token_keys.KeyFile, UnusableKeys),
    "payments": (payments.KeyFile, payments.UnusableKeys),
    "inventory": (inventory.KeyFile, inventory.UnusableKeys),
}


def account(reader: str, token: str, now: int = NOW, keys: str = KEYS) -> int | str | None:
    """The account whose token it is, or "shop" when it is the shop's own: never both."""
    parse, read, is_of_shop = READERS[reader]
    claims = read(parse(keys), token, now)
    if is_of_shop(parse(keys), token, now):
        assert claims is None
        return "shop"
    return claims.account_id if claims else None


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", CASES["tokens"], ids=lambda case: case["name"])
def test_every_reader_makes_the_same_of_a_token(reader: str, case: dict[str, Any]) -> None:
    token = case["token"].replace("7…", "7" * 100_000)
    assert account(reader, token, case["now"]) == case["account"]


@pytest.mark.parametrize("reader", PARSERS)
@pytest.mark.parametrize("case", CASES["files"], ids=lambda case: case["name"])
def test_every_reader_takes_the_same_files_of_keys(reader: str, case: dict[str, Any]) -> None:
    parse, refusal = PARSERS[reader]
    text = case["text"].replace("[…", "[" * 100_000)
    if case["sound"]:
        parse(text)
    else:
        with pytest.raises(refusal):
            parse(text)


def test_the_first_token_of_the_cases_is_the_one_that_the_shop_issues() -> None:
    assert tokens.issue(token_keys.parse(KEYS), 7, NOW) == CASES["tokens"][0]["token"]


@pytest.mark.parametrize("signer", OWN)
@pytest.mark.parametrize("reader", READERS)
def test_whoever_holds_the_keys_may_sign_for_the_shop(signer: str, reader: str) -> None:
    parse, own_token = OWN[signer]
    assert own_token(None) == {}
    scheme, token = own_token(lambda: parse(KEYS))["Authorization"].split(" ")
    issued, expires = (int(part) for part in token.split(".")[3:5])
    assert (scheme, token.split(".")[1:3], expires - issued) == ("Bearer", ["k2", "shop"], LIFE)
    assert account(reader, token, issued) == "shop"


@pytest.mark.parametrize("reader", READERS)
@given(at=st.integers(0, 10_000), letter=st.characters(codec="utf-8"))
def test_a_token_with_any_letter_changed_is_refused(reader: str, at: int, letter: str) -> None:
    token = tokens.issue(token_keys.parse(KEYS), 7, NOW)
    at %= len(token)
    changed = token[:at] + letter + token[at + 1 :]
    assert account(reader, changed) == (7 if changed == token else None)


@pytest.mark.parametrize("reader", READERS)
def test_a_token_that_is_cut_anywhere_is_refused(reader: str) -> None:
    token = tokens.issue(token_keys.parse(KEYS), 7, NOW)
    assert {account(reader, token[:length]) for length in range(len(token))} == {None}


@given(
    account_id=st.integers(1, 2**63 - 1),
    secret=st.binary(min_size=32, max_size=32),
    issued=st.integers(1, 10**12 - 1000),
    later=st.integers(-1000, 1000),
)
def test_all_readers_agree_on_tokens_of_any_time(
    account_id: int, secret: bytes, issued: int, later: int
) -> None:
    keys = Keys("k1", {"k1": Key(secret)})
    token = tokens.issue(keys, account_id, issued)
    text = json.dumps({"current": "k1", "keys": {"k1": {"secret": secret.hex()}}})
    answers = {account(reader, token, issued + later, text) for reader in READERS}
    assert answers == {account_id if -SKEW <= later < LIFE + SKEW else None}


def test_a_rotation_keeps_the_old_key_until_its_last_token_is_over() -> None:
    first = token_keys.rotated(None, b"1" * 32, NOW)
    old = tokens.issue(first, 7, NOW)
    second = token_keys.rotated(first, b"2" * 32, NOW)
    assert (first.current, second.current) == ("k1", "k2")
    assert second.each["k1"] == Key(b"1" * 32, until=NOW + LIFE + SKEW)
    assert tokens.read(second, old, NOW + LIFE + SKEW - 1) is not None
    assert tokens.read(second, old, NOW + LIFE + SKEW) is None
    third = token_keys.rotated(second, b"3" * 32, NOW + LIFE + SKEW)
    assert list(third.each) == ["k2", "k3"]


def test_a_key_that_has_leaked_is_believed_no_more() -> None:
    first = token_keys.rotated(None, b"1" * 32, NOW)
    second = token_keys.rotated(first, b"2" * 32, NOW, at_once=True)
    assert list(second.each) == ["k2"]
    assert tokens.read(second, tokens.issue(first, 7, NOW), NOW) is None


def test_rotating_without_end_keeps_the_file_readable() -> None:
    keys = token_keys.rotated(None, b"1" * 32, NOW)
    for second in range(50):
        keys = token_keys.rotated(keys, bytes([second]) * 32, NOW + second)
    assert keys.current == "k51"
    assert list(keys.each) == [f"k{number}" for number in range(36, 52)]


def test_the_file_is_made_for_its_owner_only_and_rotated_in_place(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old_umask = os.umask(0)
    try:
        first = token_keys.rotate(path, NOW)
    finally:
        os.umask(old_umask)
    assert path.stat().st_mode & 0o777 == 0o600
    assert token_keys.load(path) == first
    second = token_keys.rotate(path, NOW)
    assert token_keys.load(path) == second
    assert second.each["k1"].secret == first.each["k1"].secret != second.each["k2"].secret
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("reader", FILES)
def test_a_file_that_others_may_read_is_refused(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    token_keys.rotate(path, NOW)
    path.chmod(0o640)
    make, refusal = FILES[reader]
    with pytest.raises(refusal, match=f"chmod 600 {path}"):
        make(path)


@pytest.mark.parametrize("reader", FILES)
def test_a_rotation_is_taken_up_and_a_spoilt_file_is_not(
    reader: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    token_keys.rotate(path, NOW)
    keys = FILES[reader][0](path)
    before = keys()
    assert keys() is before
    token_keys.rotate(path, NOW)
    after = keys()
    assert after != before

    path.write_text('{"current": "k2"}')
    assert keys() == after
    assert keys() == after
    assert [record.getMessage() for record in caplog.records if "of before stay in force" in record.message]
    assert len(caplog.records) == 1
    path.unlink()
    assert keys() == after
    token_keys.rotate(path, NOW)
    assert keys() != after


@pytest.mark.parametrize("reader", FILES)
def test_nothing_that_is_said_about_a_spoilt_file_holds_its_secrets(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"current": "k1", "keys": {"k1": {"secret": "5ec7e7" * 11}}}))
    path.chmod(0o600)
    make, refusal = FILES[reader]
    with pytest.raises(refusal) as refused:
        make(path)
    assert str(path) in str(refused.value)
    assert "5ec7e7" not in str(refused.value)
    assert "\n" not in str(refused.value)
