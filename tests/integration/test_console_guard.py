"""Who may ask the admin listener."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strangler.console import guard
from strangler.routes import Address
from tests.support.console import TEXT, Console, FakePanel, make_panel, serving


@pytest.fixture
def panel(tmp_path: Path) -> FakePanel:
    return make_panel(tmp_path)


@pytest.fixture
async def console(panel: FakePanel) -> AsyncIterator[Console]:
    async with serving(panel) as running:
        yield running


GUARDED = [
    "/",
    "/metrics",
    "/api/v1/routes",
    "/api/v1/report",
    "/api/v1/history",
    "/api/v1/events",
    "/nothing",
]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer s3cret2"]
)
async def test_a_token_is_asked_for(panel: FakePanel, path: str, given: str | None) -> None:
    panel.token = "s3cret"
    async with serving(panel) as console:
        headers = {} if given is None else {"Authorization": given}
        async with console.client.get(path, headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "s3cret" not in await answer.text()


async def test_the_token_opens_under_any_name(panel: FakePanel) -> None:
    panel.token = "s3cret"
    async with serving(panel) as console:
        for scheme in ("Bearer", "bearer"):
            headers = {"Authorization": f"{scheme} s3cret", "Host": "admin.example.com"}
            assert (await console.ask("GET", "/api/v1/routes", headers=headers))[0] == 200
        assert (await console.ask("GET", "/healthz", headers={"Host": "10.0.0.1"}))[0] == 200
        assert (await console.ask("GET", "/readyz"))[0] == 200
        assert (await console.ask("PATCH", "/api/v1/routes/read", json={"share": "1%"}))[0] == 401
    assert panel.routes_file.read_text() == TEXT


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example.com:9090", "127.0.0.1.evil.com", "10.0.0.1", "x@y"]
)
async def test_a_foreign_name_is_refused_without_a_token(console: Console, host: str) -> None:
    status, body = await console.ask("GET", "/api/v1/routes", headers={"Host": host})
    assert (status, body["status"]) == (403, 403)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9090", "127.0.0.1:1", "127.9.9.9", "[::1]:9090", "a.localhost"]
)
async def test_a_loopback_name_is_served(console: Console, host: str) -> None:
    assert (await console.ask("GET", "/api/v1/routes", headers={"Host": host}))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_change_from_another_site_is_refused(console: Console, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/api/v1/routes/read/rollback"), ("PATCH", "/api/v1/routes/read")):
        status, _ = await console.ask(method, path, headers=headers, json={"share": "1%"})
        assert status == 403
    assert console.panel.routes_file.read_text() == TEXT


async def test_a_change_from_this_site_is_made(console: Console) -> None:
    headers = {"Origin": f"http://127.0.0.1:{console.port}", "Sec-Fetch-Site": "same-origin"}
    assert (await console.ask("PATCH", "/api/v1/routes/read", headers=headers, json={"share": "1%"}))[
        0
    ] == 200


@pytest.mark.parametrize(
    ("host", "token", "fine"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("localhost", "", True),
        ("0.0.0.0", None, False),
        ("0.0.0.0", "", False),
        ("::", None, False),
        ("192.168.1.5", None, False),
        ("example.com", None, False),
        ("0.0.0.0", "s3cret", True),
        ("0.0.0.0", "s3cret\n", False),
    ],
)
def test_an_open_address_needs_a_token(host: str, token: str | None, fine: bool) -> None:
    problem = guard.check(Address(host, 9090), token)
    assert (problem is None) == fine
    assert problem is None or ("STRANGLER_TOKEN" in problem and "s3cret" not in problem)
