"""What the admin listener tells of a route's evidence: at any releases, its latencies, and what a change would do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from strangler.evidence import Releases, Store
from tests.support.console import HOSTILE, TEXT, Console, FakePanel, make_panel, observe_release, serving

V1, V2 = Releases("shop", "v1"), Releases("shop", "v2")


@pytest.fixture
def panel(tmp_path: Path) -> FakePanel:
    return make_panel(tmp_path)


@pytest.fixture
async def console(panel: FakePanel) -> AsyncIterator[Console]:
    async with serving(panel) as running:
        yield running


async def test_the_releases_of_a_route(console: Console) -> None:
    assert await console.ask("GET", "/api/v1/releases/read") == (200, {"route": "read", "pairs": []})
    observe_release(console.panel.state, V1, "mismatch", 3)
    observe_release(console.panel.state, V2, "match", 5, at=2000.0)
    status, body = await console.ask("GET", "/api/v1/releases/read")
    assert status == 200
    assert body["pairs"] == [
        {
            "releases": {"legacy": "shop", "extracted": "v1"},
            "since": "1970-01-01T00:16:40.000Z",
            "until": "1970-01-01T00:16:42.000Z",
            "compared": 3,
            "mismatch": 3,
            "current": False,
        },
        {
            "releases": {"legacy": "shop", "extracted": "v2"},
            "since": "1970-01-01T00:33:20.000Z",
            "until": "1970-01-01T00:33:24.000Z",
            "compared": 5,
            "mismatch": 0,
            "current": True,
        },
    ]
    assert (await console.ask("GET", "/api/v1/releases/%3Cb%3E%26pay"))[1]["pairs"] == []
    observe_release(console.panel.state, V1, count=1)
    _, body = await console.ask("GET", "/api/v1/releases/read")
    assert [pair["releases"]["extracted"] for pair in body["pairs"]] == ["v2", "v1"], "the newest is last"
    identity = (await console.ask("GET", "/api/v1/report/read"))[1]["routes"][0]["fingerprints"][0]["id"]
    accepted = f"compare: {{accept: [{{fingerprint: {identity}, reason: known, until: 2999-01-01}}]}}"
    console.panel.routes_file.write_text(TEXT.replace("shadow: 100%\n", f"shadow: 100%\n    {accepted}\n", 1))
    _, body = await console.ask("GET", "/api/v1/releases/read")
    assert [pair["mismatch"] for pair in body["pairs"]] == [0, 0], "as judged by now"


async def test_a_report_at_releases_of_the_past(console: Console) -> None:
    ramped = TEXT.replace("    share: 0%     #", "    ramp: {}\n    share: 0%     #")
    console.panel.routes_file.write_text(ramped)
    observe_release(console.panel.state, V1, "mismatch", 3)
    observe_release(console.panel.state, V2, "match", 5)
    _, now = await console.ask("GET", "/api/v1/report/read")
    status, past = await console.ask("GET", "/api/v1/report/read?legacy=shop&extracted=v1")
    assert status == 200
    assert (past["schema"], len(past["routes"])) == ("strangler.report/1", 1)
    [route] = past["routes"]
    assert route["releases"] == {"legacy": "shop", "extracted": "v1"}
    assert (route["outcomes"]["mismatch"], route["coverage"]["compared"]) == (3, 3)
    assert [each["path"] for each in route["fingerprints"]] == ["$.total"]
    assert route["verdict"] == "fail"
    assert "ramp" not in route, "which is of the present"
    _, same = await console.ask("GET", "/api/v1/report/read?legacy=shop&extracted=v2")
    assert same["routes"][0]["coverage"] == now["routes"][0]["coverage"]
    assert same["routes"][0].keys() == now["routes"][0].keys() >= {"ramp"}


async def test_latencies_as_distributions(console: Console) -> None:
    nothing: dict[str, Any] = {"legacy": [], "extracted": []}
    assert await console.ask("GET", "/api/v1/latency/read") == (
        200,
        {
            "route": "read",
            "releases": {"legacy": "", "extracted": ""},
            "compared": nothing,
            "callers": nothing,
        },
    )
    observe_release(console.panel.state, V2, count=4)
    with Store.open(console.panel.state / "evidence.sqlite3") as store:
        store.fold("w", {"read": {"traffic:legacy_wait_-1": 2, "traffic:legacy_wait_10": 7}})
    _, body = await console.ask("GET", "/api/v1/latency/read")
    assert body["releases"] == {"legacy": "shop", "extracted": "v2"}
    assert body["compared"] == {"legacy": [[1.0, 4]], "extracted": [[2.05463, 4]]}
    assert body["callers"] == {"legacy": [[0.960784, 2], [1.491904, 7]], "extracted": []}


async def test_what_a_change_would_do(console: Console) -> None:
    status, body = await console.ask("GET", "/api/v1/routes/read/question?share=25%25")
    assert (status, body["why"]) == (
        200,
        "How many callers move to the extracted side is not known: none have been seen. Nothing has been compared yet.",
    )
    observe_release(console.panel.state, V1, "mismatch", count=40, callers=20)
    for query in ("share=25%25", "share=25%", "share=25.0%25&share2=1"):
        status, body = await console.ask("GET", f"/api/v1/routes/read/question?{query}")
        assert status == 200
        assert (body["from"], body["to"], body["direction"]) == (0.0, 25.0, "up")
        assert (body["callers_seen"], body["callers_moving"]) == (20, 5)
        assert (body["verdict"], body["asks_twice"], body["ramp"]) == ("fail", True, None)
        assert body["why"].startswith(
            "About 5 of 20 callers seen move to the extracted side. The evidence fails: 1 breaking difference: type at"
        )
    assert console.panel.routes_file.read_text() == TEXT, "nothing is changed"
    ramped = TEXT.replace("    share: 0%     #", "    ramp: {}\n    share: 1%     #")
    console.panel.routes_file.write_text(ramped)
    status, body = await console.ask("GET", "/api/v1/routes/read/question?share=0%25")
    assert (body["direction"], body["asks_twice"]) == ("down", False)
    assert body["ramp"]["next"] == 5.0
    assert (body["verdict"], body["reasons"][0]) == (
        body["ramp"]["verdict"],
        body["ramp"]["checks"][0]["said"],
    )


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/v1/latency/raed", 404, "did you mean read?"),
        ("/api/v1/releases/raed", 404, "did you mean read?"),
        ("/api/v1/routes/raed/question?share=25%25", 404, "did you mean read?"),
        ("/api/v1/routes/read%2Fquestion/question?share=25%25", 404, "no route is named"),
        ("/api/v1/routes/read/question", 400, "name the share that is asked about"),
        ("/api/v1/routes/read/question?share=", 400, "write a percentage from 0% to 100%"),
        ("/api/v1/routes/read/question?share=25", 400, "the percent sign is missing: write 25%"),
        ("/api/v1/routes/read/question?share=101%25", 400, "more than 100%"),
        ("/api/v1/routes/read/question?share=1e999%25", 400, "write a percentage"),
        ("/api/v1/routes/read/question?share=-1%25", 400, "write a percentage"),
        ("/api/v1/routes/read/question?share=nan%25", 400, "write a percentage"),
        ("/api/v1/routes/read/question?share=" + "9" * 5000 + "%25", 400, "write a percentage"),
        ("/api/v1/routes/read/question?share=%d9%a1%25", 400, "write a percentage"),
        ("/api/v1/routes/read/question?share=1%25&share=2%25", 400, "'share' 2 times"),
        ("/api/v1/routes/read/question?share=%1b%5b2J", 400, "'\\\\x1b[2J'"),
        ("/api/v1/latency/", 404, "nothing is at"),
        ("/api/v1/latency/read/more", 404, "nothing is at"),
        ("/api/v1/latency/read%2Fmore", 404, "no route is named"),
        ("/api/v1/releases/..%2F..%2Fetc%2Fpasswd", 404, "no route is named"),
        ("/api/v1/releases/%ff%fe%00", 404, "no route is named"),
        ("/api/v1/latency/" + quote(HOSTILE, safe=""), 404, "no route is named"),
        ("/api/v1/latency/" + "x" * 5000, 404, "no route is named"),
        ("/api/v1/report/read?legacy=shop", 400, "name the releases of both sides"),
        ("/api/v1/report/read?extracted=", 400, "name the releases of both sides"),
        ("/api/v1/report/read?legacy=a&extracted=b", 404, "no evidence of legacy a, extracted b; there is"),
        ("/api/v1/report/read?legacy=&extracted=", 404, "legacy unknown, extracted unknown"),
        ("/api/v1/report/read?legacy=shop&legacy=shop&extracted=v1", 400, "'legacy' 2 times"),
        ("/api/v1/report/read?legacy=%1b%5b2J&extracted=%ff", 404, "legacy \\x1b[2J"),
        ("/api/v1/report/%3Cb%3E%26pay?legacy=a&extracted=b", 404, "there is none at all"),
    ],
)
async def test_what_is_not_there_or_not_meant(console: Console, path: str, status: int, says: str) -> None:
    observe_release(console.panel.state, V1)
    found, body = await console.ask("GET", path)
    assert (found, body["status"]) == (status, status)
    assert says in body["detail"]
    assert body["detail"].isprintable()
    assert len(body["detail"]) < 6000


@pytest.mark.parametrize("what", ["latency", "releases"])
async def test_evidence_that_cannot_be_read(console: Console, what: str) -> None:
    console.panel.state.mkdir()
    (console.panel.state / "evidence.sqlite3").write_bytes(b"not a database at all" * 100)
    status, body = await console.ask("GET", f"/api/v1/{what}/read")
    assert (status, "evidence.sqlite3" in body["detail"]) == (503, True)
