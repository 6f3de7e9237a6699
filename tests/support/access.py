"""An access log as the tests read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from strangler.gateway.access import Line
from tests.support.raw import until


class Read:
    """A log's lines as they are written. Each of them is JSON, or the test fails."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def top(self) -> str:
        return f"access_log: {self.path}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        text = self.path.read_bytes()
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]

    async def first(self, count: int = 1) -> list[dict[str, Any]]:
        """As many lines, once they are there."""
        await until(lambda: len(self.lines) >= count)
        return self.lines


def now() -> str:
    """As the log says it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line(target: str = "/") -> Line:
    return Line(
        *("2026-01-01T00:00:00.000Z", None, None, None, None, "GET", target, 200, "127.0.0.1"),
        *(None, None, 0.5, 0, 0, False, False, False, "ok"),
    )
