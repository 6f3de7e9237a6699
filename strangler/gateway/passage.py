"""One request from a caller to a side and the answer back, streamed both ways as it comes.

Who is asked is in asking.py; what becomes of the answer is here. The caller's answer is sacred: nothing waits for
anything but the caller and the side that answers it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from strangler.exchange.sheet import INDEX
from strangler.gateway import plan as plans
from strangler.gateway.access import line_for
from strangler.gateway.asking import Asking, Running
from strangler.gateway.copy import Copy
from strangler.gateway.inbound import Refused
from strangler.gateway.instead import FAILED, UNABLE
from strangler.gateway.tunnel import Tunnel
from strangler.http.connection import Connection
from strangler.http.errors import Malformed, UpstreamError
from strangler.http.reading import Head

if TYPE_CHECKING:
    pass

_STATUS = {side: INDEX[f"{side}_1xx"] - 1 for side in ("legacy", "extracted")}
_FAILED = {side: INDEX[f"{side}_failed"] for side in ("legacy", "extracted")}

__all__ = ["Passage", "Running"]

log = logging.getLogger("strangler.gateway")


class Passage(Asking):
    """One request on its way."""

    @property
    def shadow(self) -> bool:
        """A copy goes to the other side."""
        return self._copy is not None

    def refuse(self, refused: Refused) -> None:
        """The rest of the request cannot be accepted: its side gets no half of it that looks whole."""
        self._skip("caller_left")
        self._let_go()
        self._note(refused.status, "refused")
        if self._answer is not None:
            self.caller.reset()
        else:
            self.caller.refuse(refused)

    # -- the answer ----------------------------------------------------------------------------------------

    def moved(self) -> None:
        """Something has happened on the upstream's connection."""
        connection = self._connection
        if connection is None:
            return
        try:
            if not self._sent and not connection.writing_paused and connection.error is None:
                self.body_arrived()
                self.caller.taken()
            if connection.error is not None:
                self._failed(connection.error)
            elif connection.head is not None:
                if self._answer is None:
                    self._begin_answer(connection, connection.head)
                elif not self.caller.writing_paused:
                    self._go_on(connection, self._answer)
        except Exception:
            self._broken()

    def _begin_answer(self, connection: Connection, head: Head) -> None:
        inbound, caller = self.inbound, self.caller
        if head.status == 101:
            if connection.switched is not None:
                self._switch(connection, head, connection.switched)
            return
        if self._wait(head.status):
            return
        self._head = head
        # While the caller is still sending, the rest cannot be told from a next request: the connection ends.
        close = not inbound.keep_alive or not inbound.complete or self._forwarder.draining()
        answer = self._answer = plans.answer_plan(
            head,
            method=inbound.method,
            http_1_0=inbound.old,
            close=close,
            minted=self.decision.minted,
            secure=caller.scheme == b"https",
        )
        if self._copy is not None:
            self._copy.look_at(head)
        self._go_on(connection, answer, answer.head)

    def _wait(self, status: int) -> bool:
        """Count how long the head took. True when it was bad news, and the legacy side is asked instead."""
        endpoint, side = self._endpoint, self.decision.side
        assert endpoint is not None
        self._count_wait()
        if status < 500:
            endpoint.answered()
            return False
        if status in UNABLE:
            endpoint.failed(f"it answered {status}")
        else:
            endpoint.answered()
        return side == "extracted" and status in FAILED and self._falls_back()

    def _go_on(self, connection: Connection, answer: plans.AnswerPlan, out: bytes = b"") -> None:
        """Write what has arrived. A short answer goes out, head and all, in one write."""
        if not answer.without_body and (data := connection.read_now()):
            self.bytes_out += len(data)
            if self._copy is not None:
                self._copy.keep(self._copy.body, data)
            out += plans.chunk(data) if answer.chunked else data
        if connection.complete:
            if answer.chunked:
                out += plans.last_chunk(connection.trailers)
            if out:
                self.caller.write(out)
            self._done(connection, answer.close)
        elif out:
            self.caller.write(out)

    def writable(self) -> None:
        """The caller reads again."""
        self.moved()

    def _informational(self, head: Head) -> None:
        """A 1xx answer goes on as it comes (RFC 9110 section 15.2); it is not the answer."""
        self.caller.write(plans.informational(head))
        self.caller.started = False

    def _done(self, connection: Connection, close: bool) -> None:
        assert self._head is not None
        self._over = True
        self._connection = None
        if not self._sent:
            connection.sending = True  # an answer before its request was whole: the connection cannot go on
            if self._copy is not None and self._copy.skipped is None:
                self._copy.skipped = "request_cut"  # the other side would take half a body for a whole one
        self._release(connection)
        self._count(self._head.status)
        self._note(self._head.status, "ok")
        if self._copy is not None:
            self._hand_over(self._copy, self._head)
        self.caller.answered(close=close)

    def _switch(self, connection: Connection, head: Head, early: bytes) -> None:
        """The upstream speaks another protocol from here on: bytes go both ways (RFC 9110 section 7.8)."""
        answer = plans.switching(head, self.inbound.upgrade or b"")
        if answer is None:
            self._failed(Malformed("switched to a protocol that nobody asked for"))
            return
        assert self._endpoint is not None
        self._endpoint.answered()
        self._over = True
        self._give_back()
        self._connection = None
        self._count(101)
        self.caller.write(answer)

        def ended(up: int, down: int) -> None:
            self.inbound.size, self.bytes_out = up, down
            self._note(101, "ok")

        # Its place in the pool is free once the connection is lost.
        Tunnel(self.caller, connection, self._endpoint.pool.times.tunnel, ended).open(early)

    # -- endings -------------------------------------------------------------------------------------------

    def caller_lost(self) -> None:
        """The caller has left, and takes the request to the upstream with it."""
        if self._over:
            return
        self._skip("caller_left")
        self._note(self._head.status if self._head else 0, "caller_left")
        if self._endpoint is not None and self._answer is None:
            self._endpoint.left()
            if self.inbound.complete or not self.inbound.has_body:
                self._count_wait()  # at least so long: a side that nobody has the patience for must not look quick
        self._let_go()

    def _let_go(self) -> None:
        """Give up: the upstream's connection cannot be used again."""
        self._over = True
        if self._connecting is not None:
            self._connecting.cancel()
        self._drop()
        self._give_back()

    def _release(self, connection: Connection) -> None:
        assert self._endpoint is not None
        self._endpoint.pool.release(connection)
        self._give_back()

    def _fail(self, error: UpstreamError) -> None:
        """The one place where an upstream's failure becomes an answer, or a reset when one had begun."""
        self._skip("no_answer")
        self._let_go()
        self._forwarder.counts[self._base + _FAILED[self.decision.side]] += 1
        if self._answer is not None:
            self._note(self._head.status if self._head else 0, "reset")
            self.caller.reset()
            return
        self._note(error.status, "no_answer")
        close = not self.inbound.keep_alive or not self.inbound.complete or self._forwarder.draining()
        self.caller.write(self._problem(error, close))
        self.caller.answered(close=close)

    def _problem(self, error: UpstreamError, close: bool) -> bytes:
        decision = self.decision
        name = decision.route.name if decision.route else None
        where = f", the {decision.side} side of route {name}," if name else ", the legacy side,"
        return plans.problem(
            error.status,
            f"{decision.upstream.name}{where} {error.what}.",
            close=close,
            without_body=self.inbound.method == "HEAD",
            extra={"upstream": decision.upstream.name, "route": name or "(legacy)"},
            headers=b"Retry-After: 1\r\n" if error.status == 503 else b"",
        )

    def _broken(self) -> None:
        """A fault of ours. The caller is told, as far as that is still possible."""
        log.exception("Could not answer %s %s", self.inbound.method, self.inbound.target)
        if self._over:
            self.caller.reset()
            return
        self._skip("no_answer")
        self._let_go()
        self._note(500, "failed")
        if self.caller.started:
            self.caller.reset()
        else:
            self.caller.refuse(Refused(500, "The proxy failed on this request. It has been logged."))

    # -- counting ------------------------------------------------------------------------------------------

    def _count(self, status: int) -> None:
        self._forwarder.counts[
            self._base + _STATUS[self.decision.side] + (status // 100 if status < 600 else 5)
        ] += 1

    def _skip(self, reason: str) -> None:
        if self._copy is not None:
            self._forwarder.counts[self._base + INDEX[reason]] += 1

    def _hand_over(self, copy: Copy, head: Head) -> None:
        if copy.skipped is not None:
            self._skip(copy.skipped)
        else:
            self._forwarder.feed.offer(copy.exchange(self, head), self._base)

    def _note(self, status: int, end: str) -> None:
        """A line in the access log, when there is one."""
        writer = self._forwarder.access.log
        if writer is not None:
            writer.write(line_for(writer, self, status, end))
