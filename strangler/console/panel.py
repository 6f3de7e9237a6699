"""What the console asks of the process that it runs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from strangler.evidence import Lately, Releases
from strangler.routes import Table


class Panel(Protocol):
    """The running observer, as the console knows it.

    `report` and `metrics` may read files, `lately` may have much to add up: they are called in a thread. The other
    methods answer at once, on the loop.
    """

    routes_file: Path
    state: Path
    token: str | None

    def table(self) -> Table:
        """The running table."""
        ...

    def faults(self) -> list[str]:
        """The faults of the last save of routes.yaml as lines, empty when it was good."""
        ...

    def out(self) -> frozenset[str]:
        """The names of the upstreams that are out of order, by their health checks and breakers, in some worker."""
        ...

    def report(self, route: str | None, releases: Releases | None = None) -> dict[str, Any]:
        """The report of the fixed shape on one route, or on all; on one perhaps at a pair of releases of the past."""
        ...

    def lately(self) -> Lately:
        """What has passed in the last minute and the last hour."""
        ...

    def metrics(self, report: dict[str, Any] | None) -> bytes:
        """The Prometheus text, with what a report on all routes says; None when it could not be had."""
        ...

    def ready(self) -> bool:
        """Whether the process does its work."""
        ...


#: Where the application keeps its panel.
PANEL = web.AppKey("panel", Panel)
