from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from strangler.routes import Match, Matcher, Route, equal_claims
from strangler.routes.pattern import parse_path


def route(name: str, path: str, methods: str = "", **more: Any) -> Route:
    wanted = frozenset(methods.split(",")) if methods else None
    return Route(name, Match(parse_path(path), wanted, **more), "payments")


def find(
    routes: list[Route], target: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> str | None:
    claim = Matcher(routes).find(method, target, (headers or {}).get)
    return claim.route.name if claim else None


def parameters(path: str, target: str) -> dict[str, str] | None:
    claim = Matcher([route("r", path)]).find("GET", target, {}.get)
    return claim.parameters if claim else None


MOST_SPECIFIC_FIRST = [
    "/a/b",
    "/a/{x:[a-z]+}",
    "/a/{x}",
    "/a/**",
    "/{y:[a-z]+}/b",
    "/{y}/b",
    "/{y}/{x}",
    "/**",
]


def test_left_to_right_a_literal_beats_a_regex_beats_a_parameter_beats_the_rest() -> None:
    left = [route(path, path) for path in reversed(MOST_SPECIFIC_FIRST)]
    for best in MOST_SPECIFIC_FIRST:
        assert find(left, "/a/b") == best
        left = [route for route in left if route.name != best]
    assert find(left, "/a/b") is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a/b/c", "literal"),
        ("/x/b/c", "regex then literal"),
        ("/x/9/c", "regex then parameter"),
        ("/9/b/c", None),
    ],
)
def test_two_regexes_in_one_place_do_not_hide_what_comes_after_them(
    target: str, expected: str | None
) -> None:
    routes = [
        route("regex then parameter", "/{a:[a-z]}/{b}/c"),
        route("regex then literal", "/{a:[a-z]+}/b/c"),
        route("literal", "/a/b/c"),
    ]
    assert find(routes, target) == expected


@pytest.mark.parametrize(
    ("method", "expected"), [("GET", "one"), ("POST", "two"), ("PUT", "three"), ("DELETE", "any")]
)
def test_fewer_methods_beat_more_of_them_and_any(method: str, expected: str) -> None:
    routes = [
        route("any", "/a"),
        route("three", "/a", "GET,POST,PUT"),
        route("two", "/a", "GET,POST"),
        route("one", "/a", "GET"),
    ]
    assert find(routes, "/a", method) == expected


def test_a_path_whose_method_does_not_fit_leaves_the_request_to_the_next_best() -> None:
    routes = [route("write", "/a/b", "POST"), route("read", "/a/{x}", "GET"), route("rest", "/**")]
    assert find(routes, "/a/b", "POST") == "write"
    assert find(routes, "/a/b", "GET") == "read"
    assert find(routes, "/a/b", "PUT") == "rest"


@pytest.mark.parametrize(
    ("headers", "target", "expected"),
    [
        ({}, "/a", "plain"),
        ({"x-a": "1"}, "/a", "a"),
        ({"x-a": " 1 "}, "/a", "a"),
        ({"x-a": "2"}, "/a", "plain"),
        ({"x-a": "1", "x-b": "1"}, "/a", "a and b"),
        ({}, "/a?v=2", "query"),
        ({}, "/a?v=1&v=2", "plain"),
        ({}, "/a?w=x%20y&v=2", "two in the query"),
        ({}, "/a?v=2&w=x+y", "two in the query"),
        ({"x-a": "1"}, "/a?v=2&w=x+y", "a"),
    ],
)
def test_more_conditions_beat_fewer_and_headers_beat_the_query(
    headers: dict[str, str], target: str, expected: str
) -> None:
    routes = [
        route("plain", "/a"),
        route("a", "/a", headers=(("x-a", "1"),)),
        route("a and b", "/a", headers=(("x-b", "1"), ("x-a", "1"))),
        route("query", "/a", query=(("v", "2"),)),
        route("two in the query", "/a", query=(("w", "x y"), ("v", "2"))),
    ]
    assert equal_claims(routes) == []
    assert find(routes, target, headers=headers) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("shop.example.com", "exact"),
        ("SHOP.example.com:8080", "exact"),
        ("shop.example.com.", "exact"),
        ("a.shop.example.com", "long wildcard"),
        ("x.example.com", "wildcard"),
        ("example.com", "none"),
        ("badexample.com", "none"),
        ("[::1]:80", "six"),
        (None, "none"),
    ],
)
def test_an_exact_host_beats_a_wildcard_beats_none(host: str | None, expected: str) -> None:
    routes = [
        route("none", "/a/b/c"),
        route("wildcard", "/**", host="*.example.com"),
        route("long wildcard", "/**", host="*.shop.example.com"),
        route("exact", "/**", host="shop.example.com"),
        route("six", "/**", host="[::1]"),
    ]
    assert find(routes, "/a/b/c", headers={"host": host} if host else {}) == expected


def test_a_host_without_a_fitting_path_leaves_the_request_to_the_next_best() -> None:
    routes = [
        route("exact", "/b", host="a.example"),
        route("wide", "/b", "POST", host="*.example"),
        route("r", "/**"),
    ]
    assert find(routes, "/c", headers={"host": "a.example"}) == "r"
    assert find(routes, "/b", headers={"host": "b.example"}) == "r"


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("/", "/", {}),
        ("/", "/?a=b", {}),
        ("/", "", None),
        ("/", "//", None),
        ("/a", "/a/", None),
        ("/a/", "/a", None),
        ("/a/", "/a/", {}),
        ("/a/{x}", "/a/b", {"x": "b"}),
        ("/a/{x}", "/a/b?c=d/e", {"x": "b"}),
        ("/a/{x}", "/a/", None),
        ("/a/{x}", "/a//", None),
        ("/a/{x}/", "/a/b/", {"x": "b"}),
        ("/a/{x:b*}", "/a/", None),
        # What comes as one segment stays one, and parameters stay as they came.
        ("/a/{x}", "/a/b%2Fc%20d", {"x": "b%2Fc%20d"}),
        ("/a/{x:[a-z]+}", "/a/%62", {"x": "%62"}),
        ("/a/{x:b/c}", "/a/b%2fc", {"x": "b%2fc"}),
        ("/payments/{x}", "/%70ayments/42", {"x": "42"}),
        ("/a%20b", "/a%20b", {}),
        ("/a%2Fb", "/a%2fb", {}),
        ("/a%2Fb", "/a/b", None),
        ("/café", "/caf%C3%A9", {}),
        ("/café", "/cafÃ©", {}),  # the same bytes, not percent-encoded, read as latin-1
        ("/{x}", "/%ff%", {"x": "%ff%"}),
        ("/{x:.}", "/%F0%9F%A6%8A", {"x": "%F0%9F%A6%8A"}),
        ("/{x:[a-z]+}", "/a%0A", None),
        # Braces inside a regular expression.
        (r"/{x:\{}/b", "/{/b", {"x": "{"}),
        (r"/{x:\}/?}", "/}%2f", {"x": "}%2f"}),
        ("/{x:[{]}/b", "/{/b", {"x": "{"}),
        ("/{x:[0-9]{2}}/b", "/42/b", {"x": "42"}),
        # The rest.
        ("/**", "/", {"**": ""}),
        ("/**", "/a//b/", {"**": "a//b/"}),
        ("/a/**", "/a", {}),
        ("/a/**", "/a/", {"**": ""}),
        ("/a/**", "/a/b%2fc/d?e", {"**": "b%2fc/d"}),
        ("/a/**", "/ab", None),
        ("/a/{x}/**", "/a/b/c", {"x": "b", "**": "c"}),
        ("/a/{x}/**", "/a", None),
        # What a server might read as another path is nobody's.
        ("/**", "/a/../b", None),
        ("/**", "/a/.", None),
        ("/**", "/a/%2E%2e/b", None),
        ("/**", "/a/..%2Fb", None),
        ("/**", "/./a", None),
        ("/**", "/.hidden/a..b/...", {"**": ".hidden/a..b/..."}),
        ("/**", "*", None),
        ("/**", "http://example.com/", None),
        ("/**", "example.com:443", None),
    ],
)
def test_paths(path: str, target: str, expected: dict[str, str] | None) -> None:
    assert parameters(path, target) == expected


def test_ten_thousand_routes_are_searched_in_a_few_steps() -> None:
    routes = [route(f"r{n}", f"/service-{n}/{{id}}/items", "GET") for n in range(10_000)]
    asked: list[str] = []

    class Text(str):
        __slots__ = ()

        def __hash__(self) -> int:
            asked.append(str(self))
            return super().__hash__()

        __eq__ = str.__eq__

    class Target(str):
        __slots__ = ()

        def partition(self, sep: str, /) -> tuple[Any, Any, Any]:
            return Path(self), "", ""

    class Path(str):
        __slots__ = ()

        def split(self, *_: Any) -> list[Any]:
            return [Text(part) for part in str(self).split("/")]

    claim = Matcher(routes).find("GET", Target("/service-9999/7/items"), {}.get)
    assert claim is not None
    assert claim.route.name == "r9999"
    # One look-up for each segment, however many routes there are.
    assert asked == ["service-9999", "7", "items"]


def test_ten_thousand_tenants_on_one_path_cost_one_look_up() -> None:
    routes = [route(f"t{n}", "/a", headers=(("x-tenant", str(n)),)) for n in range(10_000)]
    asked: list[str] = []

    def header(name: str) -> str:
        asked.append(name)
        return "9999"

    assert equal_claims(routes) == []
    claim = Matcher(routes).find("GET", "/a", header)
    assert claim is not None
    assert claim.route.name == "t9999"
    assert asked == ["x-tenant"]


def ties(*routes: Route) -> list[tuple[str, str]]:
    return [(one.name, other.name) for one, other in equal_claims(routes)]


def test_equal_claims_are_found() -> None:
    assert ties(route("a", "/{x}"), route("b", "/{y}")) == [("a", "b")]
    assert ties(route("a", "/x/**"), route("b", "/x")) == []
    assert ties(route("a", "/%61"), route("b", "/a")) == [("a", "b")]
    assert ties(route("a", "/x", host="a.b"), route("b", "/x")) == []
    assert ties(route("a", "/x", "GET"), route("b", "/x", "POST")) == []
    assert ties(route("a", "/x", "GET"), route("b", "/x", "GET,POST")) == []
    assert ties(route("a", "/x", "GET,PUT"), route("b", "/x", "GET,POST")) == [("a", "b")]
    assert ties(route("a", "/{x:[0-9]+}"), route("b", "/{x:[a-z]+}")) == []
    assert ties(route("a", "/{x:[0-9]+}/{y}"), route("b", "/{x:\\d}/{z}")) == [("a", "b")]
    assert ties(route("a", "/{x:[0-9]+}/{y:a}"), route("b", "/{x:[0-9]+}/{y:b}")) == []
    assert ties(*(route(name, "/x") for name in "abc")) == [("a", "b"), ("a", "c")]


def test_conditions_that_exclude_each_other_make_no_tie() -> None:
    one = route("a", "/x", headers=(("x-a", "1"), ("x-b", "1")))
    assert ties(one, route("b", "/x", headers=(("x-a", "2"), ("x-c", "1")))) == []
    assert ties(one, route("b", "/x", headers=(("x-a", "1"), ("x-c", "1")))) == [("a", "b")]
    assert ties(route("a", "/x", query=(("v", "1"),)), route("b", "/x", query=(("v", "2"),))) == []
    assert ties(route("a", "/x", query=(("v", "1"),)), route("b", "/x", query=(("w", "2"),))) == [("a", "b")]


def test_more_conditions_do_not_settle_what_the_methods_leave_open() -> None:
    one = route("a", "/x", "GET,PUT", headers=(("x-a", "1"),))
    assert ties(one, route("b", "/x", "GET,POST")) == [("a", "b")]
    assert ties(one, route("b", "/x", "GET,POST", headers=(("x-a", "2"),))) == []


def test_ten_thousand_equal_claims_are_each_reported_once() -> None:
    assert len(ties(*(route(f"r{n}", "/{x:[0-9]+}") for n in range(10_000)))) == 9_999
    assert (
        len(ties(*(route(f"r{n}", f"/{{x:x{n}}}") for n in range(500)))) > 0
    )  # gives up before it has compared all


# --- against a matcher that tries every route ---------------------------------------------------------------------

PARTS = ["a", "b", "{p}", "{p:[ab]}", "{p:[a-c]+}", "{p:b|c}", "{p:[0-9]+}"]


@st.composite
def paths(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.sampled_from(PARTS), max_size=3))
    text = "/" + "/".join(part.replace("{p", f"{{p{at}") for at, part in enumerate(parts))
    end = draw(st.sampled_from(["", "", "/", "/**"]))
    return text if text == "/" and end != "/**" else text.rstrip("/") + end


@st.composite
def routes(draw: st.DrawFn) -> list[Route]:
    conditions = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from("12"), max_size=2)
    methods = st.sampled_from(["", "", "GET", "POST", "GET,POST", "GET,PUT"])
    hosts = st.sampled_from([None, None, None, "x.test", "*.test", "*.x.test"])
    found: list[Route] = []
    for number in range(draw(st.integers(1, 8))):
        more = {
            "host": draw(hosts),
            "headers": tuple(draw(conditions).items()),
            "query": tuple(draw(conditions).items()),
        }
        found.append(route(f"r{number}", draw(paths()), draw(methods), **more))
    return found


def rank(candidate: Route) -> tuple[Any, ...]:
    match = candidate.match
    host = 0 if match.host is None else len(match.host) if match.host.startswith("*") else 1000
    kinds = [1 if s.literal is not None else 2 if s.regex else 3 for s in match.path.segments]
    kinds.append(4 if match.path.rest else 0)
    methods = 1000 if match.methods is None else len(match.methods)
    return -host, kinds, methods, -len(match.headers), -len(match.query)


def fits(
    candidate: Route, method: str, path: str, host: str, headers: dict[str, str], query: dict[str, str]
) -> bool:
    match = candidate.match
    pattern = ""
    for segment in match.path.segments:
        inner = re.escape(segment.literal) if segment.literal is not None else segment.regex or "[^/]+"
        pattern += f"/(?:{inner})"
    pattern += "(?:/.*)?" if match.path.rest else ""
    if match.methods is not None and method not in match.methods:
        return False
    if match.host and match.host != host and not (match.host[0] == "*" and host.endswith(match.host[1:])):
        return False
    given = [*(headers.get(name) == value for name, value in match.headers)]
    given += [query.get(name) == value for name, value in match.query]
    return all(given) and re.fullmatch(pattern, path) is not None


@settings(deadline=None)
@given(
    routes(),
    st.sampled_from(["GET", "POST", "PUT"]),
    st.lists(st.sampled_from(["a", "b", "c", "ab", "7", ""]), min_size=1, max_size=4),
    st.sampled_from(["x.test", "y.test", "y.x.test", "other"]),
    st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from("12"), max_size=2),
    st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from("12"), max_size=2),
)
@example([route("r0", "/{p0:[a-c]+}/{p1}"), route("r1", "/{p0:[ab]}/b")], "GET", ["a", "b"], "other", {}, {})
def test_it_finds_what_trying_every_route_finds(
    table: list[Route],
    method: str,
    parts: list[str],
    host: str,
    headers: dict[str, str],
    query: dict[str, str],
) -> None:
    tied = equal_claims(table)
    path = "/" + "/".join(parts)
    candidates = [r for r in table if fits(r, method, path, host, headers, query)]
    best = min(map(rank, candidates), default=None)
    winners = [r for r in candidates if rank(r) == best]
    if len(winners) > 1:
        assert tied, "a tie that equal_claims did not see"
    assume(not tied)
    target = path + "?" + "&".join(f"{name}={value}" for name, value in query.items())
    claim = Matcher(table).find(method, target, {"host": host, **headers}.get)
    assert (claim.route if claim else None) == (winners[0] if winners else None)
