from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.routes import HeaderEdits, Match, Matcher, Route, edit_headers, target_for
from strangler.routes.pattern import check_rewrite, parse_path


def rewritten(path: str, rewrite: str, target: str, side: str = "extracted") -> str:
    check_rewrite(rewrite, parse_path(path))
    route = Route("r", Match(parse_path(path)), "payments", rewrite=rewrite)
    claim = Matcher([route]).find("GET", target, {}.get)
    assert claim is not None
    return target_for(route, "extracted" if side == "extracted" else "legacy", target, claim.parameters)


@pytest.mark.parametrize(
    ("path", "rewrite", "target", "expected"),
    [
        ("/payments/{id}", "/v2/payments/{id}", "/payments/42", "/v2/payments/42"),
        (
            "/payments/{id}",
            "/v2/payments/{id}",
            "/payments/a%2Fb%20?x=%2f&y",
            "/v2/payments/a%2Fb%20?x=%2f&y",
        ),
        ("/payments/{id}", "/{id}-{id}", "/payments/{id}?", "/{id}-{id}?"),
        ("/a/{x}/{y}", "/{y}/{x}", "/a/{y}/1", "/1/{y}"),
        ("/a", "/", "/a?b=c?d", "/?b=c?d"),
        ("/a/**", "/v2/**", "/a/b//c/?q", "/v2/b//c/?q"),
        ("/a/**", "/v2/**", "/a/", "/v2/"),
        ("/a/**", "/v2/**", "/a?q", "/v2?q"),
        ("/a/**", "/**", "/a", "/"),
        ("/a/**", "/**", "/a/b", "/b"),
        ("/a/**", "/fixed", "/a/b", "/fixed"),
    ],
)
def test_rewrites(path: str, rewrite: str, target: str, expected: str) -> None:
    assert rewritten(path, rewrite, target) == expected


def test_the_legacy_side_is_asked_as_it_always_was() -> None:
    assert rewritten("/a/{x}", "/v2/{x}", "/a/1?b", side="legacy") == "/a/1?b"


@settings(deadline=None)
@given(st.text("abc/%?2F&= é", max_size=20))
def test_without_a_rewrite_the_target_goes_on_as_it_came(text: str) -> None:
    route = Route("r", Match(parse_path("/**")), "payments")
    assert target_for(route, "extracted", "/" + text, {}) == "/" + text
    assert target_for(None, "legacy", text, {}) == text


HEADERS = ((b"Host", b"shop"), (b"x-a", b"1"), (b"Cookie", b"c"), (b"X-A", b"2"), (b"x-b", b"3"))


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        (HeaderEdits(), HEADERS),
        (HeaderEdits(remove=("x-A", "nobody")), (HEADERS[0], HEADERS[2], HEADERS[4])),
        (HeaderEdits(set=(("X-a", "9"),)), (HEADERS[0], (b"X-a", b"9"), HEADERS[2], HEADERS[4])),
        (HeaderEdits(set=(("X-New", "é"),)), (*HEADERS, (b"X-New", "é".encode()))),
        (HeaderEdits(set=(("host", "pay"),), remove=("X-B",)), ((b"host", b"pay"), *HEADERS[1:4])),
    ],
)
def test_header_edits(edits: HeaderEdits, expected: tuple[tuple[bytes, bytes], ...]) -> None:
    assert edit_headers(edits, HEADERS) == expected
