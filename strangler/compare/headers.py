"""Which headers matter, and when two of them say the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from strangler.compare.difference import Difference
from strangler.compare.drift import drift
from strangler.compare.rules import HeaderRules
from strangler.compare.shown import printable

Headers = Iterable[tuple[str, str]]
_Grouped = dict[str, list[str]]
#: Name and value of a header -> what is kept of it for people.
Show = Callable[[str, str], str]

#: Of the connection (RFC 9110 section 7.6.1), of the moment or of the machine, not of the answer.
NOT_COMPARED: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer",
        "transfer-encoding", "upgrade",
        "content-length",  # follows from the body, which is compared
        "date", "age", "server", "via", "x-powered-by", "server-timing", "alt-svc",
        "x-release", "x-request-id", "x-correlation-id", "x-runtime", "x-response-time",
        "traceparent", "tracestate",
    }
)  # fmt: skip

#: Each side makes up its own value (RFC 9110 section 8.8.3: opaque), or the clock does: only presence counts.
PRESENCE_ONLY: Final = frozenset({"etag", "last-modified", "expires", "retry-after"})

#: Lists whose order and case say nothing (RFC 9110 sections 10.2.1, 12.5.5; RFC 9111 section 5.2).
_SETS: Final = frozenset({"allow", "vary", "cache-control", "accept-ranges", "content-language"})

_CHARSET: Final = re.compile(r""";\s*charset\s*=\s*"?([^\s";]+)""", re.IGNORECASE)
_ORIGIN: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


def header(headers: Headers, name: str) -> str:
    """The values of a header joined by commas; "" when it is absent. `name` is lower case."""
    return ", ".join(value for key, value in headers if key.lower() == name)


def media_type(content_type: str) -> str:
    """`application/json` of `Application/JSON; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def is_json(media: str) -> bool:
    """Whether a media type promises JSON (RFC 6839 section 3.1)."""
    return media in {"application/json", "text/json"} or media.endswith("+json")


def header_differences(
    legacy: Headers, extracted: Headers, rules: HeaderRules, show: Show, used: set[str]
) -> Iterator[Difference]:
    """Every header that matters and differs, in the order of names. `show` makes a value fit to be kept.

    The rules that had something to do are added to `used`.
    """
    if legacy == extracted:
        return
    ours, theirs = _grouped(legacy), _grouped(extracted)
    differing = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    names = sorted(name for name in differing if name not in NOT_COMPARED)
    if not names:
        return
    skipped = _named_by_connection(ours) | _named_by_connection(theirs)
    for name in names:
        if name in skipped or (rules.only is not None and name not in rules.only):
            continue
        mine, other = ours.get(name), theirs.get(name)
        if name in rules.ignored:
            used.add(rules.ignored[name])
        elif mine is None or other is None:
            yield _difference(name, _presence(mine), _presence(other), *_both(name, mine, other, show))
        else:
            yield from _compared(name, mine, other, show, rules, used)


def _compared(
    name: str, mine: list[str], other: list[str], show: Show, rules: HeaderRules, used: set[str]
) -> Iterator[Difference]:
    if name == "content-type":
        yield from _content_type(_joined(mine), _joined(other), _both(name, mine, other, show))
        return
    if name in rules.unordered:
        if _as_set(mine) == _as_set(other):
            used.add(rules.unordered[name])
            return
    elif name in rules.tolerance:  # said of a Last-Modified, it is compared after all
        if rules.tolerance[name].allows(_joined(mine), _joined(other)):
            used.add(rules.tolerance[name].text)
            return
    elif _meaning(name)(mine) == _meaning(name)(other):
        return
    yield Difference(
        where="header",
        path=printable(name, 80),
        kind="header",
        legacy="present",
        extracted="present",
        legacy_value=show(name, _shown(name, mine)),
        extracted_value=show(name, _shown(name, other)),
        drift=None if name == "set-cookie" else drift(_joined(mine), _joined(other)),
    )


def _content_type(mine: str, other: str, shown: tuple[str, str]) -> Iterator[Difference]:
    ours, theirs = media_type(mine), media_type(other)
    if ours != theirs:
        yield _difference("content-type", printable(ours, 80), printable(theirs, 80), *shown)
    elif charset(mine) != charset(other):
        yield Difference(
            where="header",
            path="content-type",
            kind="encoding",
            legacy=printable(charset(mine) or "absent", 40),
            extracted=printable(charset(other) or "absent", 40),
            legacy_value=shown[0],
            extracted_value=shown[1],
        )


def _both(name: str, mine: list[str] | None, other: list[str] | None, show: Show) -> tuple[str, str]:
    return show(name, _shown(name, mine)), show(name, _shown(name, other))


def _shown(name: str, values: list[str] | None) -> str:
    # What a cookie holds is nobody's business here.
    return _cookie_names(values or []) if name == "set-cookie" else _joined(values)


def charset(content_type: str) -> str:
    """The charset parameter, in lower case; "" without one, and where it has no meaning."""
    found = _CHARSET.search(content_type)
    name = found[1].lower() if found else ""
    # RFC 8259 sections 8.1 and 11: JSON is UTF-8, and the parameter has no meaning.
    return "" if name in {"utf-8", "utf8"} and is_json(media_type(content_type)) else name


def _meaning(name: str) -> Callable[[list[str]], object]:
    if name in PRESENCE_ONLY:
        return lambda values: True
    if name == "set-cookie":
        return _cookie_names
    if name == "location":
        return _without_origin
    return _as_set if name in _SETS else _joined


def _as_set(values: list[str]) -> frozenset[str]:
    return frozenset(item.strip().lower() for value in values for item in value.split(",") if item.strip())


def _cookie_names(values: list[str]) -> str:
    return ", ".join(sorted(value.partition("=")[0].strip() for value in values))


def _without_origin(values: list[str]) -> str:
    # Each side may write its own address before the path; the caller is sent to the same place.
    return _ORIGIN.sub("", _joined(values), count=1) or "/"


def _difference(name: str, legacy: str, extracted: str, mine: str, other: str) -> Difference:
    return Difference("header", printable(name, 80), "header", legacy, extracted, mine, other)


def _presence(values: list[str] | None) -> str:
    return "absent" if values is None else "present"


def _joined(values: list[str] | None) -> str:
    return ", ".join(values or ())


def _grouped(headers: Headers) -> _Grouped:
    grouped: _Grouped = {}
    for name, value in headers:
        grouped.setdefault(name.lower(), []).append(value.strip())
    return grouped


def _named_by_connection(headers: _Grouped) -> set[str]:
    # RFC 9110 section 7.6.1: what Connection names belongs to the connection too.
    return {name.strip().lower() for value in headers.get("connection", ()) for name in value.split(",")}
