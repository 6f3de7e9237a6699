"""A real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

_NAMES = ("chromium", "chromium-browser", "google-chrome")
FOUND = next((path for name in _NAMES if (path := shutil.which(name))), None)
expect.set_options(timeout=30_000)  # a page waits for traffic, which a busy machine brings later
_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

#: CI must have a browser; on other machines its tests are left out, and `make test` says in one line what is missing.
needs_browser = pytest.mark.skipif(
    FOUND is None and not os.environ.get("CI"), reason="no Chromium on this machine: apt-get install chromium"
)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser without a window, and without a way out of this machine."""
    assert FOUND is not None, "no Chromium on this machine: apt-get install chromium"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=FOUND, args=list(_OPTIONS))
        try:
            yield running
        finally:
            await running.close()


@asynccontextmanager
async def page(running: Browser, base: str, **options: Any) -> AsyncIterator[Page]:
    """A page on one listener, in a context of its own. What the browser complains of fails the test."""
    complaints: list[str] = []
    context = await running.new_context(base_url=base, **options)
    opened = await context.new_page()
    opened.set_default_timeout(60_000)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    opened.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
    try:
        yield opened
    finally:
        await context.close()
    assert complaints == []
