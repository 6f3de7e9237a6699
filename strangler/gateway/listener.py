"""aiohttp's low-level server, with connections of our own making.

The server keeps the connections and closes them at the end; what is read from them and written to them is
`caller.py`'s. aiohttp's own connection class runs a task for each request and hands its body over through a queue;
that costs more than all of our own work on a request (docs/decisions/0007-callbacks.md).
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from strangler.exchange.sheet import WORKER, Sheet
from strangler.gateway.caller import CallerConnection, Handler

log = logging.getLogger("strangler.gateway")


class Listener(web.Server):
    """The connections of one worker's callers. `turned_away` counts those that were one too many."""

    def __init__(self, handler: Handler, sheet: Sheet) -> None:
        super().__init__(_unused)  # requests never come as far as aiohttp's handlers
        self._handler = handler
        self._sheet = sheet
        self.count = 0  # connections open now
        self.turned_away = 0

    def __call__(self) -> Any:
        """A protocol for one caller's connection."""
        return CallerConnection(self, self._handler)

    def turn_away(self) -> None:
        """One connection too many. The first is worth a line in the log, then one in a thousand."""
        if self.turned_away % 1000 == 0:
            log.warning("all %d connections are taken; turned away: %d", self.count - 1, self.turned_away + 1)
        self.turned_away += 1
        self._sheet.add(WORKER, "turned_away")

    def opened(self, connection: Any) -> None:
        """A caller has connected."""
        self.count += 1
        self._connections[connection] = connection.transport

    def closed(self, connection: Any) -> None:
        """A caller's connection is gone."""
        if self._connections.pop(connection, None) is not None:
            self.count -= 1


async def _unused(request: Any) -> Any:
    raise NotImplementedError
