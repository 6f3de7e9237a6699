"""The handler behind the listener: which side answers, what it is sent, and what is written down of it."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable

from strangler.exchange.sheet import INDEX, Sheet
from strangler.gateway import plan as plans
from strangler.gateway.access import Access, refusal_for
from strangler.gateway.caller import CallerConnection
from strangler.gateway.copy import Copy
from strangler.gateway.feed import Feed
from strangler.gateway.inbound import Inbound, Refused
from strangler.gateway.passage import Passage, Running
from strangler.http import trace
from strangler.http.errors import UpstreamError
from strangler.routes import Limits

__all__ = ["Forwarder", "Running"]

_ELIGIBLE = INDEX["eligible"]
#: Seconds between two lines in the log about one upstream's failures.
COMPLAINT = 10.0

log = logging.getLogger("strangler.gateway")


def mint() -> str:
    """A new identity, for a caller who brought none."""
    return secrets.token_hex(16)


class Forwarder:
    """Begins passages."""

    def __init__(
        self,
        running: Running,
        sheet: Sheet,
        feed: Feed,
        draining: Callable[[], bool],
        access: Access,
    ) -> None:
        self.use(running)
        self.counts = sheet.counts
        self.feed = feed
        self.draining = draining
        self.access = access
        self.instead = 0  # requests that the legacy side is answering in an extracted side's place
        self.kept = 0  # bytes of bodies that are kept to be sent again
        self._complaints: dict[str, tuple[float, int]] = {}

    def use(self, running: Running) -> None:
        """From now on requests are answered by this table."""
        self.running = running
        self.limits: Limits = running.router.table.limits

    def handle(self, caller: CallerConnection, inbound: Inbound) -> Passage:
        """Begin to answer a request."""
        if not inbound.host and b"host" not in inbound.names:
            inbound.name_host(caller.authority)
        running = self.running  # a request keeps the table it began with
        router = running.router
        decision = router.decide(inbound, mint)
        traced, begun = _trace(inbound, router.table.trace)
        shared = plans.shared_fields(
            inbound,
            peer=caller.peer,
            scheme=caller.scheme,
            believed=router.trusts(caller.client),
            begun=begun,
        )
        base = running.bases[decision.route.name if decision.route else ""]
        copy = None
        if decision.shadow and inbound.upgrade is None:
            copy = Copy()
            self.counts[base + _ELIGIBLE] += 1
        passage = Passage(self, caller, inbound, decision, shared, running, base, copy)
        passage.trace = traced or begun
        passage.begin()
        return passage

    def complain(self, upstream: str, error: UpstreamError) -> None:
        """Say in the log why an upstream failed: at once, and then no more than every COMPLAINT seconds."""
        now = time.monotonic()
        said, missed = self._complaints.get(upstream, (-COMPLAINT, 0))
        if now - said < COMPLAINT:
            self._complaints[upstream] = said, missed + 1
            return
        self._complaints[upstream] = now, 0
        more = f" (and {missed} more since the last of these lines)" if missed else ""
        log.warning("upstream %s %s: %s%s", upstream, error.what, error, more)

    def refused(self, caller: CallerConnection, inbound: Inbound, refused: Refused) -> None:
        """A request that went nowhere is in the access log all the same."""
        writer = self.access.log
        if writer is not None:
            writer.write(refusal_for(writer, caller, inbound, refused.status))


def _trace(inbound: Inbound, share: int | None) -> tuple[bytes, bytes]:
    """The request's own traceparent and the one that we begin; one of them is empty, or both."""
    if b"traceparent" in inbound.names:
        given = inbound.every(b"traceparent")
        if len(given) == 1 and trace.trace_id(given[0]) is not None:
            return given[0], b""
    return b"", b"" if share is None else trace.begin(random.getrandbits(192), share)
