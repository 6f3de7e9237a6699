"""Which requests the legacy side may answer when the extracted side does not. Pure.

The caller has seen nothing of the extracted side's answer, and the request can be sent as a whole once more: then the
legacy side is asked instead (docs/decisions/0014-fallback.md).
"""

from __future__ import annotations

from strangler.gateway.inbound import Inbound
from strangler.gateway.plan import IDEMPOTENT
from strangler.http.errors import ConnectFailed, NoConnectionFree, Stale, TimedOut, UpstreamError
from strangler.routes import Decision, may_write

#: A longer body is not kept to be sent again (bytes).
REPLAYABLE = 1024 * 1024
#: Nor are they, all together, of one worker: a thousand callers must not fill its memory.
ALL_REPLAYABLE = 32 * 1024 * 1024

#: Statuses that say of a service that it cannot answer now: its breaker counts them.
UNABLE = frozenset({502, 503, 504})
#: Statuses with which the extracted side has failed its caller, who is better served by the legacy side.
FAILED = UNABLE | {500}


def may_fall_back(decision: Decision, inbound: Inbound, *, sent: bool = True) -> bool:
    """Whether the route lets the legacy side answer this request, once the extracted side has failed.

    `sent`: some of the request had gone out. Before that any may be answered by the legacy side, since nobody has
    carried it out.
    """
    route = decision.route
    if route is None or decision.side != "extracted":
        return False
    if not sent:
        return route.fallback is not False
    if inbound.upgrade is not None:
        return False
    if route.fallback is None:
        return not may_write(inbound.method, inbound.header)
    return route.fallback


def may_ask_another(error: UpstreamError, inbound: Inbound, *, sent: bool) -> bool:
    """Whether another endpoint of the same upstream may be asked. `sent`: some of the request had gone out.

    Before anything was sent, any request may be (RFC 9110 section 9.2.2 is about those that may have been carried
    out). Afterwards an idempotent one, unless it was the answer that did not come in time: waiting as long again for
    another endpoint helps nobody.
    """
    if isinstance(error, NoConnectionFree | ConnectFailed) or not sent:
        return True
    return inbound.method in IDEMPOTENT and not isinstance(error, TimedOut)


def may_repeat(error: UpstreamError, inbound: Inbound, exchanges: int) -> bool:
    """Whether to ask the same endpoint again: it had closed a kept-alive connection just when we used it."""
    return isinstance(error, Stale) and exchanges > 1 and inbound.method in IDEMPOTENT
