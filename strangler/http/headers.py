"""Header fields on their way through a proxy: what stays behind, what is added. Pure.

Order, case and repetition of everything else are kept (RFC 9110 section 5.3).
"""

from __future__ import annotations

from collections.abc import Iterable

Headers = tuple[tuple[bytes, bytes], ...]

#: Fields for one connection only (RFC 9110 section 7.6.1); how a body is framed we always say anew.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"strangler-side",  # ours alone: a caller's wish for a side goes no further than this proxy
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

_FORWARDING = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})

#: RFC 9110 section 7.6.3: the protocol received, and a name for us.
VIA = b"1.1 strangler"


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields that may be passed on: without the hop-by-hop ones and those that `Connection` names."""
    named: set[bytes] | None = None
    kept = []
    for field in headers:
        name = field[0].lower()
        if name not in _HOP_BY_HOP:
            kept.append(field)
        elif name == b"connection":
            options = {option.strip().lower() for option in field[1].split(b",")}
            options -= {b"close", b"keep-alive", b""}
            if options:
                named = options if named is None else named | options
    if named:
        # Framing and routing fields are not the caller's to take away by naming them (RFC 9112 section 6.3).
        named -= {b"content-length", b"host"}
        kept = [field for field in kept if field[0].lower() not in named]
    return kept


def forwarded(
    headers: list[tuple[bytes, bytes]], *, peer: bytes, host: bytes, scheme: bytes, believed: bool
) -> list[tuple[bytes, bytes]]:
    """The fields with `X-Forwarded-*` and `Via` set. A caller's own are kept only when it is believed."""
    chain: list[bytes] = []
    via: list[bytes] = []
    kept: list[tuple[bytes, bytes]] = []
    seen_proto = seen_host = False
    for field in headers:
        name = field[0].lower()
        if name == b"via":
            via.append(field[1])
        elif name not in _FORWARDING:
            kept.append(field)
        elif believed:
            if name == b"x-forwarded-for":
                chain.append(field[1])
                continue
            seen_proto = seen_proto or name == b"x-forwarded-proto"
            seen_host = seen_host or name == b"x-forwarded-host"
            kept.append(field)
    kept.append((b"X-Forwarded-For", b", ".join([*chain, peer])))
    if not seen_proto:
        kept.append((b"X-Forwarded-Proto", scheme))
    if not seen_host and host:
        kept.append((b"X-Forwarded-Host", host))
    kept.append((b"Via", b", ".join([*via, VIA])))
    return kept


def lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The fields as they go on the wire (RFC 9112 section 5), without the empty line that ends them."""
    return b"".join([b"%b: %b\r\n" % field for field in headers])


def first(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first value of the field `name` (lower case), or None."""
    return next((value for field, value in headers if field.lower() == name), None)
