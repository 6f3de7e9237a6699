"""Tables on their way into force: made ready beside the loop, then swapped in one step.

A table of ten thousand routes takes half a second to compile. Callers wait for none of it: a thread does it
(docs/decisions/0008-reload.md).
"""

from __future__ import annotations

import asyncio

from strangler.control import aside
from strangler.exchange.sheet import Sheet
from strangler.gateway.passage import Running
from strangler.http.pools import Pools
from strangler.routes import Router, Table, Upstream

#: Names that are entered on the sheet before callers have their turn again.
SLICE = 500


class Tables:
    """Makes tables ready. Pools of upstreams that did not change go on from table to table."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._pools: Pools[Upstream] = Pools(lambda upstream: upstream.connections)

    async def ready(self, table: Table) -> Running:
        """The table, ready to be used. Raises TlsFault when an upstream's TLS files cannot be used, SheetFull.

        When it raises, everything is as before.
        """
        router = await aside(Router, table)
        made = await aside(self._pools.make, table.upstreams)
        bases = {"": self._sheet.base("")}
        for number, route in enumerate(table.routes):
            bases[route.name] = self._sheet.base(route.name)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        return Running(router, self._pools.use(made), bases)

    def close(self) -> None:
        """Close every connection that carries nothing."""
        self._pools.close()
