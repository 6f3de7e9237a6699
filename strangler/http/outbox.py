"""Writes of one turn of the loop, sent together at its end.

A write wakes the process at the other end, and waking costs more than writing. When many connections have something
to read, their writes follow each other closely enough that one waking does for several; and what is written to one
connection in parts leaves as one. A single write waits for nothing: the turn ends right behind it
(docs/decisions/0007-callbacks.md has the figures).
"""

from __future__ import annotations

import asyncio
from typing import Final

#: So many bytes need no company: they are sent at once, and the peer's pace is felt at once (bytes).
ENOUGH: Final = 32 * 1024


class Outbox:
    """The connections of a loop that have something to send."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Sender] = []

    def add(self, sender: Sender) -> None:
        """`flush` will be called at the end of this turn, once for each time it was added."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(sender)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for sender in waiting:
            sender.flush()


class Sender:
    """A connection that sends through its loop's outbox."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._out = b""  # written in this turn of the loop, and not sent yet
        self._outbox = _outbox()

    def push(self, data: bytes) -> None:
        """Send some bytes at the end of this turn; at once when they are many."""
        if self._out:
            self._out += data
        else:
            self._out = data
            self._outbox.add(self)
        if len(self._out) > ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Send what was written in this turn."""
        out, self._out = self._out, b""
        if out and self.transport is not None:
            self.transport.write(out)


_outboxes: dict[asyncio.AbstractEventLoop, Outbox] = {}


def _outbox() -> Outbox:
    """The running loop's."""
    loop = asyncio.get_running_loop()
    found = _outboxes.get(loop)
    if found is None:
        for old in [old for old in _outboxes if old.is_closed()]:
            del _outboxes[old]
        found = _outboxes[loop] = Outbox(loop)
    return found
