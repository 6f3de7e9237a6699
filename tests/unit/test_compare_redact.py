from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.compare import Answered, Redactor, compare, compile_rules, redact

NO_RULES = compile_rules([])
PLAIN = Redactor(b"key", NO_RULES)
JSON = (("content-type", "application/json"),)


def shown(document: Any, *rules: str, limit: int = 4096) -> str:
    return Redactor(b"key", compile_rules(rules)).body(JSON, json.dumps(document).encode(), limit)


@pytest.mark.parametrize(
    ("text", "secret", "kind"),
    [
        ("mail ada.l+x@example.co.uk now", "ada.l", "email"),
        ("/users/ada%40example.org/orders", "ada", "email"),
        ("paid with 4111 1111 1111 1111.", "4111 1111", "card"),
        ("paid with 5500-0000-0000-0004", "5500-0000", "card"),
        ("378282246310005", "378282246310005", "card"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIi", "token"),
        ("key sk_live_0123456789abcdef", "0123456789", "token"),
        ("/callback?token=abc-123&page=2", "abc-123", "secret"),
        ("user=1&password=hunter2", "hunter2", "secret"),
        ("Authorization: Bearer abcdefgh", "abcdefgh", "secret"),
        ("sent Bearer abcdefgh12 twice", "abcdefgh12", "secret"),
        ('{"access_token": "abc", "broken', "abc", "secret"),
    ],
)
def test_a_secret_in_a_text_becomes_its_kind_and_a_hash(text: str, secret: str, kind: str) -> None:
    assert secret in text
    found = PLAIN.text(text)
    assert secret not in found
    assert f"[{kind} " in found


@pytest.mark.parametrize(
    "text",
    ["1700000000000", "order 4111111111111112", "0.4111111111111111", "a@b", "$.items[*].price", "page=2"],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert PLAIN.text(text) == text


def test_a_secret_behind_escapes_is_seen() -> None:
    body = b'{"to": "ada\\u0040example.org", "p\\u0061ssword": "hunter2", "n": "\\u0034111111111111111"}'
    found = PLAIN.body(JSON, body, 4096)
    for secret in ("ada", "hunter2", "111111111111"):
        assert secret not in found


@given(
    st.from_regex(
        r"[a-z0-9@.%= _-]{0,12}(token=ab|a@b\.cd|4111 1111 1111 1111|Basic abcdefgh|ghp_0123456789abcdef)",
        fullmatch=True,
    )
)
def test_what_is_searched_for_is_always_suspected(text: str) -> None:
    for pattern in (redact._NAMED, redact._SCHEME, redact._TOKEN, redact._EMAIL, redact._CARD):
        if pattern.search(text):
            assert redact._is_suspect(text)


def test_equal_stays_equal_under_one_key_and_only_under_one() -> None:
    one, other = "a@example.org", "b@example.org"
    assert PLAIN.text(one) == PLAIN.text(one) != PLAIN.text(other)
    assert PLAIN.text(one) != Redactor(b"another", NO_RULES).text(one)


def test_a_body_is_redacted_member_by_member() -> None:
    found = shown(
        {"name": "Ada", "password": "hunter2", "card": 4111111111111111, "at": {"mail": "a@example.org"}}
    )
    assert '"name": "Ada"' in found
    for secret in ("hunter2", "4111111111111111", "a@example.org"):
        assert secret not in found


def test_what_a_route_names_is_redacted_with_everything_below_it() -> None:
    found = shown(
        {"customer": {"name": "Ada"}, "items": [{"note": "gift", "n": 1}]}, "$.customer", "$.items[*].note"
    )
    assert "Ada" not in found
    assert "gift" not in found
    assert '"n": 1' in found
    broken = Redactor(b"key", compile_rules(["$.name"])).body(JSON, b'{"name": "Ada', 100)
    assert broken == "13 bytes that cannot be read, where the route redacts by path"


def test_a_body_without_secrets_is_shown_as_it_came() -> None:
    body = b'{"b":1,  "a": [ 1.50 ]}'
    assert PLAIN.body(JSON, body, 4096) == body.decode()


def test_a_difference_shows_no_secret_and_still_shows_that_there_is_one() -> None:
    sides = [
        Answered(
            200,
            (*JSON, ("x-api-key", f"key-{n}"), ("link", f"</me?token=t{n}>")),
            json.dumps(
                {"token": f"secret-{n}", "who": {f"u{n}@example.org": 1}, "to": f"u{n}@example.org"}
            ).encode(),
        )
        for n in (1, 2)
    ]
    found = compare(sides[0], sides[1], NO_RULES, PLAIN).differences
    assert {d.path for d in found if not d.path.startswith("$.who")} == {
        "x-api-key",
        "link",
        "$.token",
        "$.to",
    }
    told = repr(found)
    for secret in ("key-1", "key-2", "token=t", "secret-", "example.org"):
        assert secret not in told
    assert all(d.legacy_value != d.extracted_value for d in found)


def test_a_value_above_a_redacted_path_hides_what_is_below() -> None:
    rules = compile_rules(["$.customer.name"])
    legacy = Answered(200, JSON, b'{"customer": {"name": "Ada", "n": 1}}')
    (found,) = compare(legacy, Answered(200, JSON, b"{}"), NO_RULES, Redactor(b"key", rules)).differences
    assert (found.path, found.kind) == ("$.customer", "missing")
    assert "Ada" not in found.legacy_value
    assert '"n": 1' in found.legacy_value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_any_body_can_be_shown_and_one_address_in_it_never_is(value: Any) -> None:
    found = shown({"any": value, "list": [value, "ada@example.org"]})
    assert "ada@example.org" not in found


@pytest.mark.parametrize("depth", [300, 600, 900, 100_000])
def test_a_secret_however_deep_is_not_shown_and_nothing_is_raised(depth: int) -> None:
    body = b'{"a":' * depth + b'"ada@example.org"' + b"}" * depth
    assert "ada@" not in PLAIN.body(JSON, body, 4096)


def test_a_long_text_is_searched_in_linear_time() -> None:
    for text in (
        "token" * 50_000,
        "a." * 100_000,
        "4 " * 100_000,
        "eyJ" * 60_000,
        "@" * 100_000,
        "%40a." * 40_000,
    ):
        assert len(PLAIN.text(text)) > 1
