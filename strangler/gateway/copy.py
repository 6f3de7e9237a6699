"""What is kept of an exchange while it passes, so that the other side can be asked the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from strangler.exchange.model import Answer, Exchange
from strangler.http.reading import Head
from strangler.routes import caller_hash

if TYPE_CHECKING:
    from strangler.gateway.passage import Passage

#: A body longer than this is not copied for comparison; the caller gets it all the same.
COPY_LIMIT = 4 * 1024 * 1024
#: All copies in the making, of one worker. A thousand callers of long answers must not fill its memory.
COPIES_LIMIT = 32 * 1024 * 1024


class _Held:
    """How many bytes the copies in the making hold, all together."""

    total = 0


def held() -> int:
    """Bytes that the copies in the making hold."""
    return _Held.total


class Copy:
    """A copy in the making, up to the limit. `skipped` says why it will not be compared."""

    __slots__ = ("at", "body", "request_body", "size", "skipped", "started")

    def __init__(self) -> None:
        self.at = time.time()
        self.started = time.perf_counter()
        self.request_body: list[bytes] = []
        self.body: list[bytes] = []
        self.size = 0
        self.skipped: str | None = None

    def keep(self, parts: list[bytes], data: bytes) -> None:
        """Keep some bytes, or give up on the copy when they are too many."""
        if self.skipped is not None:
            return
        self.size += len(data)
        _Held.total += len(data)
        if self.size > COPY_LIMIT:
            self._give_up("body_too_large")
        elif _Held.total > COPIES_LIMIT:
            self._give_up("queue_full")
        else:
            parts.append(data)

    def _give_up(self, reason: str) -> None:
        self.skipped = reason
        self.body.clear()
        self.request_body.clear()
        _Held.total -= self.size
        self.size = 0

    def __del__(self) -> None:
        # However a passage ends, this is where its copy does.
        _Held.total -= self.size

    def look_at(self, head: Head) -> None:
        """An answer without an end is not compared."""
        for name, value in head.headers:
            if len(name) == 12 and name.lower() == b"content-type":
                if value[:17].lower() == b"text/event-stream":
                    self.skipped = "streaming"
                return

    def exchange(self, passage: Passage, head: Head) -> Exchange:
        """The copy, now that the exchange is over."""
        decision, inbound = passage.decision, passage.inbound
        assert decision.route is not None  # only a route's exchanges are copied
        return Exchange(
            route=decision.route.name,
            side=decision.side,
            method=inbound.method,
            target=inbound.target,
            headers=passage.shared.all,
            body=b"".join(self.request_body),
            caller=caller_hash(decision.identity or passage.caller.client),
            at=self.at,
            answer=Answer(
                head.status,
                tuple(head.headers),
                b"".join(self.body),
                (time.perf_counter() - self.started) * 1000.0,
            ),
        )
