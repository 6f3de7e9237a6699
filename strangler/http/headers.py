"""Header fields on their way through a proxy: what stays behind, what is added. Pure.

Order, case and repetition of everything else are kept (RFC 9110 section 5.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

Field = tuple[bytes, bytes]
Fields = list[Field]

#: Fields for one connection only (RFC 9110 section 7.6.1); how a body is framed we always say anew.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"strangler-side",  # ours alone: a caller's wish for a side goes no further than this proxy
        b"strangler-shadow",  # ours alone: a caller who could say it would have a real write taken for a copy
        b"strangler_shadow",  # the same to whoever turns fields into variables (RFC 3875 section 4.1.18)
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)

#: What says where a request came from: a caller's own words, believed only from `trust` networks.
FORWARDING = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via"})

#: Fields that a trailer section must not hold (RFC 9110 section 6.5.1): they frame, route, authenticate, or say
#: how to read the content, and whoever merges them into the head would be misled.
NOT_IN_TRAILERS = (
    HOP_BY_HOP
    | FORWARDING
    | frozenset(
        {
            b"age",
            b"authorization",
            b"cache-control",
            b"content-encoding",
            b"content-length",
            b"content-range",
            b"content-type",
            b"cookie",
            b"date",
            b"expect",
            b"expires",
            b"host",
            b"location",
            b"max-forwards",
            b"pragma",
            b"range",
            b"retry-after",
            b"set-cookie",
            b"traceparent",
            b"tracestate",
            b"trailer",
            b"vary",
            b"www-authenticate",
        }
    )
)

#: Framing and routing fields are nobody's to take away by naming them in Connection (RFC 9112 section 6.3).
NEVER_NAMED = frozenset({b"", b"close", b"content-length", b"host"})

#: RFC 9110 section 7.6.3: the protocol received, and a name for us.
VIA = b"1.1 strangler"


_OTHER, _HOP, _LENGTH, _CODING, _CONNECTION = range(5)


class _Memo(dict[bytes, int]):
    """What kind of field a name is, in the case it was written in."""

    def __missing__(self, name: bytes) -> int:
        lower = name.lower()
        kinds = {b"content-length": _LENGTH, b"transfer-encoding": _CODING, b"connection": _CONNECTION}
        kind = kinds.get(lower, _HOP if lower in HOP_BY_HOP else _OTHER)
        if len(self) < 4096:  # callers and upstreams choose the names
            self[name] = kind
        return kind


_KIND = _Memo()


class Sorted(msgspec.Struct, frozen=True):
    """The fields of a head, sorted out in one pass.

    `kept` are the end-to-end ones in their order and case, `lengths` and `codings` the values of Content-Length
    and Transfer-Encoding.
    """

    kept: Fields
    lengths: list[bytes] | tuple[()]
    codings: list[bytes] | tuple[()]


def sort_out(headers: Iterable[Field]) -> Sorted:
    """The fields that may be passed on, without the hop-by-hop ones and those that `Connection` names; and those
    that frame the body."""
    kept: Fields = []
    lengths: list[bytes] | tuple[()] = ()
    codings: list[bytes] | tuple[()] = ()
    lists: list[bytes] | None = None
    for field in headers:
        kind = _KIND[field[0]]
        if kind == _OTHER:
            kept.append(field)
        elif kind == _LENGTH:
            kept.append(field)
            lengths = [*lengths, field[1]]
        elif kind == _CODING:
            codings = [*codings, field[1]]
        elif kind == _CONNECTION:
            lists = [*(lists or ()), field[1]]
    if lists is not None and (dropped := staying_behind(lists)) is not HOP_BY_HOP:
        kept = [field for field in kept if field[0].lower() not in dropped]
    return Sorted(kept, lengths, codings)


def end_to_end(headers: Iterable[Field]) -> Fields:
    """The fields that may be passed on."""
    return sort_out(headers).kept


def staying_behind(connection: Iterable[bytes]) -> frozenset[bytes]:
    """The names of the fields for one connection only, given the values of its `Connection` fields."""
    return _staying_behind(b",".join(connection))


@lru_cache(maxsize=256)  # a few values, such as keep-alive, are said again and again
def _staying_behind(connection: bytes) -> frozenset[bytes]:
    options = frozenset(option.strip().lower() for option in connection.split(b","))
    more = options - NEVER_NAMED - HOP_BY_HOP
    return HOP_BY_HOP | more if more else HOP_BY_HOP


@lru_cache(maxsize=4096)
def origin(peer: bytes, host: bytes, scheme: bytes) -> tuple[Field, ...]:
    """What we say of a caller who brought no forwarding fields, or is not believed."""
    host_field = ((b"X-Forwarded-Host", host),) if host else ()
    return ((b"X-Forwarded-For", peer), (b"X-Forwarded-Proto", scheme), *host_field, (b"Via", VIA))


@lru_cache(maxsize=4096)
def origin_lines(peer: bytes, host: bytes, scheme: bytes) -> bytes:
    """The same, as it goes on the wire."""
    return lines(origin(peer, host, scheme))


def forwarded(headers: Iterable[Field], *, peer: bytes, host: bytes, scheme: bytes, believed: bool) -> Fields:
    """The fields with `X-Forwarded-*` and `Via` set. A caller's own are kept only when it is believed."""
    chain: list[bytes] = []
    via: list[bytes] = []
    elements: list[bytes] = []
    kept: Fields = []
    seen: set[bytes] = set()
    for field in headers:
        name = field[0].lower()
        if name not in FORWARDING:
            kept.append(field)
        elif name == b"via":
            via.append(field[1])
        elif believed:
            seen.add(name)
            if name == b"x-forwarded-for":
                chain.append(field[1])
            elif name == b"forwarded":
                elements.append(field[1])
            else:
                kept.append(field)
    if elements:
        kept.append((b"Forwarded", b", ".join([*elements, _element(peer, host, scheme)])))
    kept.append((b"X-Forwarded-For", b", ".join([*chain, peer])))
    if b"x-forwarded-proto" not in seen:
        kept.append((b"X-Forwarded-Proto", scheme))
    if b"x-forwarded-host" not in seen and host:
        kept.append((b"X-Forwarded-Host", host))
    kept.append((b"Via", b", ".join([*via, VIA])))
    return kept


def _element(peer: bytes, host: bytes, scheme: bytes) -> bytes:
    """Our element of `Forwarded` (RFC 7239 section 4). An IPv6 address stands in brackets and quotes."""
    node = b'"[%b]"' % peer if b":" in peer else peer
    named_host = b';host="%b"' % host if host else b""
    return b"for=%b%b;proto=%b" % (node, named_host, scheme)


def trailer_section(trailers: Iterable[Field]) -> bytes:
    """The trailers that may be passed on, as they go on the wire (RFC 9112 section 7.1.2)."""
    return lines(field for field in trailers if field[0].lower() not in NOT_IN_TRAILERS)


def lines(headers: Iterable[Field]) -> bytes:
    """The fields as they go on the wire (RFC 9112 section 5), without the empty line that ends them."""
    text = b"\r\n".join(map(b": ".join, headers))
    return text + b"\r\n" if text else b""


def first(headers: Iterable[Field], name: bytes) -> bytes | None:
    """The first value of the field `name` (lower case), or None."""
    return next((value for field, value in headers if field.lower() == name), None)
