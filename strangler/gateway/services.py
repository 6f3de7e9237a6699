"""The endpoints of every upstream: which of them to ask, and which of them are out of order.

An endpoint is asked while its health checks say that it is well, and its breaker is closed. There is one object for
each, kept from table to table while nothing of it changes, so that a reload forgets no failure.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from strangler.exchange.sheet import INDEX, Sheet, row_of
from strangler.gateway.breaker import Breaker
from strangler.http.pool import Pool
from strangler.routes import Breaking, Health, Upstream

_OPENED, _OUT = INDEX["opened"], INDEX["out"]
_BUSY, _IDLE, _WAITING = INDEX["busy"], INDEX["idle"], INDEX["waiting"]
#: A request that nobody could answer in the extracted side's place tries an open endpoint only after so many seconds
#: more: others, whose caller loses nothing by it, may come first.
PATIENCE = 5.0

log = logging.getLogger("strangler.gateway")


class Endpoint:
    """One place where an upstream answers. `usable` is what is asked on every request, all else seldom."""

    __slots__ = (
        "_base",
        "_counts",
        "_healthy",
        "breaker",
        "health",
        "name",
        "pool",
        "rules",
        "upstream",
        "usable",
    )

    def __init__(self, name: str, upstream: Upstream, pool: Pool, sheet: Sheet) -> None:
        self.name = name
        self.upstream = upstream
        self.pool = pool
        self.health: Health | None = upstream.health
        self.rules: Breaking | None = upstream.breaker
        self.breaker = Breaker(upstream.breaker or Breaking())
        self.usable = True
        self._healthy = True
        self._counts = sheet.counts
        self._base = sheet.base(row_of(name))
        self._counts[self._base + _OUT] = 0  # there may have been another one in this place, that was out

    def __repr__(self) -> str:
        return f"<Endpoint {self.name} {'in' if self.usable else 'out'}>"

    def answered(self) -> None:
        """It has given an answer that a working service may give."""
        self.breaker.good += 1
        if not self.usable and self.breaker.is_tried:
            self.breaker.close(time.monotonic())
            self._settle("it answers again")

    def failed(self, why: str) -> None:
        """It has given none, or one that says that it cannot."""
        if self.rules is not None and self.breaker.failed(time.monotonic()):
            self._settle(why)

    def left(self) -> None:
        """Its caller has left before it answered: if that was the trial, it came to nothing."""
        if not self.usable:
            self.breaker.give_up()

    def may_try(self, patient: float) -> bool:
        """Whether one request should try now whether it is well again."""
        return (
            self._healthy and self.health is None and self.breaker.may_try(time.monotonic(), patient=patient)
        )

    def found(self, *, healthy: bool, why: str) -> None:
        """What the health checks say by now. Where there are any, they also close an open breaker."""
        self._healthy = healthy
        if healthy and self.breaker.is_open and self.breaker.may_try(time.monotonic()):
            self.breaker.close(time.monotonic())
        self._settle(why)

    def note(self) -> None:
        """Put on the sheet how its connections stand."""
        counts, base, pool = self._counts, self._base, self.pool
        counts[base + _BUSY] = pool.open - pool.idle
        counts[base + _IDLE] = pool.idle
        counts[base + _WAITING] = pool.waiting

    def _settle(self, why: str) -> None:
        usable = self._healthy and not self.breaker.is_open
        if usable == self.usable:
            return
        self.usable = usable
        self._counts[self._base + _OUT] = not usable
        if not usable:
            self._counts[self._base + _OPENED] += 1
        if usable:
            log.warning("%s is in order again: %s", self.name, why)
        else:
            log.warning("%s is out of order: %s", self.name, why)


class Service:
    """The endpoints of one upstream."""

    __slots__ = ("_next", "endpoints", "only", "upstream")

    def __init__(self, upstream: Upstream, endpoints: list[Endpoint]) -> None:
        self.upstream = upstream
        self.endpoints = endpoints
        self.only = endpoints[0] if len(endpoints) == 1 else None
        self._next = 0

    def choose(self, tried: Collection[Endpoint] = (), *, patient: float = PATIENCE) -> Endpoint | None:
        """An endpoint to ask that is in order, or that is due to be tried; None when there is none.

        They take turns, and one that is due has its turn though others are in order: it would stay out for as long as
        they are. `patient`: see `Breaker.may_try`.
        """
        endpoints = self.endpoints
        count = len(endpoints)
        for step in range(count):
            endpoint = endpoints[(self._next + step) % count]
            if endpoint not in tried and (endpoint.usable or endpoint.may_try(patient)):
                self._next = (self._next + step + 1) % count
                return endpoint
        return None

    def insist(self, tried: Collection[Endpoint] = ()) -> Endpoint | None:
        """An endpoint to ask though none is in order: where there is nobody else to ask."""
        left = [each for each in self.endpoints if each not in tried]
        if not left:
            return None
        self._next += 1
        chosen = left[self._next % len(left)]
        chosen.breaker.may_try(time.monotonic())  # if it is due, this is the trial
        return chosen


@dataclass(frozen=True, slots=True)
class _Known:
    upstream: Upstream
    endpoint: Endpoint


class Services:
    """The services of the table in force."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._known: dict[str, _Known] = {}

    def use(self, upstreams: Mapping[str, Upstream], pools: Mapping[str, Pool]) -> dict[str, Service]:
        """A service for each upstream. `pools` are by endpoint, under the names of `Upstream.apart`."""
        known: dict[str, _Known] = {}
        services = {}
        for name, upstream in upstreams.items():
            endpoints = []
            for key, place in upstream.apart().items():
                old = self._known.get(key)
                if old is None or old.endpoint.pool is not pools[key] or old.upstream != place:
                    old = _Known(place, Endpoint(key, place, pools[key], self._sheet))
                known[key] = old
                endpoints.append(old.endpoint)
            services[name] = Service(upstream, endpoints)
        self._known = known
        return services

    @property
    def checked(self) -> list[Endpoint]:
        """Every endpoint that is to be asked whether it is well."""
        return [each.endpoint for each in self._known.values() if each.endpoint.health is not None]
