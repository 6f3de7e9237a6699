"""A stream of events in Redis: its address, the ids of its entries, and what may be trimmed. Pure.

    redis://:password@127.0.0.1:6379/0?stream=shop-inventory

https://redis.io/docs/latest/develop/data-types/streams/
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

EXAMPLE = "redis://127.0.0.1:6379/0?stream=shop"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_HOSTED = ("redis", "rediss")
#: What may stand in the query beside the stream; redis-py reads it.
_OPTIONS: dict[str, set[str]] = {"redis": set(), "rediss": {"ssl_ca_certs"}, "unix": {"db"}}

Entry = tuple[int, int]
"""The id of an entry: milliseconds since the epoch, and a number within them. Ids grow."""

NONE: Entry = (0, 0)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream by its name, on a server; the URL of that may hold a password."""

    server: str
    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """How far a group of consumers has come: it was given all up to `given`, and has `oldest` of that still to do."""

    name: str
    given: Entry
    oldest: Entry | None


def is_stream(url: str) -> bool:
    """Say whether an address is meant to be one of a stream."""
    return url.partition("://")[0] in _OPTIONS


def parse(url: str) -> Stream:
    """Read the address of a stream. Raises ValueError, in one line and without the password."""
    try:
        parts = urlsplit(url)
        given = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
        port = parts.port
    except ValueError as error:
        raise _wrong(url) from error
    names = given.pop("stream", [])
    if parts.scheme not in _OPTIONS or given.keys() - _OPTIONS[parts.scheme] or parts.fragment:
        raise _wrong(url)
    if len(names) != 1 or not _NAME.fullmatch(names[0]):
        raise _wrong(url)
    if any(len(values) != 1 for values in given.values()) or not given.get("db", ["0"])[0].isdecimal():
        raise _wrong(url)
    if parts.scheme in _HOSTED:
        placed = bool(parts.hostname and port != 0 and re.fullmatch(r"/?|/[0-9]{1,4}", parts.path))
    else:
        placed = not parts.netloc.rpartition("@")[2] and len(parts.path) > 1
    if not placed or not url.isprintable():
        raise _wrong(url)
    rest = urlencode({name: values[0] for name, values in given.items()})
    return Stream(url.partition("?")[0] + (f"?{rest}" if rest else ""), names[0])


def shown(url: str) -> str:
    """Give an address as people may see it: without user and password."""
    return re.sub(r"//.*@", "//***@", url) if is_stream(url) else url


def entry_of(text: str) -> Entry:
    """Read the id of an entry, as Redis writes it. Raises ValueError."""
    found = _ID.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:64]!r} is no id of an entry")
    return int(found[1]), int(found[2])


def text_of(entry: Entry) -> str:
    """Write the id of an entry as Redis does."""
    return f"{entry[0]}-{entry[1]}"


def sortable(entry: Entry) -> str:
    """Write the id of an entry so that as text it sorts as it does in Redis; its numbers have up to 64 bits."""
    return f"{entry[0]:020}-{entry[1]:020}"


def needed_from(kept: Entry, groups: Iterable[Group]) -> Entry:
    """Say from where on entries are needed: `kept` and all after it, and what a group has not acknowledged.

    The last that a group was given is left, too: nothing is to be gained by counting on from it.
    """
    return min([kept, *(group.oldest or group.given for group in groups)])


def _wrong(url: str) -> ValueError:
    return ValueError(f"{shown(url)!r} is not the address of a stream such as {EXAMPLE}")
