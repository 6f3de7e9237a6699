"""The console's pages as a browser gets them: complete without a script, and nothing foreign runs in them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from strangler.console import events
from strangler.console.looks import FILES
from strangler.cutover import change
from strangler.evidence import Releases
from tests.support.console import (
    HOSTILE,
    TEXT,
    Console,
    FakePanel,
    make_panel,
    observe,
    observe_release,
    serving,
)

PEOPLE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGES = ["/", "/routes/read", "/routes/read/change", "/history", "/compare", "/diagram"]


@pytest.fixture
def panel(tmp_path: Path) -> FakePanel:
    return make_panel(tmp_path)


@pytest.fixture
async def console(panel: FakePanel) -> AsyncIterator[Console]:
    async with serving(panel) as running:
        yield running


class Tags(HTMLParser):
    """What is markup on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def assert_nothing_foreign(text: str, policy: str) -> None:
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    tags = Tags(text)
    for name, attrs in tags.found:
        assert not [each for each in attrs if each.startswith("on") or each == "style"], (name, attrs)
        assert name not in ("i", "b", "iframe", "object", "base"), name
    for script in tags.every("script"):
        assert (script["src"] or "").startswith("/static/")
    assert text.count("<script") == len(tags.every("script")) == 3
    assert "\x1b" not in text
    assert "\u202e" not in text


async def get(console: Console, path: str, **headers: str) -> tuple[int, str, Any]:
    async with console.client.get(path, headers=PEOPLE | headers, allow_redirects=False) as answer:
        return answer.status, await answer.text(), answer.headers


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_whole_and_nothing_foreign_runs_in_it(console: Console, path: str) -> None:
    observe(console.panel.state, fingerprints=3)
    console.panel.wrong = [f"routes.yaml:3:1: error: {HOSTILE}"]
    change(
        console.panel.routes_file,
        console.panel.state,
        "read",
        "share",
        "5%",
        who=HOSTILE[:40],
        why="it's <i>",
    )
    status, text, headers = await get(console, path)
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert_nothing_foreign(text, headers["Content-Security-Policy"])


async def test_the_page_of_a_hostile_difference(console: Console) -> None:
    observe(console.panel.state)
    _, report = await console.ask("GET", "/api/v1/report")
    identity = report["routes"][0]["fingerprints"][0]["id"]
    status, text, headers = await get(console, f"/fingerprints/{identity}")
    assert status == 200
    assert_nothing_foreign(text, headers["Content-Security-Policy"])
    assert "&lt;script&gt;alert(" in text
    assert "curl " in text
    accept = text[text.index('id="rule-accept"') : text.index('data-copy="rule-accept"')]
    assert identity in accept


async def test_the_board_has_a_row_for_every_route(console: Console) -> None:
    observe(console.panel.state)
    _, text, _ = await get(console, "/")
    assert '<a href="/routes/read">read</a>' in text
    assert '<a href="/routes/%3Cb%3E%26pay">&lt;b&gt;&amp;pay</a>' in text
    assert "1 breaking difference" in text
    assert "GET /payments/{id}" in text


async def test_the_board_without_routes_says_what_to_do(console: Console) -> None:
    console.panel.routes_file.write_text(TEXT[: TEXT.index("routes:")])
    _, text, _ = await get(console, "/")
    assert "There are no routes yet" in text


async def test_a_difference_names_every_pair_of_releases_that_showed_it(console: Console) -> None:
    for name in ("v2", "v3"):
        observe_release(console.panel.state, Releases("shop", name), "mismatch", 3)
    _, text, _ = await get(console, "/routes/read")
    row = text[text.index('id="fp-') : text.index("</tr>", text.index('id="fp-'))]
    assert row.index("shop → v2") < row.index("shop → v3")


async def test_a_route_by_a_hostile_name(console: Console) -> None:
    status, text, _ = await get(console, "/routes/%3Cb%3E%26pay")
    assert status == 200
    assert "<h1>&lt;b&gt;&amp;pay</h1>" in text


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/routes/raed", 404, "did you mean read?"),
        ("/routes/raed/change", 404, "did you mean read?"),
        ("/routes/read/change?do=explode", 404, "what can be done is: share"),
        ("/fingerprints/zzz", 404, "no fingerprint has the id"),
        ("/history/7", 404, "the ledger has 0 entries"),
        ("/history/x", 404, "the ledger has 0 entries"),
        ("/nothing/here", 404, "nothing is at /nothing/here"),
    ],
)
async def test_what_is_not_there_is_a_page_for_a_browser(
    console: Console, path: str, status: int, says: str
) -> None:
    got, text, headers = await get(console, path)
    assert got == status
    assert headers["Content-Type"].startswith("text/html")
    assert says in text
    assert_nothing_foreign(text, headers["Content-Security-Policy"])
    async with console.client.get(path, headers={"Accept": "application/json"}) as answer:
        assert answer.content_type == "application/problem+json"


async def test_the_unexpected_is_not_shown_on_a_page(
    console: Console, caplog: pytest.LogCaptureFixture
) -> None:
    console.panel.broken = True
    status, text, _ = await get(console, "/")
    assert status == 500
    assert "secret" not in text
    assert "a secret of the inside" in caplog.text


async def test_the_history_and_the_table_as_it_was(console: Console) -> None:
    panel = console.panel
    first = change(panel.routes_file, panel.state, "read", "share", "5%", who="ada", why="looks <good>")
    change(panel.routes_file, panel.state, "read", "share", "25%", who="bob", why="better")
    assert first is not None
    _, text, _ = await get(console, f"/history?at={first.at}")
    assert "looks &lt;good&gt;" in text
    assert text.index("#2") < text.index('id="entry-1"')
    card = text[text.index('aria-labelledby="past"') : text.index("live_entries")]
    assert "after entry #1" in card
    assert ">5%<" in card
    _, only, _ = await get(console, "/history?route=nobody")
    assert "Nothing has been changed yet" in only
    _, wrong, _ = await get(console, "/history?at=yesterday")
    assert "is no time" in wrong
    _, entry, _ = await get(console, "/history/2")
    assert "In force" in entry


@pytest.mark.parametrize("name", sorted(FILES))
async def test_files_of_pages_may_be_kept_for_good(console: Console, name: str) -> None:
    file = FILES[name]
    async with console.client.get(f"/static/{name}?v={file.version}") as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.content_type == file.media_type
        assert await answer.read() == file.body
    async with console.client.get(f"/static/{name}") as answer:
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["../admin.py", "..%2fadmin.py", "nothing.css", "%2e%2e%2fboard.py"])
async def test_no_other_file_is_given_away(console: Console, name: str) -> None:
    async with console.client.get(f"/static/{name}") as answer:
        assert answer.status == 404


def test_what_is_vendored_keeps_its_licence() -> None:
    assert FILES["uplot.js"].body.startswith(b"/*! https://github.com/leeoniya/uPlot")
    assert b"MIT License" in FILES["uplot.LICENSE"].body
    for name, file in FILES.items():
        addresses = re.findall(rb"""(?:src|href|url\(|import)\s*[=(]?\s*["']?(https?:[^"')\s]+)""", file.body)
        assert addresses == [], name


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "INTERVAL", 0.01)


async def parts(stream: aiohttp.StreamReader) -> dict[str, str]:
    async with asyncio.timeout(10):
        while not (line := await stream.readline()).startswith(b"data: "):
            assert line, "the stream ended"
    found: dict[str, str] = json.loads(line.removeprefix(b"data: "))
    return found


LIVE = {"Accept": "text/event-stream"}


@pytest.mark.usefixtures("_fast")
async def test_a_page_is_told_what_changes_of_it(console: Console) -> None:
    async with console.client.get("/", headers=LIVE) as answer:
        assert answer.content_type == "text/event-stream"
        first = await parts(answer.content)
        assert {"live_rows", "live_numbers", "live_moved", "live_faults", "trouble"} == first.keys()
        assert "0 %" in first["live_rows"]
        await console.ask("PATCH", "/api/v1/routes/read", json={"share": "25%"})
        while "25 %" not in (await parts(answer.content)).get("live_rows", ""):
            pass


@pytest.mark.usefixtures("_fast")
@pytest.mark.parametrize("path", ["/", "/routes/read", "/history", "/diagram"])
async def test_what_is_sent_again_is_what_stands_on_the_page(console: Console, path: str) -> None:
    observe(console.panel.state)
    _, text, _ = await get(console, path)
    async with console.client.get(path, headers=LIVE) as answer:
        for name, part in (await parts(answer.content)).items():
            if name not in ("trouble", "live_rows", "live_noise"):  # these two say what time it is
                assert part in text, name


@pytest.mark.usefixtures("_fast")
async def test_trouble_is_told_on_the_page_and_ends(console: Console) -> None:
    console.panel.broken = True
    async with console.client.get("/", headers=LIVE) as answer:
        told = await parts(answer.content)
        assert told == {"trouble": "the console cannot read what it shows; its log says why"}
        console.panel.broken = False
        assert (await parts(answer.content))["trouble"] == ""


@pytest.mark.usefixtures("_fast")
async def test_no_page_tells_another_whose_session_it_is(panel: FakePanel) -> None:
    panel.token = "s3cret"
    async with (
        serving(panel) as console,
        console.client.get("/", headers=LIVE | {"Authorization": "Bearer s3cret"}) as answer,
    ):
        for part in (await parts(answer.content)).values():
            assert "csrf" not in part
            assert "Log out" not in part
