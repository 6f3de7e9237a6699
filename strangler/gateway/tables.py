"""Tables on their way into force: made ready beside the loop, then swapped in one step.

A table of ten thousand routes takes half a second to compile. Callers wait for none of it: a thread does it
(docs/decisions/0008-reload.md).
"""

from __future__ import annotations

import asyncio

from strangler.control import aside
from strangler.exchange.sheet import Sheet, row_of
from strangler.gateway.health import Checks
from strangler.gateway.passage import Running
from strangler.gateway.services import Services
from strangler.http.pools import Pools
from strangler.routes import Router, Table, Upstream

#: Names that are entered on the sheet before callers have their turn again.
SLICE = 500


class Tables:
    """Makes tables ready. Pools of upstreams that did not change go on from table to table."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._pools: Pools[Upstream] = Pools(lambda upstream: upstream.connections)
        self._services = Services(sheet)
        self._checks = Checks()

    async def ready(self, table: Table) -> Running:
        """The table, ready to be used. Raises TlsFault when an upstream's TLS files cannot be used, SheetFull.

        When it raises, everything is as before.
        """
        router = await aside(Router, table)
        places = {key: place for each in table.upstreams.values() for key, place in each.apart().items()}
        made = await aside(self._pools.make, places)
        bases = {"": self._sheet.base("")}
        for number, route in enumerate(table.routes):
            bases[route.name] = self._sheet.base(route.name)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        for key in places:  # a sheet that is full must show before anything is in use
            self._sheet.base(row_of(key))
        services = self._services.use(table.upstreams, self._pools.use(made))
        self._checks.use(self._services.checked)
        return Running(router, services, bases)

    def close(self) -> None:
        """Close every connection that carries nothing, and ask nobody how it is any more."""
        self._checks.stop()
        self._pools.close()
