"""Which side answers: the identity of a caller, its bucket on a route, and the share of that route.

The recipe is fixed and published, with test vectors, in docs/routes.md and tests/cases/assignment.json.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from xxhash import xxh64_intdigest

from strangler.routes.identity import Asked, Callers, Identities
from strangler.routes.match import Matcher
from strangler.routes.model import METHOD_OVERRIDES, SAFE_METHODS, WHOLE, Route, Side, Table, Upstream
from strangler.routes.units import format_percent

__all__ = ["Asked", "Decision", "Router", "bucket", "caller_hash", "may_write", "shadow_bucket", "why"]

_SIDES: dict[str, Side] = {"legacy": "legacy", "extracted": "extracted"}


def caller_hash(identity: str) -> int:
    """64 bits that tell callers apart without naming them: XXH64 of the identity's bytes, seed 0."""
    try:
        return xxh64_intdigest(identity.encode())
    except UnicodeEncodeError:  # bytes that were no UTF-8, in the disguise that they came in (PEP 383)
        return xxh64_intdigest(identity.encode("utf-8", "surrogateescape"))


def bucket(route_name: str, identity: str) -> int:
    """Where an identity falls on a route: 0 … 99 999. The extracted side answers below the share."""
    return caller_hash(f"{route_name}:{identity}") % WHOLE


def shadow_bucket(route_name: str, identity: str) -> int:
    """Where an identity falls in the shadow's sample of a route: 0 … 99 999."""
    return caller_hash(f"shadow:{route_name}:{identity}") % WHOLE


def may_write(method: str, header: Callable[[str], str | None]) -> bool:
    """True for a request that may change something: of an unsafe method, or of a safe one that says it is another.

    `header` gives the value of a request header by its lower-case name, or None.
    """
    return method not in SAFE_METHODS or any(header(name) is not None for name in METHOD_OVERRIDES)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers a request, and everything that `why` needs to explain it.

    `identity` and `source` are looked for only when the outcome depends on them or a copy is taken, `bucket` only
    when the side depends on it. `minted` is the value of the cookie to set, or None. `forced` says that a trusted
    caller chose the side. `shadow` says that a copy goes to the other side.
    """

    route: Route | None
    parameters: dict[str, str]
    side: Side
    upstream: Upstream
    identity: str | None = None
    source: str | None = None
    bucket: int | None = None
    minted: str | None = None
    forced: bool = False
    shadow: bool = False


class Router:
    """A table, compiled. A request keeps the router it began with, whatever is loaded meanwhile."""

    __slots__ = ("_callers", "_extracted", "_identities", "_legacy", "_matcher", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self._matcher = Matcher(table.routes)
        self._callers = Callers(table.trust)
        self._identities = Identities(table, self._callers)
        self._legacy = table.upstreams[table.legacy]
        self._extracted = {route.name: table.upstreams[route.extracted] for route in table.routes}

    def decide(self, asked: Asked, mint: Callable[[], str]) -> Decision:
        """The side that answers. `mint` gives a new identity, and is called only when the outcome depends on one."""
        claim = self._matcher.find(asked.method, asked.target, asked.header)
        if claim is None:
            return Decision(route=None, parameters={}, side="legacy", upstream=self._legacy)
        route, parameters = claim
        share = route.share
        shadow = route.shadow
        if shadow and route.shadow_writes == "never" and may_write(asked.method, asked.header):
            shadow = 0
        forced = self._forced(asked) if self.table.trust else None
        by_bucket = forced is None and 0 < share < WHOLE
        identity = source = minted = here = None
        if by_bucket or shadow:
            if found := self._identities.find(asked):
                identity, source = found
            elif by_bucket or shadow < WHOLE:
                identity = minted = mint()
                source = "minted"
        if identity is not None and by_bucket:
            here = bucket(route.name, identity)
            side: Side = "extracted" if here < share else "legacy"
        else:
            side = forced or ("extracted" if share else "legacy")
        if identity is not None and 0 < shadow < WHOLE:
            copied = shadow_bucket(route.name, identity) < shadow
        else:
            copied = shadow == WHOLE
        return Decision(
            route=route,
            parameters=parameters,
            side=side,
            upstream=self._extracted[route.name] if side == "extracted" else self._legacy,
            identity=identity,
            source=source,
            bucket=here,
            minted=minted,
            forced=forced is not None,
            shadow=copied,
        )

    def trusts(self, peer: str) -> bool:
        """True when what the peer says of the caller, in X-Forwarded-*, is to be believed."""
        return self._callers.trusts(peer)

    def _forced(self, asked: Asked) -> Side | None:
        wish = asked.header("strangler-side")
        if wish is None or wish not in _SIDES:
            return None
        return _SIDES[wish] if self._callers.address(asked)[1] else None


def why(decision: Decision) -> str:
    """One sentence that says why this side answers."""
    route, answers = decision.route, f"{decision.side} answers"
    if route is None:
        return f"no route claims this request: {answers}"
    start = f"route {route.name}:"
    if decision.forced:
        return f"{start} a trusted caller asked for it by Strangler-Side: {answers}"
    share = format_percent(route.share)
    if decision.bucket is None:
        return f"{start} the share is {share}, {'every' if route.share else 'no'} caller has moved: {answers}"
    if decision.minted:
        who = f"a new caller, {decision.identity} (minted),"
    else:
        who = f"caller {decision.identity} ({decision.source})"
    here = f"{start} {who} is in bucket {_grouped(decision.bucket)}"
    return f"{here}, and the share of {share} takes buckets below {_grouped(route.share)}: {answers}"


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
