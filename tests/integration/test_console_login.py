"""Logging in to the console where it needs a token, and what a login alone is not enough for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from strangler.console import login
from strangler.console.session import COOKIE
from tests.support.console import TEXT, Console, make_panel, serving

PEOPLE = {"Accept": "text/html"}
TOKEN = "s3cret token"


@pytest.fixture
async def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Console]:
    monkeypatch.setattr(login, "PAUSE", 0.01)
    panel = make_panel(tmp_path)
    panel.token = TOKEN
    async with serving(panel) as running:
        yield running


async def log_in(console: Console, token: str = TOKEN, wanted: str = "/") -> tuple[int, SimpleCookie, str]:
    posted = {"token": token, "next": wanted}
    async with console.client.post("/login", data=posted, headers=PEOPLE, allow_redirects=False) as answer:
        return answer.status, answer.cookies, answer.headers.get("Location", "")


async def form_token(console: Console, path: str) -> str:
    async with console.client.get(path, headers=PEOPLE) as answer:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', await answer.text())
    assert found
    return found[1]


async def test_a_browser_is_sent_to_the_login_and_back(console: Console) -> None:
    async with console.client.get("/routes/read?a=b", headers=PEOPLE, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/login?next=%2Froutes%2Fread%3Fa%3Db"
    async with console.client.get(answer.headers["Location"], headers=PEOPLE) as page:
        text = await page.text()
        assert page.status == 200
        assert 'value="/routes/read?a=b"' in text
        assert "Board" not in text
    status, cookies, goes_to = await log_in(console, wanted="/routes/read?a=b")
    assert (status, goes_to) == (303, "/routes/read?a=b")
    cookie = cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert TOKEN not in cookie.value
    async with console.client.get("/routes/read", headers=PEOPLE) as answer:
        assert answer.status == 200
        assert "Log out" in await answer.text()
    assert (await console.ask("GET", "/api/v1/routes"))[0] == 200


async def test_a_program_is_not_sent_to_the_login(console: Console) -> None:
    for path, headers in (("/api/v1/routes", PEOPLE), ("/", {}), ("/metrics", {})):
        async with console.client.get(path, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 401


@pytest.mark.parametrize("token", ["", "S3CRET TOKEN", "s3cret", "\udcff", "x" * 10_000])
async def test_a_wrong_token_opens_nothing(console: Console, token: str) -> None:
    posted = {"token": token.encode(errors="surrogateescape").decode("latin-1"), "next": "/"}
    async with console.client.post("/login", data=posted, headers=PEOPLE, allow_redirects=False) as answer:
        assert answer.status == 403
        assert COOKIE not in answer.cookies
        assert "not the token" in await answer.text()


async def test_nobody_is_sent_to_another_site(console: Console) -> None:
    assert (await log_in(console, wanted="//evil.example.com/"))[2] == "/"


@pytest.mark.parametrize("cookie", ["x", "9999999999.0.0", ""])
async def test_a_made_up_session_opens_nothing(console: Console, cookie: str) -> None:
    headers = PEOPLE | {"Cookie": f"{COOKIE}={cookie}"}
    async with console.client.get("/", headers=headers, allow_redirects=False) as answer:
        assert answer.status == 303


async def test_a_session_alone_changes_nothing_through_the_api(console: Console) -> None:
    await log_in(console)
    status, body = await console.ask("PATCH", "/api/v1/routes/read", json={"share": "1%"})
    assert (status, body["detail"]) == (403, "a change under a login needs the page's token in X-CSRF-Token")
    wrong = {"X-CSRF-Token": "0" * 64}
    assert (await console.ask("PATCH", "/api/v1/routes/read", json={"share": "1%"}, headers=wrong))[0] == 403
    assert console.panel.routes_file.read_text() == TEXT
    right = {"X-CSRF-Token": await form_token(console, "/routes/read/change?to=1%25")}
    assert (await console.ask("PATCH", "/api/v1/routes/read", json={"share": "1%"}, headers=right))[0] == 200


async def test_a_token_needs_no_page(console: Console) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert (await console.ask("PATCH", "/api/v1/routes/read", json={"share": "1%"}, headers=bearer))[0] == 200


async def test_logging_out(console: Console) -> None:
    await log_in(console)
    async with console.client.post("/logout", data={"csrf": "0"}, allow_redirects=False) as answer:
        assert answer.status == 403
    posted = {"csrf": await form_token(console, "/")}
    async with console.client.post("/logout", data=posted, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/login")
    async with console.client.get("/", headers=PEOPLE, allow_redirects=False) as answer:
        assert answer.status == 303


async def test_without_a_token_there_is_nothing_to_log_in_to(tmp_path: Path) -> None:
    async with serving(make_panel(tmp_path)) as console:
        async with console.client.get("/login", headers=PEOPLE, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
        assert (await log_in(console, token=""))[2] == "/"
        assert COOKIE not in (await log_in(console, token=""))[1]


async def test_the_files_of_the_login_page_are_open_and_nothing_else(console: Console) -> None:
    async with console.client.get("/static/console.css") as answer:
        assert answer.status == 200
    async with console.client.get("/staticx", headers=PEOPLE, allow_redirects=False) as answer:
        assert answer.status == 303
    async with console.client.get("/login/../history", headers=PEOPLE, allow_redirects=False) as answer:
        assert answer.status == 303
