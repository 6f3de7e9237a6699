"""The keys of cutover, as they are read: endpoints, health, breaker, fallback and ramp."""

from __future__ import annotations

import pytest

from strangler.routes import Address, Breaking, Health, Ramp, Route, Upstream, parse

TEXT = """\
version: 1
upstreams:
  old: {{url: http://old}}
  new: {{url: http://new{upstream}}}
legacy: old
routes:
  - {{name: r, match: /r, extracted: new{route}}}
"""


def upstream(text: str) -> Upstream:
    return parse(
        TEXT.format(upstream=text, route="").encode(), file="r", check_rule=lambda *r: None
    ).upstreams["new"]


def route(text: str) -> Route:
    return parse(TEXT.format(upstream="", route=text).encode(), file="r", check_rule=lambda *r: None).routes[
        0
    ]


@pytest.mark.parametrize(
    ("text", "health"),
    [
        ("", None),
        (", health: /healthz", Health("/healthz")),
        (", health: {path: /h}", Health("/h", 5.0, 2.0, 2, 2)),
        (", health: {path: /h, every: 500ms, timeout: 1s, down: 1, up: 7}", Health("/h", 0.5, 1.0, 1, 7)),
    ],
)
def test_health(text: str, health: Health | None) -> None:
    assert upstream(text).health == health


@pytest.mark.parametrize(
    ("text", "breaker"),
    [
        ("", Breaking()),
        (", breaker: {}", Breaking(50_000, 5, 10.0, 5.0)),
        (", breaker: none", None),
        (", breaker: {failures: 12.5%, least: 1, window: 1m, open: 1h}", Breaking(12_500, 1, 60.0, 3600.0)),
    ],
)
def test_breaker(text: str, breaker: Breaking | None) -> None:
    assert upstream(text).breaker == breaker


def test_endpoints() -> None:
    text = TEXT.format(upstream="", route="").replace("http://new", '["http://a:1", "http://[::1]:2"]')
    found = parse(text.encode(), file="r", check_rule=lambda *r: None).upstreams["new"]
    assert found.endpoints == (Address("a", 1), Address("::1", 2))
    assert list(found.apart()) == ["new a:1", "new [::1]:2"]
    assert [each.endpoints for each in found.apart().values()] == [(Address("a", 1),), (Address("::1", 2),)]
    assert upstream("").endpoints == (Address("new", 80),)


@pytest.mark.parametrize(
    ("text", "fallback"), [("", None), (", fallback: true", True), (", fallback: false", False)]
)
def test_fallback(text: str, fallback: bool | None) -> None:
    assert route(text).fallback is fallback


@pytest.mark.parametrize(
    ("text", "ramp"),
    [
        ("", None),
        (", ramp: {}", Ramp()),
        (
            ", ramp: {steps: [0.5%, 100%], hold: 1h, match: 99.99%, errors: 0%, p99: 2x, coverage: 50%, back: step}",
            Ramp((500, 100_000), 3600.0, 0.9999, 0.0, 2.0, 0.5, None, 20, "step"),
        ),
        (
            ", ramp: {match: none, errors: none, p99: none, requests: 7, callers: 1}",
            Ramp(match=None, errors=None, p99=None, requests=7, callers=1),
        ),
    ],
)
def test_ramp(text: str, ramp: Ramp | None) -> None:
    assert route(text).ramp == ramp
