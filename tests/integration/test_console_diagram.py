"""GET /api/v1/diagram: the running table as a picture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.console import Console, make_panel, serving


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with serving(make_panel(tmp_path)) as running:
        yield running


async def test_the_picture_is_mermaid_text_unless_asked_otherwise(console: Console) -> None:
    for path in ("/api/v1/diagram", "/api/v1/diagram?format=mermaid"):
        async with console.client.get(path) as answer:
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            text = await answer.text()
        assert text.startswith("flowchart LR\n")
        assert 'r2["#60;b#62;#38;pay<br/>' in text


async def test_a_drawing_can_run_and_load_nothing(console: Console) -> None:
    async with console.client.get("/api/v1/diagram?format=svg") as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        text = await answer.text()
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    words = [each.text for each in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert "<b>&pay" in words


async def test_the_picture_follows_the_table(console: Console) -> None:
    before = (await console.ask("GET", "/api/v1/diagram"))[1]
    await console.ask("PATCH", "/api/v1/routes/read", json={"share": "25%"})
    after = (await console.ask("GET", "/api/v1/diagram"))[1]
    assert 'r1 -->|"25%"| u1' in after
    assert 'r1 -->|"25%"| u1' not in before


async def test_another_format_is_a_problem(console: Console) -> None:
    status, body = await console.ask("GET", "/api/v1/diagram?format=%1b%5b2Jpng")
    assert (status, body["status"]) == (400, 400)
    assert body["detail"] == "'\\x1b[2Jpng' is no format: write mermaid or svg"
