"""Asking again: recorded requests, sent to both sides, and observed like any exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from strangler.evidence import Observation, Releases, Store
from strangler.exchange.model import Answer, Exchange, Headers
from strangler.observer.copy import NoShadow
from strangler.observer.mirror import Mirror
from strangler.observer.pipeline import Pipeline
from strangler.routes import Matcher, Route, Table, Upstream, may_write

#: The worker that a replay's observations are booked under.
WORKER = "replay"
_AGAINST = "the address that is asked"
_NONE = Answer(0, (), b"", 0.0)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to ask again. Without an `answer` the legacy side is asked for one now."""

    at: float
    method: str
    target: str
    headers: Headers
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The requests that can be asked again, by route, and how many cannot, by reason."""

    exchanges: Sequence[tuple[Exchange, bool]]  # whether it has its answer
    left_out: dict[str, int]


def against(table: Table, extracted: Upstream, legacy: Upstream | None) -> Table:
    """The table in which every route is taken over by the service at one address, and nothing is ever written."""
    upstreams = {**table.upstreams, _AGAINST: replace(extracted, name=_AGAINST)}
    if legacy is not None:
        upstreams[table.legacy] = replace(legacy, name=table.legacy)
    routes = tuple(replace(route, extracted=_AGAINST, shadow_writes="never") for route in table.routes)
    return replace(table, upstreams=upstreams, routes=routes)


def choose(table: Table, requests: Iterable[Asked], route: str | None) -> Chosen:
    """Give each request to its route. Requests that may change something are never asked again."""
    matcher = Matcher(table.routes)
    chosen: list[tuple[Exchange, bool]] = []
    left_out: dict[str, int] = {}
    for asked in requests:
        found, reason = _route_of(matcher, asked, route)
        if found is None:
            left_out[reason] = left_out.get(reason, 0) + 1
            continue
        exchange = Exchange(
            route=found.name,
            side="legacy",
            method=asked.method,
            target=asked.target,
            headers=asked.headers,
            body=b"",
            caller=0,
            at=asked.at,
            answer=asked.answer or _NONE,
        )
        chosen.append((exchange, asked.answer is not None))
    return Chosen(chosen, left_out)


async def replay(
    table: Table,
    exchanges: Sequence[tuple[Exchange, bool]],
    store: Store,
    parallel: int,
    told: Callable[[], None],
) -> None:
    """Ask for all of them, `parallel` at once, and record what comes out. `told` is called after each."""
    mirror = Mirror()
    await mirror.use(table)
    pipeline = Pipeline(table, store, mirror)
    places = asyncio.Semaphore(parallel)

    async def one(exchange: Exchange, has_answer: bool) -> None:
        async with places:
            if not has_answer:
                answered = await _legacy(table, mirror, exchange)
                if isinstance(answered, str):
                    store.record(_unanswered(exchange, answered))
                    told()
                    return
                exchange = msgspec.structs.replace(exchange, answer=answered)
            await pipeline.observe(WORKER, exchange)
            told()

    try:
        async with asyncio.TaskGroup() as group:
            for exchange, has_answer in exchanges:
                group.create_task(one(exchange, has_answer))
    finally:
        mirror.close()


async def _legacy(table: Table, mirror: Mirror, exchange: Exchange) -> Answer | str:
    route = table.route(exchange.route)
    assert route is not None
    try:
        return await mirror.ask(table, route, exchange, "legacy")
    except NoShadow as error:
        return error.reason.replace("shadow_", "legacy_")


def _unanswered(exchange: Exchange, reason: str) -> Observation:
    return Observation(
        route=exchange.route,
        method=exchange.method,
        target="",
        at=exchange.at,
        releases=Releases("", ""),
        outcome="skipped",
        worker=WORKER,
        reason=reason,
    )


def _route_of(matcher: Matcher, asked: Asked, wanted: str | None) -> tuple[Route | None, str]:
    def header(name: str) -> str | None:
        return next(
            (value.decode("latin-1") for key, value in asked.headers if key.lower().decode() == name), None
        )

    if may_write(asked.method, header):
        return None, "they may change something"
    claim = matcher.find(asked.method, asked.target, header)
    if claim is None:
        return None, "no route claims them"
    if wanted is not None and claim.route.name != wanted:
        return None, "they are of another route"
    return claim.route, ""
