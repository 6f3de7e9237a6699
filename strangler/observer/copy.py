"""The copy of a request, as the side that did not answer is sent it: the one place where a copy is marked as one."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache

from strangler.exchange.model import Exchange
from strangler.http.headers import Field, first, lines
from strangler.http.trace import marked
from strangler.routes import Matcher, Route, Side, edit_headers, may_write, target_for

#: Framing is ours to say anew, and a shadow waits for no permission to send its body.
_NOT_COPIED = frozenset({b"content-length", b"expect", b"trailer"})
#: What only we say on a copy. With an underscore it is the same to whoever turns fields into variables.
_MARKS = frozenset({b"strangler-shadow", b"strangler_shadow"})
_KEYS = frozenset({b"idempotency-key", b"idempotency_key"})

_SHADOW: Field = (b"Strangler-Shadow", b"1")
_PREFIX = b"shadow-"


class NoShadow(Exception):
    """The shadow brought nothing to compare. `reason` is the name under which the exchange is skipped."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def writes(exchange: Exchange) -> bool:
    """True when the request of an exchange may change something."""
    return may_write(exchange.method, _header(exchange))


def request_of(route: Route, side: Side, exchange: Exchange) -> bytes:
    """The copy for a side, whole. Raises NoShadow when the route cannot say what to ask for any more."""
    headers = exchange.headers
    target = exchange.target
    if side == "extracted":
        target = target_for(route, side, target, _parameters(route, exchange))
        headers = edit_headers(route.headers, headers)
    headers = edit_headers(getattr(route.shadow_headers, side), headers)
    # Last of all, so that no edit of a route can make a copy look like a request.
    copied = _marked(headers, idempotency_key(exchange) if writes(exchange) else None)
    length = b"Content-Length: %d\r\n" % len(exchange.body) if exchange.body else b""
    head = f"{exchange.method} {target} HTTP/1.1\r\n".encode("latin-1") + lines(copied)
    return head + length + b"\r\n" + exchange.body


def idempotency_key(exchange: Exchange) -> bytes:
    """The key of a copy that may change something: never that of the request it is a copy of.

    A caller's own key, prefixed, so that a request sent twice under one key is one order in the sandbox too. Without
    one a digest of the whole request and its time, so that two identical orders are two.
    """
    own = first(exchange.headers, b"idempotency-key")
    if own is not None and (own := own.strip(b" \t")):
        # draft-ietf-httpapi-idempotency-key-header: the value is a string in quotes, and must stay one.
        return b'"' + _PREFIX + own[1:] if own[:1] == b'"' and own != b'"' else _PREFIX + own
    digest = hashlib.sha256()
    parts = (
        exchange.route.encode("utf-8", "surrogatepass"),
        exchange.method.encode("latin-1"),
        exchange.target.encode("latin-1"),
        struct.pack("!Qd", exchange.caller, exchange.at),
        exchange.body,
    )
    for part in parts:
        digest.update(
            struct.pack("!Q", len(part))
        )  # else the end of one part could be the beginning of the next
        digest.update(part)
    return _PREFIX + digest.hexdigest()[:32].encode("ascii")


def _marked(headers: tuple[Field, ...], key: bytes | None) -> list[Field]:
    ours = _MARKS if key is None else _MARKS | _KEYS
    dropped = _NOT_COPIED | ours
    copied = marked(tuple(field for field in headers if field[0].lower() not in dropped))
    copied.append(_SHADOW)
    if key is not None:
        copied.append((b"Idempotency-Key", key))
    return copied


def _header(exchange: Exchange) -> Callable[[str], str | None]:
    def header(name: str) -> str | None:
        value = first(exchange.headers, name.encode())
        return value.decode("latin-1") if value is not None else None

    return header


def _parameters(route: Route, exchange: Exchange) -> Mapping[str, str]:
    if route.rewrite is None:
        return {}
    claim = _matcher(route).find(exchange.method, exchange.target, _header(exchange))
    if claim is None:  # the route has changed its pattern since
        raise NoShadow("route_gone")
    return claim.parameters


@lru_cache(maxsize=1024)
def _matcher(route: Route) -> Matcher:
    return Matcher((route,))
