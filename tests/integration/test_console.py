"""What the admin listener tells: the API, the page, the stream of events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from strangler.console import admin, events
from strangler.evidence import Sample, Store, sampled
from tests.support.console import HOSTILE, Console, FakePanel, make_panel, observe, serving


@pytest.fixture
def panel(tmp_path: Path) -> FakePanel:
    return make_panel(tmp_path)


@pytest.fixture
async def console(panel: FakePanel) -> AsyncIterator[Console]:
    async with serving(panel) as running:
        yield running


async def test_health_and_readiness(console: Console) -> None:
    assert await console.ask("GET", "/healthz") == (200, {"status": "ok"})
    assert await console.ask("GET", "/readyz") == (200, {"status": "ready"})
    console.panel.is_ready = False
    async with console.client.get("/readyz") as answer:
        assert answer.status == 503
    assert (await console.ask("GET", "/healthz"))[0] == 200


async def _metrics(console: Console) -> str:
    async with console.client.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return await answer.text()


async def test_metrics_are_passed_on_with_what_the_report_says(console: Console) -> None:
    assert await _metrics(console) == "# HELP strangler_up Up\nstrangler_up 2.0\n"


async def test_metrics_are_there_though_there_is_no_report(console: Console) -> None:
    console.panel.broken = True
    assert await _metrics(console) == "# HELP strangler_up Up\nstrangler_up -1.0\n"


async def test_metrics_do_not_wait_for_a_report_that_takes_long(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "REPORT_WITHIN", 0.05)
    monkeypatch.setattr(events, "INTERVAL", 0.0)
    go_on = threading.Event()
    monkeypatch.setattr(console.panel, "report", lambda route: go_on.wait(30) and {"routes": [1, 2, 3]})
    try:
        assert "strangler_up -1.0" in await _metrics(console)
        assert await console.ask("GET", "/healthz") == (200, {"status": "ok"}), "the loop is not held up"
        go_on.set()
        await _poll(lambda: console.runner.app[events.PULSE].known_report(60.0) is not None)
        go_on.clear()
        assert "strangler_up 3.0" in await _metrics(console), "the one before will do"
        monkeypatch.setattr(admin, "REPORT_OLDEST", 0.0)
        assert "strangler_up -1.0" in await _metrics(console)
    finally:
        go_on.set()


async def test_all_who_ask_at_once_share_one_report(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str | None] = []
    monkeypatch.setattr(console.panel, "report", lambda route: made.append(route) or {"routes": []})
    assert set(await asyncio.gather(*(_metrics(console) for _ in range(20)))) == {
        "# HELP strangler_up Up\nstrangler_up 0.0\n"
    }
    async with console.client.get("/api/v1/events") as answer:
        assert [(await _event(answer.content))[0] for _ in range(2)] == ["table", "report"]
    assert made == [None]


async def test_routes_and_one_route(console: Console) -> None:
    console.panel.wrong = ["routes.yaml:1:1: error: no"]
    status, body = await console.ask("GET", "/api/v1/routes")
    assert status == 200
    assert body["table"] == console.panel.table().digest
    assert body["faults"] == console.panel.wrong
    assert [route["name"] for route in body["routes"]] == ["read", "<b>&pay"]
    status, one = await console.ask("GET", "/api/v1/routes/read")
    assert {"table": body["table"], "faults": body["faults"], "out": False, **body["routes"][0]} == one
    console.panel.sick = ["payments"]
    assert (await console.ask("GET", "/api/v1/routes"))[1]["out"] == ["payments"]
    assert (await console.ask("GET", "/api/v1/routes/read"))[1]["out"] is True
    assert (one["share"], one["shadow"], one["stage"], one["methods"]) == (0.0, 100.0, "shadow", ["GET"])
    status, other = await console.ask("GET", "/api/v1/routes/%3Cb%3E&pay")
    assert (status, other["name"]) == (200, "<b>&pay")


async def test_a_report_and_a_fingerprint(console: Console) -> None:
    observe(console.panel.state)
    status, whole = await console.ask("GET", "/api/v1/report")
    assert status == 200
    assert [route["route"] for route in whole["routes"]] == ["read", "<b>&pay"]
    _, one = await console.ask("GET", "/api/v1/report/read")
    assert one["routes"] == whole["routes"][:1]
    identity = one["routes"][0]["fingerprints"][0]["id"]
    status, detail = await console.ask("GET", f"/api/v1/fingerprints/{identity}")
    assert status == 200
    assert detail["examples"][0]["legacy_body"] == HOSTILE


async def test_progress_by_day_and_by_hour(console: Console) -> None:
    status, body = await console.ask("GET", "/api/v1/progress")
    assert (status, body["moved"], body["by_hour"]) == (200, None, [])
    console.panel.state.mkdir()
    with Store.open(console.panel.state / "evidence.sqlite3") as store:
        store.fold("w", {"read": {"traffic:legacy_2xx": 3, "traffic:extracted_2xx": 1}})
    status, body = await console.ask("GET", "/api/v1/progress")
    [hour] = body["by_hour"]
    assert (status, hour["moved"], hour["requests"]) == (200, 0.25, 4)
    assert hour["hour"].endswith(":00:00.000Z")
    assert [day["requests"] for day in body["over_time"]] == [4]


async def test_what_has_passed_lately(console: Console) -> None:
    status, body = await console.ask("GET", "/api/v1/lately")
    assert (status, body["seconds"], body["routes"], body["minutes"]) == (200, 0, {}, [])
    for at, count in ((1_700_000_000.0, 7), (1_700_000_010.0, 27)):
        counts = {("<b>&pay", "extracted_2xx"): count, ("", "legacy_2xx"): count}
        console.panel.ring = sampled(console.panel.ring, Sample(at, counts))
    status, body = await console.ask("GET", "/api/v1/lately?route=read&route=%00")
    assert (status, body["seconds"], body["at"]) == (200, 10, "2023-11-14T22:13:30.000Z")
    assert body["routes"]["<b>&pay"]["requests_per_second"] == 2.0
    assert body["unclaimed"]["legacy"]["requests"] == 20
    assert body["minutes"] == [{"at": "2023-11-14T22:13:00.000Z", "legacy": 20, "extracted": 20}]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/api/v1/routes/raed", "did you mean read?"),
        ("/api/v1/report/raed", "did you mean read?"),
        ("/api/v1/fingerprints/zzz", "no fingerprint has the id 'zzz'"),
        ("/api/v1/nothing", "nothing is at"),
        ("/api/v1/fingerprints/%1b%5b2J", "'\\x1b[2J'"),
    ],
)
async def test_what_is_not_there_is_a_problem(console: Console, path: str, says: str) -> None:
    status, body = await console.ask("GET", path)
    assert (status, body["status"], body["title"], body["type"]) == (404, 404, "Not Found", "about:blank")
    assert says in body["detail"]


async def test_a_method_that_is_not_for_it(console: Console) -> None:
    async with console.client.delete("/api/v1/routes/read") as answer:
        assert answer.status == 405
        assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD", "PATCH"}
        assert answer.content_type == "application/problem+json"


async def test_the_unexpected_is_not_shown(console: Console, caplog: pytest.LogCaptureFixture) -> None:
    console.panel.broken = True
    status, body = await console.ask("GET", "/api/v1/report")
    assert status == 500
    assert "secret" not in json.dumps(body)
    assert "a secret of the inside" in caplog.text


async def test_evidence_that_cannot_be_read_is_a_503(console: Console) -> None:
    console.panel.state.mkdir()
    (console.panel.state / "evidence.sqlite3").write_bytes(b"not a database at all" * 100)
    status, body = await console.ask("GET", "/api/v1/report")
    assert status == 503
    assert "evidence.sqlite3" in body["detail"]


async def _event(stream: aiohttp.StreamReader) -> tuple[str, Any]:
    async with asyncio.timeout(10):
        while not (line := await stream.readline()).startswith(b"event: "):
            assert line, "the stream ended"
        data = await stream.readline()
    return line.decode().split(": ")[1].strip(), json.loads(data.removeprefix(b"data: "))


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "INTERVAL", 0.01)


@pytest.mark.usefixtures("_fast")
async def test_a_change_is_an_event(console: Console) -> None:
    async with console.client.get("/api/v1/events") as answer:
        assert answer.content_type == "text/event-stream"
        name, first = await _event(answer.content)
        assert (name, first["table"]) == ("table", console.panel.table().digest)
        name, report = await _event(answer.content)
        assert (name, report[0]["route"], report[0]["verdict"]) == ("report", "read", "inconclusive")
        await console.ask("PATCH", "/api/v1/routes/read", json={"share": "25%"})
        seen = dict([await _event(answer.content), await _event(answer.content)])
        assert seen["table"]["routes"][0]["share"] == 25.0
        assert seen["report"][0]["share"] == 25.0
        console.panel.wrong = ["routes.yaml:1:1: error: no"]
        name, table = await _event(answer.content)
        assert (name, table["faults"]) == ("table", console.panel.wrong)


@pytest.mark.usefixtures("_fast")
async def test_trouble_with_the_evidence_does_not_end_a_stream(console: Console) -> None:
    console.panel.broken = True
    async with console.client.get("/api/v1/events") as answer:
        assert [(await _event(answer.content))[0] for _ in range(2)] == ["table", "trouble"]
        console.panel.broken = False
        assert (await _event(answer.content))[0] == "report"


async def _poll(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the server, not here
            await asyncio.sleep(0.005)


@pytest.mark.usefixtures("_fast")
async def test_streams_are_bounded_and_given_back(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST", 2)
    pulse = console.runner.app[events.PULSE]
    streams = [await console.client.get("/api/v1/events") for _ in range(2)]
    assert (await console.ask("GET", "/api/v1/events"))[0] == 503
    for stream in streams:
        stream.close()
    await _poll(lambda: pulse.open == 0)


async def test_a_stream_ends_cleanly_at_shutdown(console: Console) -> None:
    async with console.client.get("/api/v1/events") as answer:
        await _event(answer.content)
        async with asyncio.timeout(2):
            cleanup = asyncio.create_task(console.runner.cleanup())
            rest = await answer.content.read()  # raises when the chunked body is cut off
            await cleanup
        assert rest == b"" or b"event: report" in rest
