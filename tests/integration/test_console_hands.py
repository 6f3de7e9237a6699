"""Changing a route on its page: a question, a second one where the evidence does not agree, and the ledger's entry."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from strangler.cutover import ledger, read_orders
from tests.support.console import TEXT, Console, FakePanel, make_panel, observe, serving

PEOPLE = {"Accept": "text/html"}
RAMPED = TEXT.replace(
    "    shadow: 100%\n", "    shadow: 100%\n    ramp: {steps: [5%, 25%, 100%], hold: 1m}\n"
)


@pytest.fixture
def panel(tmp_path: Path) -> FakePanel:
    made = make_panel(tmp_path)
    observe(made.state)
    return made


@pytest.fixture
async def console(panel: FakePanel) -> AsyncIterator[Console]:
    async with serving(panel) as running:
        yield running


async def question(console: Console, query: str) -> tuple[int, str]:
    async with console.client.get(f"/routes/read/change?{query}", headers=PEOPLE) as answer:
        return answer.status, unescape(await answer.text())


def fields(page: str) -> dict[str, str]:
    """What the form that makes the change would send."""
    form = page[page.index('<form method="post" class="fields"') :]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))


async def answer_to(console: Console, posted: dict[str, str]) -> tuple[int, str, str]:
    async with console.client.post(
        "/routes/read/change", data=posted, headers=PEOPLE, allow_redirects=False
    ) as answer:
        return answer.status, answer.headers.get("Location", ""), unescape(await answer.text())


def entries(panel: FakePanel) -> list[Any]:
    return list(ledger.read(panel.state).entries)


async def test_a_share_that_the_evidence_does_not_support_is_asked_about_twice(console: Console) -> None:
    _, first = await question(console, "do=share&to=25")
    assert "Set the share to 25%" in first
    assert "1 breaking difference" in first
    assert entries(console.panel) == []

    status, _, second = await answer_to(console, fields(first) | {"why": "we must"})
    assert status == 200
    assert "Once more: the evidence does not say yes." in second
    assert 'value="we must" required' in second
    assert entries(console.panel) == []
    assert console.panel.routes_file.read_text() == TEXT

    status, where, _ = await answer_to(console, fields(second) | {"why": "we must"})
    assert (status, where) == (303, "/history/1")
    (entry,) = entries(console.panel)
    assert (entry.route, entry.key, entry.from_, entry.to, entry.why) == (
        "read",
        "share",
        "0%",
        "25%",
        "we must",
    )
    assert entry.who == "console@127.0.0.1"
    assert entry.evidence.startswith("fail: ")
    assert "share: 25%     # careful" in console.panel.routes_file.read_text()
    async with console.client.get(where, headers=PEOPLE) as answer:
        text = unescape(await answer.text())
    assert "0%" in text
    assert "we must" in text
    assert "In force" in text


async def test_the_second_time_a_reason_is_needed(console: Console) -> None:
    _, first = await question(console, "do=share&to=25%25")
    status, _, page = await answer_to(console, fields(first) | {"sure": "yes", "why": "  "})
    assert (status, "Once more" in page) == (200, True)
    assert entries(console.panel) == []


async def test_what_lowers_a_share_is_asked_about_once(console: Console) -> None:
    console.panel.routes_file.write_text(TEXT.replace("share: 0%     #", "share: 50%     #"))
    _, page = await question(console, "do=rollback")
    assert "Roll back to 0%" in page
    status, where, _ = await answer_to(console, fields(page))
    assert (status, where.startswith("/history/")) == (303, True)
    assert entries(console.panel)[-1].to == "0%"


async def test_a_rollback_does_not_raise_a_share(console: Console) -> None:
    _, page = await question(console, "do=rollback&to=25%25")
    assert "a rollback only lowers a share" in page
    status, _, _ = await answer_to(
        console,
        {
            "csrf": fields((await question(console, "do=shadow&to=1%25"))[1])["csrf"],
            "do": "rollback",
            "to": "25%",
        },
    )
    assert status == 409
    assert entries(console.panel) == []


async def test_the_shadow(console: Console) -> None:
    _, page = await question(console, "do=shadow&to=0")
    assert "nothing new is seen of read" in page
    assert (await answer_to(console, fields(page)))[0] == 303
    assert [(each.key, each.to) for each in entries(console.panel)] == [("shadow", "0%")]


async def test_the_orders_to_a_ramp(console: Console) -> None:
    console.panel.routes_file.write_text(RAMPED)
    _, page = await question(console, "do=pause")
    assert "It still falls back" in page
    await answer_to(console, fields(page) | {"why": "lunch"})
    order = read_orders(console.panel.state)["read"]
    assert (order.paused, order.why, order.who) == (True, "lunch", "console@127.0.0.1")
    async with console.client.get("/routes/read", headers=PEOPLE) as answer:
        text = await answer.text()
    assert "do=resume" in text
    assert "do=pause" not in text
    await answer_to(console, fields((await question(console, "do=resume"))[1]))
    assert not read_orders(console.panel.state)["read"].paused


async def test_skipping_the_gate_is_asked_about_twice(console: Console) -> None:
    console.panel.routes_file.write_text(RAMPED)
    _, page = await question(console, "do=skip")
    assert "Go to 5% now" in page
    status, _, again = await answer_to(console, fields(page) | {"why": "known"})
    assert (status, "Once more" in again) == (200, True)
    assert (await answer_to(console, fields(again) | {"why": "known"}))[0] == 303
    assert (entries(console.panel)[-1].to, entries(console.panel)[-1].why) == (
        "5%",
        "skipped the gate: known",
    )


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("do=share&to=101%25", "101%"),
        ("do=share&to=1e999", "1e999"),
        ("do=share&to=%3Cscript%3E", "<script>"),
        ("do=pause", "read has no ramp"),
        ("do=skip", "the ramp of read has no further step"),
    ],
)
async def test_what_cannot_be_done_is_said_on_the_page(console: Console, query: str, says: str) -> None:
    status, page = await question(console, query)
    assert status == 400
    assert says in page
    assert '<form method="post" class="fields"' not in page


@pytest.mark.parametrize("given", [{}, {"csrf": ""}, {"csrf": "0" * 64}])
async def test_a_form_of_somebody_else_changes_nothing(console: Console, given: dict[str, str]) -> None:
    status, _, text = await answer_to(console, given | {"do": "share", "to": "0%", "sure": "yes", "why": "x"})
    assert status == 403
    assert "this form is not of a page of this console" in text
    assert console.panel.routes_file.read_text() == TEXT


async def test_a_faulty_file_is_told_and_left_alone(console: Console) -> None:
    _, page = await question(console, "do=shadow&to=1%25")
    table, digest = console.panel.table(), console.panel.routes_file.read_text()
    console.panel.table = lambda: table  # type: ignore[method-assign]
    console.panel.routes_file.write_text(digest + "nonsense: [\n")
    status, _, text = await answer_to(console, fields(page))
    assert status == 409
    assert "routes.yaml" in text
    assert entries(console.panel) == []


@pytest.mark.parametrize("why", ["x" * 5000, "a\x07b"])
async def test_a_reason_that_cannot_be_kept(console: Console, why: str) -> None:
    _, page = await question(console, "do=shadow&to=1%25")
    status, _, text = await answer_to(console, fields(page) | {"why": why})
    assert status == 409
    assert "the reason" in text
    assert entries(console.panel) == []
