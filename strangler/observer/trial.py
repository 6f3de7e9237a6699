"""One exchange under comparison: its route's rules applied to answers of either side. Nothing here waits."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from strangler.compare import (
    Answered,
    Bridge,
    Comparison,
    Difference,
    Incomparable,
    Redactor,
    Rules,
    bridged,
    compare,
    compile_rules,
    compile_side,
    fingerprint,
)
from strangler.evidence import Example, Probe, example
from strangler.evidence.observation import TARGET_LIMIT
from strangler.exchange.model import Answer, Exchange
from strangler.observer.copy import writes
from strangler.routes import Bridge as Bridges
from strangler.routes import CompareRules, Route, Side, Table

T = TypeVar("T")

NO_BRIDGE = Bridges()
#: How long one pair may be compared, in seconds of this thread's own time.
PATIENCE = 0.25


class Trial:
    """An exchange, the route and table it is judged by, and the key of the evidence."""

    def __init__(self, table: Table, route: Route, exchange: Exchange, key: bytes) -> None:
        self.table = table
        self.route = route
        self.exchange = exchange
        self.other: Side = "legacy" if exchange.side == "extracted" else "extracted"
        """The side that did not answer the caller."""
        self.is_safe = not writes(exchange)
        self._key = key
        self._rules = _rules(route.compare)
        self._redactor = _redactor(key, route.compare.redact)

    @property
    def request(self) -> int:
        """What is the same for the same request, and says nothing about it: 64 bits."""
        exchange = self.exchange
        return self.hashed(b"\0".join((exchange.method.encode(), exchange.target.encode(), exchange.body)))

    @property
    def target(self) -> str:
        """What was asked, when it can be asked again: it changes nothing, and there is nothing in it to redact."""
        exchange = self.exchange
        if not self.is_safe or exchange.body or self._redactor.text(exchange.target) != exchange.target:
            return ""
        return exchange.target if len(exchange.target) <= TARGET_LIMIT else ""

    def hashed(self, data: bytes) -> int:
        """A keyed hash of 64 bits."""
        return int.from_bytes(hashlib.blake2b(data, key=self._key, digest_size=8).digest(), "big")

    def sides(self, answering: T, other: T) -> tuple[T, T]:
        """The two as (legacy, extracted)."""
        return (answering, other) if self.exchange.side == "legacy" else (other, answering)

    def compare(self, answering: Answer, other: Answer) -> Comparison:
        """The answer of the side that answered, and that of the other side. Raises Incomparable."""
        legacy, extracted = self.sides(_answered(answering), _answered(other))
        bridge = self.route.compare.bridge
        if bridge == NO_BRIDGE:
            return self._compared(legacy, extracted)
        return bridged(legacy, extracted, _bridge(bridge), self._compared)

    def _compared(self, legacy: Answered, extracted: Answered) -> Comparison:
        return compare(legacy, extracted, self._rules, self._redactor, _overdue_after(PATIENCE))

    def probe(self, second: Answer, sides: tuple[Difference, ...]) -> Probe | None:
        """In what the answering side differs from itself; None when that cannot be compared."""
        bridge = self.route.compare.bridge
        own = _bridge(Bridges(*[getattr(bridge, self.exchange.side)] * 2))  # both are of this side's shape
        try:
            found = bridged(_answered(self.exchange.answer), _answered(second), own, self._compared)
        except Incomparable:
            return None
        return Probe(found.differences, sides)

    def fingerprint(self, difference: Difference) -> str:
        """The identity of a difference on this route."""
        return fingerprint(self.exchange.route, self.exchange.method, difference)

    def example(self, answering: Answer, other: Answer) -> Example:
        """Both answers as they are kept: redacted."""
        legacy, extracted = self.sides(_answered(answering), _answered(other))
        return example(self.exchange.method, self.exchange.target, legacy, extracted, self._redactor)


def _overdue_after(patience: float) -> Callable[[], bool]:
    end = time.thread_time() + patience
    return lambda: time.thread_time() > end


@lru_cache(maxsize=1024)
def _bridge(bridge: Bridges) -> Bridge:
    sides = [
        compile_side(side.headers.set, side.headers.remove, side.body)
        for side in (bridge.legacy, bridge.extracted)
    ]
    return Bridge(*sides)


@lru_cache(maxsize=1024)
def _rules(rules: CompareRules) -> Rules:
    return compile_rules(rules.ignore, rules.only, rules.unordered, rules.keyed, rules.tolerance)


@lru_cache(maxsize=1024)
def _redactor(key: bytes, redact: tuple[str, ...]) -> Redactor:
    return Redactor(key, compile_rules(redact))


def _answered(answer: Answer) -> Answered:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
    return Answered(answer.status, headers, answer.body)
