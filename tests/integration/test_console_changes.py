"""What the admin listener changes, and what it refuses to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from strangler.cutover import ledger
from tests.support.console import TEXT, Console, FakePanel, make_panel, serving


@pytest.fixture
def panel(tmp_path: Path) -> FakePanel:
    return make_panel(tmp_path)


@pytest.fixture
async def console(panel: FakePanel) -> AsyncIterator[Console]:
    async with serving(panel) as running:
        yield running


async def test_a_patch_edits_the_file_and_the_ledger(console: Console) -> None:
    status, body = await console.ask(
        "PATCH", "/api/v1/routes/read", json={"share": "25%", "why": "looks good"}
    )
    assert status == 200
    assert console.panel.routes_file.read_text() == TEXT.replace("share: 0%     #", "share: 25%     #")
    (entry,) = ledger.read(console.panel.state).entries
    assert (entry.route, entry.to, entry.why) == ("read", "25%", "looks good")
    assert entry.evidence == "inconclusive: no exchange has been compared yet"
    assert entry.who == "admin-api@127.0.0.1"
    assert body["changes"][0]["from"] == "0%"
    assert body["in_force"] is True
    assert (body["route"]["share"], body["route"]["stage"]) == (25.0, "cutover")
    _, history = await console.ask("GET", "/api/v1/history")
    assert history["entries"] == [{"number": n, **entry} for n, entry in enumerate(body["changes"], start=1)]
    assert (await console.ask("GET", "/api/v1/history", params={"route": "other"}))[1]["entries"] == []


async def test_both_at_once_and_nothing_new(console: Console) -> None:
    change = {"share": "5%", "shadow": "50%"}
    _, body = await console.ask("PATCH", "/api/v1/routes/read", json=change)
    assert [(entry["key"], entry["to"]) for entry in body["changes"]] == [("share", "5%"), ("shadow", "50%")]
    status, body = await console.ask("PATCH", "/api/v1/routes/read", json=change)
    assert (status, body["changes"], body["in_force"]) == (200, [], True)


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"json": {"why": "totals differ"}}])
async def test_a_rollback(console: Console, options: dict[str, Any]) -> None:
    await console.ask("PATCH", "/api/v1/routes/read", json={"share": "25%"})
    status, body = await console.ask("POST", "/api/v1/routes/read/rollback", **options)
    assert (status, body["route"]["share"], body["route"]["shadow"]) == (200, 0.0, 100.0)
    assert body["changes"][0]["why"] == options.get("json", {}).get("why", "rollback")
    assert console.panel.routes_file.read_text() == TEXT


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 20_000, 400, "not JSON"),
        (b"[]", 400, "must be an object"),
        (b"null", 400, "must be an object"),
        (b"{}", 400, "nothing to change"),
        (b'{"why": "x"}', 400, "nothing to change"),
        (b'{"share": "25%", "ramp": 1, "\\u001b": 2}', 400, "unknown keys: '\\x1b', 'ramp'"),
        (b'{"share": 25}', 400, '"share" must be text'),
        (b'{"share": null}', 400, '"share" must be text'),
        (b'{"share": "25%", "why": 1}', 400, '"why" must be text'),
        (b'{"share": "25"}', 400, "write 25%"),
        (b'{"share": "250%"}', 400, "more than 100%"),
        (b'{"shadow": "5%", "share": "\\u0000"}', 400, "percentage"),
        (b'{"share": "25%", "why": "a\\nb"}', 400, "one line"),
        (b'{"share": "' + b"9" * 70_000 + b'%"}', 413, ""),
    ],
)
async def test_a_wrong_body_changes_nothing(console: Console, body: bytes, status: int, says: str) -> None:
    got, problem = await console.ask("PATCH", "/api/v1/routes/read", data=body)
    assert got == status
    assert says in problem["detail"]
    assert console.panel.routes_file.read_text() == TEXT
    assert ledger.read(console.panel.state).entries == ()


async def test_an_unknown_route_cannot_be_changed(console: Console) -> None:
    assert (await console.ask("PATCH", "/api/v1/routes/raed", json={"share": "1%"}))[0] == 404
    assert (await console.ask("POST", "/api/v1/routes/raed/rollback"))[0] == 404


async def test_a_value_that_cannot_be_replaced_is_a_conflict(console: Console) -> None:
    console.panel.routes_file.write_text(TEXT.replace("share: 0%     #", "share: >-\n      0%\n    #"))
    status, body = await console.ask("PATCH", "/api/v1/routes/read", json={"share": "1%"})
    assert status == 409
    assert "line" in body["detail"]


async def test_changes_at_once_lose_none(console: Console) -> None:
    names = [("read", f"{number}%") for number in range(1, 9)] + [
        ("%3Cb%3E&pay", f"{n}%") for n in range(1, 9)
    ]
    answers = await asyncio.gather(
        *(console.ask("PATCH", f"/api/v1/routes/{name}", json={"share": value}) for name, value in names)
    )
    assert [status for status, _ in answers] == [200] * 16
    history = ledger.read(console.panel.state)
    assert len(history.entries) == 16
    assert (history.broken, history.torn, history.outside) == ((), (), ())
    final = {entry.route: entry.to for entry in history.entries}
    assert final == {route.name: f"{route.share // 1000}%" for route in console.panel.table().routes}
