"""Who is asking: the identity of a caller, and the address behind trusted proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from strangler.routes.model import IdentitySource, Table

#: The cookie that holds a minted identity.
MINTED_COOKIE = "strangler_id"

_Read = Callable[["Asked"], str | None]


class Asked(Protocol):
    """What a request must tell before a side is chosen.

    `header` takes a lower-case name and gives its first value. For `x-forwarded-for`, a list, it must give all the
    lines joined with commas in their order (RFC 9110 section 5.3), or a caller could hide behind a line of his own.
    Values are decoded as UTF-8 with surrogateescape, so that a bucket depends on the bytes and on nothing else.
    """

    @property
    def method(self) -> str:
        """The method, as it came."""

    @property
    def target(self) -> str:
        """The request target, byte for byte as it came (latin-1)."""

    @property
    def client(self) -> str:
        """The address of the peer, without port."""

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""


class Identities:
    """The identity sources of a table, compiled."""

    __slots__ = ("_callers", "_sources")

    def __init__(self, table: Table, callers: Callers) -> None:
        self._callers = callers
        sources = (*table.identity, IdentitySource("cookie", MINTED_COOKIE))
        self._sources = tuple((str(source), self._reader(source)) for source in dict.fromkeys(sources))

    def find(self, asked: Asked) -> tuple[str, str] | None:
        """The first identity present and its source, such as ("7", "header:x-user-id"). None when there is none."""
        for source, read in self._sources:
            if identity := read(asked):
                return identity, source
        return None

    def _reader(self, source: IdentitySource) -> _Read:
        name = source.name
        if source.kind == "header":
            return lambda asked: (asked.header(name) or "").strip(" \t")
        if source.kind == "cookie":
            return lambda asked: cookie(asked.header("cookie") or "", name)
        return lambda asked: self._callers.address(asked)[0]


def cookie(field: str, name: str) -> str | None:
    """The first value of that name in a Cookie header (RFC 6265 section 4.2.1), quotes and all, or None."""
    wanted = name + "="
    at = field.find(wanted)
    while at >= 0:
        before = field[:at].rstrip(" \t")
        if not before or before[-1] == ";":
            end = field.find(";", at)
            value = field[at + len(wanted) : end] if end >= 0 else field[at + len(wanted) :]
            return value.strip(" \t")
        at = field.find(wanted, at + 1)
    return None


class Callers:
    """Finds the address a request came from, and whether it lies within the `trust` networks."""

    __slots__ = ("_networks", "_trusted")

    def __init__(self, trust: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(trust)
        self._trusted = lru_cache(maxsize=4096)(self._look_up)

    def address(self, asked: Asked) -> tuple[str, bool]:
        """The caller's address and whether it is trusted.

        A trusted peer is believed about whom it forwards for, and so is each trusted proxy before it: the address is
        the right-most of X-Forwarded-For that is not trusted. When there is none, it is the peer's.
        """
        peer = asked.client
        if not self._networks or not self._trusted(peer):
            return peer, False
        for part in reversed((asked.header("x-forwarded-for") or "").split(",")):
            text = _without_port(part.strip(" \t"))
            if not text:
                continue
            address = _parse(text)
            if address is None:  # `unknown` and worse: nobody to believe from here on
                return peer, False
            if not self._trusted(text):
                return str(address), False
        return peer, True

    def trusts(self, peer: str) -> bool:
        """True when the peer itself, whoever it forwards for, lies within the `trust` networks."""
        return bool(self._networks) and self._trusted(peer)

    def _look_up(self, text: str) -> bool:
        address = _parse(text)
        return address is not None and any(address in network for network in self._networks)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(text: str) -> str:
    """Some proxies write `192.0.2.1:4711` and `[2001:db8::1]:4711` into X-Forwarded-For."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
