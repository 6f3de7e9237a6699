"""What a worker has in hand, put on its sheet once a second. No request pays for it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from pathlib import Path
from typing import Final

from strangler.exchange.sheet import INDEX, WORKER, Sheet
from strangler.gateway.copy import held
from strangler.gateway.forward import Forwarder
from strangler.gateway.listener import Listener

#: Seconds between two notes.
EVERY: Final = 1.0
_MEMORY: Final = Path("/proc/self/statm")

_CALLERS, _FEED, _COPIES = INDEX["callers"], INDEX["feed_bytes"], INDEX["copies_bytes"]
_INSTEAD, _RESIDENT, _CPU = INDEX["instead"], INDEX["memory_bytes"], INDEX["cpu_ms"]


class Gauges:
    """The numbers of one worker."""

    def __init__(self, sheet: Sheet, forwarder: Forwarder, listener: Listener) -> None:
        self._counts = sheet.counts
        self._base = sheet.base(WORKER)
        self._forwarder = forwarder
        self._listener = listener

    def note(self) -> None:
        """Write down how things stand."""
        counts, base, forwarder = self._counts, self._base, self._forwarder
        counts[base + _CALLERS] = self._listener.count
        counts[base + _FEED] = forwarder.feed.waiting
        counts[base + _COPIES] = held()
        counts[base + _INSTEAD] = forwarder.instead
        counts[base + _CPU] = int(time.process_time() * 1000.0)
        with contextlib.suppress(OSError):  # not every system has it
            counts[base + _RESIDENT] = int(_MEMORY.read_text().split()[1]) * resource.getpagesize()
        for service in forwarder.running.services.values():
            for endpoint in service.endpoints:
                endpoint.note()

    async def keep_noting(self) -> None:
        """Write it down again and again."""
        while True:
            self.note()
            await asyncio.sleep(EVERY)
