"""From an exchange to an observation: send the shadow, compare the answers, record the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import lru_cache

from strangler.compare import (
    Answered,
    Bridge,
    Difference,
    Incomparable,
    Redactor,
    Rules,
    bridged,
    compare,
    compile_rules,
    compile_side,
)
from strangler.evidence import Observation, Outcome, Releases, Store, example
from strangler.exchange.model import Answer, Exchange
from strangler.http.headers import first
from strangler.observer.copy import NoShadow
from strangler.observer.mirror import Mirror
from strangler.routes import Bridge as BridgeText
from strangler.routes import Route, Table

#: The header in which a side names the version that answered.
RELEASE_HEADER = b"x-release"

NO_BRIDGE = BridgeText()

log = logging.getLogger("strangler.observer")


class Pipeline:
    """Takes exchanges and records observations. `table` is replaced whole when the running table changes."""

    def __init__(self, table: Table, store: Store, mirror: Mirror) -> None:
        self.table = table
        self.unrecorded = (
            0  # observations that the store could not take: they show as pending, never as compared
        )
        self._store = store
        self._mirror = mirror
        self._releases: dict[str, str] = {}  # the last release each upstream named
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, worker: str, exchange: Exchange, done: Callable[[], None]) -> None:
        """Start on an exchange; `done` is called when it has been recorded."""
        task = asyncio.get_running_loop().create_task(self._observe(worker, exchange))
        self._tasks.add(task)

        def settle(finished: asyncio.Task[None]) -> None:
            self._tasks.discard(finished)
            done()

        task.add_done_callback(settle)

    async def _observe(self, worker: str, exchange: Exchange) -> None:
        table = self.table
        route = table.route(exchange.route)
        try:
            observation = await self._observation(table, route, worker, exchange)
        except Exception:
            log.exception("could not compare an exchange of route %s", exchange.route)
            observation = self._skipped(table, route, worker, exchange, "observer_failed")
        if not self._store.record(observation):
            self.unrecorded += 1

    async def _observation(
        self, table: Table, route: Route | None, worker: str, exchange: Exchange
    ) -> Observation:
        if route is None:
            return self._skipped(table, None, worker, exchange, "route_gone")
        self._note_release(table, route, exchange.side, exchange.answer)
        try:
            shadow = await self._mirror.ask(table, route, exchange)
        except NoShadow as error:
            return self._skipped(table, route, worker, exchange, error.reason)
        other = "legacy" if exchange.side == "extracted" else "extracted"
        self._note_release(table, route, other, shadow)
        legacy, extracted = (
            (exchange.answer, shadow) if exchange.side == "legacy" else (shadow, exchange.answer)
        )
        ours, theirs = _answered(legacy), _answered(extracted)
        redactor = _redactor(self._store.key, route.compare.redact)
        try:
            differences = _differences(route, ours, theirs, redactor)
        except Incomparable as error:
            return self._skipped(table, route, worker, exchange, error.reason)
        outcome: Outcome = "mismatch" if differences else "match"
        return Observation(
            route=exchange.route,
            method=exchange.method,
            target="",  # an example carries it, redacted
            at=exchange.at,
            releases=self._pair(table, route),
            outcome=outcome,
            worker=worker,
            differences=differences,
            statuses=(legacy.status, extracted.status),
            latency_ms=(legacy.milliseconds, extracted.milliseconds),
            caller=exchange.caller,
            example=example(exchange.method, exchange.target, ours, theirs, redactor)
            if differences
            else None,
        )

    def _skipped(
        self, table: Table, route: Route | None, worker: str, exchange: Exchange, reason: str
    ) -> Observation:
        return Observation(
            route=exchange.route,
            method=exchange.method,
            target=exchange.target,
            at=exchange.at,
            releases=self._pair(table, route) if route is not None else Releases("", ""),
            outcome="skipped",
            worker=worker,
            reason=reason,
            caller=exchange.caller,
        )

    def _note_release(self, table: Table, route: Route, side: str, answer: Answer) -> None:
        upstream = table.legacy if side == "legacy" else route.extracted
        named = first(answer.headers, RELEASE_HEADER)
        self._releases[upstream] = named.decode("latin-1")[:100] if named else ""

    def _pair(self, table: Table, route: Route) -> Releases:
        return Releases(self._releases.get(table.legacy, ""), self._releases.get(route.extracted, ""))


def _differences(
    route: Route, legacy: Answered, extracted: Answered, redactor: Redactor
) -> tuple[Difference, ...]:
    rules = _rules(route.compare.ignore)
    if route.compare.bridge == NO_BRIDGE:
        return compare(legacy, extracted, rules, redactor)
    return bridged(
        legacy,
        extracted,
        _bridge(route.compare.bridge),
        lambda one, other: compare(one, other, rules, redactor),
    )


@lru_cache(maxsize=1024)
def _bridge(bridge: BridgeText) -> Bridge:
    sides = [
        compile_side(side.headers.set, side.headers.remove, side.body)
        for side in (bridge.legacy, bridge.extracted)
    ]
    return Bridge(*sides)


@lru_cache(maxsize=1024)
def _rules(ignore: tuple[str, ...]) -> Rules:
    return compile_rules(ignore)


@lru_cache(maxsize=1024)
def _redactor(key: bytes, redact: tuple[str, ...]) -> Redactor:
    return Redactor(key, compile_rules(redact))


def _answered(answer: Answer) -> Answered:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
    return Answered(answer.status, headers, answer.body)
