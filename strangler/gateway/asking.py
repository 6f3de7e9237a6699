"""One request on its way to an answer: which endpoint is asked, what it is sent, and who is asked next when it fails.

What is done with the answer is in passage.py. Nothing here waits for anything but the caller and the side that answers
it. There is no task for a request, except while a connection has to be made or waited for: whichever end moves calls.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from strangler.exchange.sheet import FASTEST, GROWTH, INDEX, INSTEAD, SLOWEST
from strangler.gateway import plan as plans
from strangler.gateway.caller import CallerConnection
from strangler.gateway.copy import Copy
from strangler.gateway.inbound import Inbound
from strangler.gateway.instead import ALL_REPLAYABLE, REPLAYABLE, may_ask_another, may_fall_back, may_repeat
from strangler.gateway.services import PATIENCE, Endpoint, Service
from strangler.http.connection import Connection
from strangler.http.errors import OutOfOrder, TimedOut, UpstreamError
from strangler.http.reading import Head
from strangler.routes import Decision, Router

if TYPE_CHECKING:
    from strangler.gateway.forward import Forwarder

_WAIT = {side: INDEX[f"{side}_wait_0"] for side in ("legacy", "extracted")}
_PER_BUCKET = 1 / math.log(GROWTH)
_RETRIED = INDEX["retried"]
_FALLBACK, _REROUTED, _REFUSED = (INDEX[name] for name in INSTEAD)

log = logging.getLogger("strangler.gateway")


@dataclass(frozen=True, slots=True)
class Running:
    """A table in force: its router, a service per upstream, and each route's place on the sheet."""

    router: Router
    services: Mapping[str, Service]
    bases: Mapping[str, int]

    @property
    def legacy(self) -> Service:
        """The service that answers everything that no route has taken over."""
        return self.services[self.router.table.legacy]


class Asking:
    """A request, and who is asked to answer it."""

    # What most passages never change stands here, and costs nothing for each of them.
    _body: bytes | None = None  # the whole framed body, while it is at hand
    _sent = False  # the request is out as a whole
    _connection: Connection | None = None
    _connecting: asyncio.Task[None] | None = None
    _answer: plans.AnswerPlan | None = None
    _head: Head | None = None
    _over = False
    _touched = False  # some of the request has gone out to somebody
    _holds = False  # a place among `limits.fallbacks`
    _endpoint: Endpoint | None = None  # who is being asked
    _tried: tuple[Endpoint, ...] = ()  # who was asked before
    _parts: list[bytes] | None = None  # what has gone out of a body that may have to be sent again
    _kept = 0  # bytes of it
    _asked = 0.0  # when, by the performance counter
    retried = False
    instead = False  # the legacy side is asked in the extracted side's place
    bytes_out = 0
    trace = b""
    started = sent_at = 0.0  # by the performance counter, when there is an access log

    def __init__(
        self,
        forwarder: Forwarder,
        caller: CallerConnection,
        inbound: Inbound,
        decision: Decision,
        shared: plans.Shared,
        running: Running,
        base: int,
        copy: Copy | None,
    ) -> None:
        self.caller = caller
        self.inbound = inbound
        self.decision = decision
        self.shared = shared
        self._forwarder = forwarder
        self._running = running
        self._base = base
        self._copy = copy
        self._request = plans.request_head(decision, inbound, shared)

    def begin(self) -> None:
        """Send the request on its way."""
        if self._forwarder.access.log is not None:
            self.started = time.perf_counter()
        service = self._running.services[self.decision.upstream.name]
        endpoint = service.only
        if endpoint is not None and endpoint.usable:
            self._ask(endpoint)
        else:
            self._choose(service)

    def _choose(self, service: Service) -> None:
        """Ask an endpoint that is in order, or the legacy side, or nobody."""
        falls_back = may_fall_back(self.decision, self.inbound)
        endpoint = service.choose(self._tried, patient=0.0 if falls_back else PATIENCE)
        if endpoint is not None:
            self._ask(endpoint)
            return
        if self.decision.side == "legacy":
            endpoint = service.insist(self._tried)
            if endpoint is not None:
                self._ask(endpoint)
                return
        elif may_fall_back(self.decision, self.inbound, sent=False) and self._asks_legacy(_REROUTED):
            return
        self._fail(OutOfOrder("no endpoint is in order"))

    def _ask(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._asked = time.perf_counter()
        connection = endpoint.pool.take()
        if connection is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(fresh=False))
        else:
            self._send(connection)

    async def _connect(self, *, fresh: bool) -> None:
        assert self._endpoint is not None
        try:
            connection = await self._endpoint.pool.acquire(fresh=fresh)
        except UpstreamError as error:
            self._connecting = None
            self._failed(error)
            return
        self._connecting = None
        try:
            self._send(connection)
        except Exception:
            self._broken()

    def _send(self, connection: Connection) -> None:
        inbound = self.inbound
        if self.started:
            self.sent_at = time.perf_counter()
        self._connection = connection
        connection.on_moved = self.moved
        if not inbound.old:
            connection.on_informational = self._informational
        without_body = inbound.method == "HEAD"
        first, self._touched = not self._touched, True
        if not inbound.has_body or inbound.complete:
            if inbound.has_body and self._body is None:
                kept = b"".join(self._parts or ())
                self._body = kept if self._sent else kept + self._framed()
            request = self._request if self._body is None else self._request + self._body
            connection.begin(request, without_body=without_body, upgrade=inbound.upgrade is not None)
            self._sent = True
        else:
            if first and may_fall_back(self.decision, inbound):
                self._parts = []
            connection.begin(
                self._request + b"".join(self._parts or ()), without_body=without_body, more=True
            )
            self.body_arrived()
            self.caller.taken()

    @property
    def _is_whole(self) -> bool:
        """The request can be sent from its beginning, perhaps once more."""
        return (
            not (self._touched and self.inbound.has_body) or self._body is not None or self._parts is not None
        )

    # -- when it fails -------------------------------------------------------------------------------------

    def _failed(self, error: UpstreamError) -> None:
        """An endpoint has failed. Whoever else may be asked is asked; otherwise the caller learns of it."""
        connection, endpoint = self._connection, self._endpoint
        assert endpoint is not None
        whole = self._is_whole
        if (
            connection is not None
            and not self.retried
            and whole
            and may_repeat(error, self.inbound, connection.exchanges)
        ):
            self._connection = None
            endpoint.pool.release(connection)
            self.retried = True
            self._forwarder.counts[self._base + _RETRIED] += 1
            self._connecting = asyncio.get_running_loop().create_task(self._connect(fresh=True))
            return
        self._forwarder.complain(endpoint.name, error)
        endpoint.failed(error.what)
        if self._answer is None:
            if isinstance(error, TimedOut):
                self._count_wait()  # what fails at once must not make its side look quick
            if whole and may_ask_another(error, self.inbound, sent=connection is not None):
                service, tried = self._running.services[self.decision.upstream.name], (*self._tried, endpoint)
                other = service.choose(tried)
                if other is None and self.decision.side == "legacy":
                    other = service.insist(tried)
                if other is not None:
                    self._drop()
                    self._tried = tried
                    self._ask(other)
                    return
            if self.decision.side == "extracted" and self._falls_back():
                return
        self._fail(error)

    def _falls_back(self) -> bool:
        """Ask the legacy side for what the extracted side has failed to answer, if that may be."""
        may = may_fall_back(self.decision, self.inbound, sent=self._touched)
        return self._is_whole and may and self._asks_legacy(_FALLBACK)

    def _asks_legacy(self, how: int) -> bool:
        """The legacy side answers in the extracted side's place. False when it has too much of that already."""
        forwarder = self._forwarder
        if forwarder.instead >= forwarder.limits.fallbacks:
            forwarder.counts[self._base + _REFUSED] += 1
            return False
        forwarder.instead += 1
        forwarder.counts[self._base + how] += 1
        self.instead = self._holds = True
        self._drop()
        legacy = self._running.legacy
        self.decision = msgspec.structs.replace(self.decision, side="legacy", upstream=legacy.upstream)
        self._request = plans.request_head(self.decision, self.inbound, self.shared)
        self._tried, self.retried = (), False
        if self._copy is not None:
            self._copy.started = time.perf_counter()
        self._choose(legacy)
        return True

    def _drop(self) -> None:
        """Whatever the connection still carries is nobody's."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        assert self._endpoint is not None
        if connection.complete and self._sent:
            connection.read_now()  # a whole answer that nobody wants leaves the connection as good as it was
        else:
            connection.abort()
        self._endpoint.pool.release(connection)

    def _keep(self, parts: list[bytes], data: bytes) -> None:
        """Keep what goes out of a body, as long as there is room for it."""
        parts.append(data)
        self._kept += len(data)
        self._forwarder.kept += len(data)
        if self._kept > REPLAYABLE or self._forwarder.kept > ALL_REPLAYABLE:
            self._parts = None
            self._give_back()

    def _give_back(self) -> None:
        """Give back what this request holds of what all of them share."""
        self._forwarder.kept -= self._kept
        self._kept = 0
        if self._holds and self._over:
            self._holds = False
            self._forwarder.instead -= 1

    def _count_wait(self) -> None:
        waited = (time.perf_counter() - self._asked) * 1000.0
        bucket = math.ceil(math.log(waited) * _PER_BUCKET) if waited > 0 else FASTEST
        bucket = FASTEST if bucket < FASTEST else SLOWEST if bucket > SLOWEST else bucket
        self._forwarder.counts[self._base + _WAIT[self.decision.side] + bucket] += 1

    # -- the request ---------------------------------------------------------------------------------------

    def body_arrived(self) -> None:
        """Send what has arrived of the body, at the pace of the slower of caller and upstream."""
        connection = self._connection
        if connection is None or self._sent or connection.writing_paused:
            return
        inbound = self.inbound
        if inbound.chunks or inbound.complete:
            if data := self._framed():
                connection.write(data)
                if self._parts is not None:
                    self._keep(self._parts, data)
            if inbound.complete:
                self._sent = True
                connection.sent()

    def _framed(self) -> bytes:
        """What has arrived of the body, as it goes upstream."""
        inbound = self.inbound
        data = inbound.take()
        if self._copy is not None and data:
            self._copy.keep(self._copy.request_body, data)
        if not inbound.chunked:
            return data
        framed = plans.chunk(data) if data else b""
        return framed + plans.last_chunk(inbound.trailers) if inbound.complete else framed

    # -- what the other half does ------------------------------------------------------------------------

    def moved(self) -> None:
        """Something has happened on the upstream's connection."""
        raise NotImplementedError

    def _informational(self, head: Head) -> None:
        raise NotImplementedError

    def _fail(self, error: UpstreamError) -> None:
        raise NotImplementedError

    def _broken(self) -> None:
        raise NotImplementedError
