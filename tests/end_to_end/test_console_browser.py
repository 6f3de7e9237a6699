"""The console in a real browser, on the running demo: shop, services, proxy and customers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Browser, expect

from demo import traffic
from demo.processes import Processes
from demo.screen import Screen
from demo.stage import ROOT, SERVICES, Stage
from demo.traffic import Crowd
from tests.support.browser import browser, needs_browser, page
from tests.support.proxy import ROUTES, proxy, service

pytestmark = [needs_browser, pytest.mark.timeout(240)]

#: Where the pictures of the README go, when somebody asks for new ones: they differ from run to run.
PICTURES = Path(os.environ["STRANGLER_PICTURES"]) if "STRANGLER_PICTURES" in os.environ else None
WIDE = {"viewport": {"width": 1280, "height": 900}}
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@asynccontextmanager
async def shop(folder: Path, release: str = "v1") -> AsyncIterator[Stage]:
    """The demo's stage, with both services taken over and compared."""
    async with Processes(folder) as processes:
        with Stage(folder, processes, Screen()) as stage:
            await stage.open()
            for each in SERVICES:
                await stage.fill(each)
                await stage.start(each, release)
            yield stage


@asynccontextmanager
async def customers(stage: Stage) -> AsyncIterator[Crowd]:
    """Customers who go on looking around for as long as the block lasts."""
    random = Random(1)
    async with Crowd(stage.proxy) as crowd:

        async def look_around() -> None:
            while True:
                await crowd.send(traffic.browsing(traffic.customers(), random, 25), lambda: None)
                await asyncio.sleep(0.05)

        task = asyncio.create_task(look_around())
        try:
            yield crowd
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def picture(opened: Any, name: str) -> None:
    """A picture of the page: proof that it can be drawn, and kept where somebody asks for it."""
    drawn = await opened.screenshot(full_page=True, animations="disabled")
    assert drawn.startswith(b"\x89PNG")
    if PICTURES is not None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / f"{name}.png").write_bytes(drawn)


async def sides(stage: Stage, count: int = 40) -> set[str]:
    """Which releases answer some callers of payment-read."""
    async with aiohttp.ClientSession() as session:
        found = set()
        for number in range(count):
            async with session.get(f"{stage.proxy}/payments/1", headers={"X-User-Id": str(number)}) as answer:
                found.add(answer.headers.get("X-Release", ""))
    return found


async def test_a_team_watches_and_works_from_the_page(tmp_path: Path) -> None:
    async with shop(tmp_path) as stage, customers(stage), browser() as running:
        await the_board_updates_while_traffic_flows(running, stage)
        await a_difference_is_looked_into(running, stage)
        await a_share_changed_on_the_page_changes_who_answers(running, stage)
        await a_board_with_both_sides_at_work(running, stage)
        pages = {"board": "/", "route": "/routes/payment-read", "history": "/history", "diagram": "/diagram"}
        await drawn_in_light_dark_and_on_a_phone(running, stage, pages)
        await two_releases_are_compared(running, stage)
        await drawn_in_light_dark_and_on_a_phone(running, stage, {"compare": "/compare?route=payment-read"})


async def the_board_updates_while_traffic_flows(running: Browser, stage: Stage) -> None:
    async with page(running, stage.admin, **WIDE) as board:
        await board.goto("/")
        row = board.locator("tr", has=board.get_by_role("link", name="payment-read", exact=True))
        link = row.get_by_role("link")
        pairs = row.locator("td").nth(2).locator(".under")
        await expect(pairs).not_to_have_text("0 pairs")
        before = await pairs.inner_text()
        await expect(pairs).not_to_have_text(before)
        await expect(row.locator("td").nth(1)).to_have_text(re.compile(r"^[1-9][0-9.]*/s$"))
        await expect(board.locator("html")).to_have_attribute("data-live", "yes")
        await board.evaluate("window.mark = 1")  # gone if the page were loaded again
        await link.focus()
        await expect(pairs).not_to_have_text(await pairs.inner_text())
        assert await board.evaluate("window.mark") == 1
        assert await link.evaluate("each => each === document.activeElement")


async def a_difference_is_looked_into(running: Browser, stage: Stage) -> None:
    async with page(running, stage.admin, **WIDE) as opened:
        await opened.goto("/routes/payment-read")
        first = opened.locator(".fingerprints tbody tr").first
        await first.get_by_role("link").click()
        await expect(opened).to_have_url(re.compile(r"/fingerprints/"))
        await expect(opened.locator(".line.differs").first).to_be_visible()
        await expect(opened.locator("#rule-accept")).to_contain_text("fingerprint:")
        await expect(opened.locator("#curl-1")).to_contain_text("curl ")
        await opened.get_by_role("button", name="Copy").first.click()
        await expect(opened.get_by_role("button", name=re.compile("Copied|Marked"))).to_be_visible()
        await picture(opened, "fingerprint")


async def a_share_changed_on_the_page_changes_who_answers(running: Browser, stage: Stage) -> None:
    assert "v1" not in await sides(stage)
    async with page(running, stage.admin, **WIDE) as opened:
        await opened.goto("/routes/payment-read")
        await opened.get_by_role("link", name="Change the share …").press("Enter")  # by keyboard alone
        await opened.get_by_label("To").fill("100%")
        await opened.keyboard.press("Enter")
        await expect(opened.get_by_text(re.compile(r"callers"))).to_be_visible()
        await picture(opened, "question")
        await opened.get_by_role("button", name="Set the share to 100%").click()
        await expect(opened.get_by_role("alert").filter(has_text="Once more")).to_be_visible()
        await opened.get_by_label(re.compile("Why")).fill("to see that it works")
        await opened.get_by_role("button", name="Set the share to 100%").click()
        await expect(opened.get_by_role("heading", name=re.compile("Entry #"))).to_be_visible()
        await expect(opened.get_by_text("In force: callers are answered by it.")).to_be_visible()
    await stage.share_in_force("payment-read", 100.0)
    assert await sides(stage) == {"v1"}


async def two_releases_are_compared(running: Browser, stage: Stage) -> None:
    await stage.replace("payments", "v2")
    async with page(running, stage.admin, **WIDE) as opened:
        await opened.goto("/compare?route=payment-read")
        while not await opened.get_by_text("Nothing got worse").is_visible():
            await opened.reload()  # until enough has been compared for that to be no chance
        fixed = opened.locator("h3", has_text="Fixed").locator("xpath=following-sibling::table[1]")
        await expect(fixed).to_contain_text("$.fee.amount")


async def a_board_with_both_sides_at_work(running: Browser, stage: Stage) -> None:
    async with aiohttp.ClientSession() as session:
        for name, share in (("payment-read", "25%"), ("account-payments", "100%")):
            where = f"{stage.admin}/api/v1/routes/{name}"
            async with session.patch(where, json={"share": share, "why": "for the picture"}) as answer:
                assert answer.status == 200
    async with page(running, stage.admin, **WIDE) as opened:
        await opened.goto("/")
        row = opened.locator("tr", has=opened.get_by_role("link", name="account-payments", exact=True))
        await expect(row.locator(".side.extracted").first).not_to_contain_text("–")


async def drawn_in_light_dark_and_on_a_phone(
    running: Browser, stage: Stage, addresses: dict[str, str]
) -> None:
    for look, options in (
        ("", WIDE),
        ("-dark", WIDE | {"color_scheme": "dark"}),
        ("-phone", PHONE),
    ):
        async with page(running, stage.admin, **options) as opened:
            for name, address in addresses.items():
                await opened.goto(address)
                await expect(opened.locator("main")).to_be_visible()
                wide = await opened.evaluate(TOO_WIDE)
                assert wide <= 0, f"{address} is {wide} px wider than the window"
                await picture(opened, f"{name}{look}")


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'></pre></span><svg onload=alert(3)>"


async def test_a_hostile_body_stays_text(tmp_path: Path) -> None:
    def old(request: web.Request) -> web.Response:
        return web.json_response({"note": HOSTILE, "price": 1, HOSTILE: 1})

    def new(request: web.Request) -> web.Response:
        return web.json_response({"note": HOSTILE[::-1], "price": HOSTILE, HOSTILE: HOSTILE})

    async with (
        service(old, release=HOSTILE[:40]) as legacy,
        service(new, release=HOSTILE[:40]) as extracted,
        proxy(tmp_path, legacy, extracted, routes=ROUTES) as made,
        aiohttp.ClientSession() as session,
        browser() as running,
    ):
        for _ in range(5):
            async with session.get(f"{made.url}/items/1?q={HOSTILE}") as answer:
                await answer.read()
        report = await made.settled(session)
        async with page(running, made.admin, **WIDE) as opened:
            for address in (
                "/",
                "/routes/item",
                *(f"/fingerprints/{each['id']}" for each in report["fingerprints"]),
            ):
                await opened.goto(address)
                await expect(opened.locator("main")).to_be_visible()
                assert (
                    await opened.locator("main img, main script, main [onload], main [onerror]").count() == 0
                )
            await expect(opened.locator(".line", has_text="onerror").first).to_be_visible()


async def test_a_page_comes_back_by_itself_and_says_so_meanwhile(tmp_path: Path) -> None:
    def same(request: web.Request) -> web.Response:
        return web.json_response({"price": 1})

    async with (
        service(same) as old,
        service(same) as new,
        proxy(tmp_path, old, new, routes=ROUTES) as made,
        browser() as running,
    ):
        # What the browser itself says of a connection that is gone is not a fault of the page.
        context = await running.new_context(base_url=made.admin)
        opened = await context.new_page()
        await opened.goto("/")
        await expect(opened.locator("html")).to_have_attribute("data-live", "yes")
        (observer,) = made.children("strangler.observer")
        observer.kill()
        await expect(opened.locator("#connection")).to_contain_text(
            "Not connected: this is from", timeout=15_000
        )
        await expect(opened.locator("#connection")).to_be_hidden(timeout=30_000)
        await expect(opened.locator("html")).to_have_attribute("data-live", "yes")
        await context.close()


def test_the_pictures_of_the_documents_exist() -> None:
    for each in (
        "board",
        "board-dark",
        "board-phone",
        "route",
        "fingerprint",
        "question",
        "history",
        "compare",
        "diagram",
    ):
        assert (ROOT / "docs" / "images" / f"{each}.png").read_bytes().startswith(b"\x89PNG")
