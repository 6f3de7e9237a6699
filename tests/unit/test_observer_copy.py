"""The copy of a request: marked, keyed, and edited for the side that is asked."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.exchange.model import Answer, Exchange
from strangler.observer.copy import idempotency_key, request_of, writes
from strangler.routes import HeaderEdits, Route, ShadowHeaders, parse

TABLE = b"""
version: 1
upstreams: {old: {url: "http://127.0.0.1:1"}, new: {url: "http://127.0.0.1:2"}}
legacy: old
routes:
  - name: pay
    match: /pay/{id}
    extracted: new
    rewrite: /v2/{id}
    shadow_writes: marked
    headers: {set: {X-Token: real, X-New: 1}}
    shadow_headers:
      legacy: {remove: [Cookie]}
      extracted: {set: {X-Token: sandbox}}
"""
ROUTE: Route = parse(TABLE, file="f", check_rule=lambda *rule: None).routes[0]
HEADERS = ((b"Host", b"shop"), (b"Cookie", b"a=1"), (b"X-Token", b"mine"))


def exchange(**changes: Any) -> Exchange:
    made = Exchange(
        route="pay",
        side="legacy",
        method="POST",
        target="/pay/7?q",
        headers=HEADERS,
        body=b"abc",
        caller=12,
        at=1700000000.25,
        answer=Answer(200, (), b"", 1.0),
    )
    return msgspec.structs.replace(made, **changes)


def fields(request: bytes) -> dict[bytes, bytes]:
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    found = dict(line.split(b": ", 1) for line in lines)
    assert len(found) == len(lines), "a header stands twice"
    return found


def test_the_copy_of_a_write_is_marked_and_keyed() -> None:
    request = request_of(ROUTE, "extracted", exchange())
    assert request.startswith(b"POST /v2/7?q HTTP/1.1\r\n")
    assert request.endswith(b"\r\nContent-Length: 3\r\n\r\nabc")
    found = fields(request)
    assert found[b"Strangler-Shadow"] == b"1"
    assert re.fullmatch(rb"shadow-[0-9a-f]{32}", found[b"Idempotency-Key"])


def test_the_copy_of_a_safe_request_is_marked_and_keeps_its_key() -> None:
    headers = (*HEADERS, (b"Idempotency-Key", b"k"))
    found = fields(request_of(ROUTE, "extracted", exchange(method="GET", body=b"", headers=headers)))
    assert found[b"Strangler-Shadow"] == b"1"
    assert found[b"Idempotency-Key"] == b"k"


def test_each_side_gets_its_own_headers_after_the_routes() -> None:
    new, old = (fields(request_of(ROUTE, side, exchange())) for side in ("extracted", "legacy"))
    assert (new[b"X-Token"], new[b"X-New"], new[b"Cookie"]) == (b"sandbox", b"1", b"a=1")
    assert old[b"X-Token"] == b"mine"
    assert b"Cookie" not in old
    assert b"X-New" not in old


def test_no_edit_makes_a_copy_look_like_a_request() -> None:
    edits = HeaderEdits((("Strangler-Shadow", "0"), ("idempotency-key", "real")), ("Strangler_Shadow",))
    route = replace(ROUTE, headers=edits, shadow_headers=ShadowHeaders(extracted=edits))
    found = fields(request_of(route, "extracted", exchange()))
    assert found[b"Strangler-Shadow"] == b"1"
    assert found[b"Idempotency-Key"].startswith(b"shadow-")
    assert b"idempotency-key" not in found


@pytest.mark.parametrize(
    ("own", "key"),
    [
        (b"order-7", b"shadow-order-7"),
        (b'"order-7"', b'"shadow-order-7"'),  # a string of RFC 8941 stays one
        (b"shadow-7", b"shadow-shadow-7"),
        (b'"', b'shadow-"'),
    ],
)
def test_a_callers_own_key_is_never_the_copys(own: bytes, key: bytes) -> None:
    one = exchange(headers=(*HEADERS, (b"idempotency-KEY", own), (b"Idempotency_Key", own)))
    assert idempotency_key(one) == key != own
    found = fields(request_of(ROUTE, "extracted", one))
    assert [name for name in found if b"dempotency" in name] == [b"Idempotency-Key"]


def test_an_empty_key_is_none() -> None:
    assert idempotency_key(exchange(headers=((b"Idempotency-Key", b" "),))) == idempotency_key(
        exchange(headers=())
    )


def test_a_key_is_the_same_for_the_same_exchange_and_another_for_each_part_of_it() -> None:
    keys = {
        idempotency_key(each)
        for each in (
            exchange(),
            exchange(),
            exchange(route="pay2"),
            exchange(method="PUT"),
            exchange(target="/pay/8?q"),
            exchange(caller=13),
            exchange(body=b"abd"),
            exchange(at=1700000000.2500002),  # two identical orders are two
        )
    }
    assert len(keys) == 7
    assert idempotency_key(exchange()) == b"shadow-93600d1763d2876550fcaf3d019797d5"


@given(st.binary(max_size=6), st.binary(max_size=6), st.integers(0, 6))
def test_no_part_runs_into_the_next(body: bytes, other: bytes, cut: int) -> None:
    one = exchange(target="/" + body[:cut].hex(), body=body[cut:])
    two = exchange(target="/" + other[:cut].hex(), body=other[cut:])
    assert (idempotency_key(one) == idempotency_key(two)) is (
        (one.target, one.body) == (two.target, two.body)
    )


@pytest.mark.parametrize(
    ("method", "header", "write"),
    [
        ("GET", b"Accept", False),
        ("HEAD", b"Accept", False),
        ("OPTIONS", b"Accept", False),
        ("TRACE", b"Accept", False),
        ("POST", b"Accept", True),
        ("PROPFIND", b"Accept", True),
        ("get", b"Accept", True),
        ("", b"Accept", True),
        ("GET", b"X-HTTP-Method-Override", True),
        ("GET", b"x-method-override", True),
        ("HEAD", b"X-Http-Method", True),
    ],
)
def test_what_counts_as_a_write(method: str, header: bytes, write: bool) -> None:
    assert writes(exchange(method=method, headers=((header, b"GET"),))) is write
