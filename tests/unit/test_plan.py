"""What goes on the wire. RFC 9112 sections 3.2 (request target) and 6 (message body)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.gateway.plan import BadTarget, answer_plan, origin_form
from strangler.http.connection import Head


@pytest.mark.parametrize(
    ("given_target", "target", "host"),
    [
        ("/a/(b)|%41?x=%0A", "/a/(b)|%41?x=%0A", None),
        ("*", "*", None),
        ("http://shop.example/a?b", "/a?b", b"shop.example"),
        ("HTTP://shop.example:81?b", "/?b", b"shop.example:81"),
        ("http://shop.example", "/", b"shop.example"),
    ],
)
def test_targets_in_every_form_come_out_as_paths(given_target: str, target: str, host: bytes | None) -> None:
    origin = origin_form(given_target)
    assert (origin.target, origin.host) == (target, host)


@pytest.mark.parametrize("target", ["shop:443", "ftp://a/b", "a/b", ""])
def test_other_targets_are_refused(target: str) -> None:
    with pytest.raises(BadTarget):
        origin_form(target)


@given(st.binary(min_size=1, max_size=30))
def test_a_path_keeps_its_bytes(raw: bytes) -> None:
    as_aiohttp_gives_it = (b"/" + raw).decode("utf-8", "surrogateescape")
    assert origin_form(as_aiohttp_gives_it).target.encode("latin-1") == b"/" + raw


def head(
    status: int = 200, *headers: tuple[bytes, bytes], length: bytes | None = None, chunked: bool = False
) -> Head:
    return Head(status, b"OK", headers, length, chunked)


def planned(
    answer: Head, method: str = "GET", *, http_1_0: bool = False, close: bool = False
) -> tuple[bytes, bool, bool]:
    plan = answer_plan(answer, method=method, http_1_0=http_1_0, close=close, minted=None)
    return plan.head, plan.chunked, plan.close


def test_a_sized_answer_keeps_its_size_and_every_field_its_case_and_place() -> None:
    fields = ((b"SET-cookie", b"a=1"), (b"Content-Length", b"2"), (b"set-Cookie", b"b=2"))
    assert planned(head(200, *fields, length=b"2")) == (
        b"HTTP/1.1 200 OK\r\nSET-cookie: a=1\r\nContent-Length: 2\r\nset-Cookie: b=2\r\n\r\n",
        False,
        False,
    )


def test_an_answer_without_a_size_is_chunked_by_us() -> None:
    wanted = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True, False)
    assert planned(head()) == wanted
    assert planned(head(200, (b"transfer-encoding", b"chunked"), chunked=True)) == wanted


def test_an_http_1_0_caller_gets_no_chunks_and_a_closed_connection() -> None:
    assert planned(head(), http_1_0=True) == (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", False, True)


def test_an_http_1_0_caller_who_asked_is_kept() -> None:
    answer = head(200, (b"Content-Length", b"0"), length=b"0")
    assert planned(answer, http_1_0=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        False,
        False,
    )


def test_answers_without_a_body_promise_none() -> None:
    assert planned(head(204, (b"Content-Length", b"0"), length=b"0"))[0] == b"HTTP/1.1 204 OK\r\n\r\n"
    with_length = head(200, (b"Content-Length", b"9"), length=b"9")
    assert b"Content-Length: 9" in planned(with_length, "HEAD")[0]
    assert planned(head(), "HEAD") == (b"HTTP/1.1 200 OK\r\n\r\n", False, False)
    assert planned(head(304), "GET") == (b"HTTP/1.1 304 OK\r\n\r\n", False, False)


def test_a_minted_identity_is_a_cookie_that_scripts_cannot_read() -> None:
    plan = answer_plan(head(204), method="GET", http_1_0=False, close=False, minted="abc")
    assert b"Set-Cookie: strangler_id=abc; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax\r\n" in plan.head
