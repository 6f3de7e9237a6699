"""Requests and answers out of a HAR file (HTTP Archive 1.2), as browsers and proxies save them."""

from __future__ import annotations

import base64
import binascii
from typing import Final
from urllib.parse import urlsplit

import msgspec

from strangler.exchange.model import Answer, Headers

#: The archive's content is without its coding and in one piece.
_OF_THE_WIRE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


class HarError(ValueError):
    """This is not a HAR file. The message is one line."""


class _Named(msgspec.Struct):
    name: str
    value: str


class _Request(msgspec.Struct):
    method: str
    url: str
    headers: list[_Named] = []


class _Content(msgspec.Struct):
    text: str = ""
    encoding: str = ""


class _Response(msgspec.Struct):
    status: int
    headers: list[_Named] = []
    content: _Content = msgspec.field(default_factory=_Content)


class _Entry(msgspec.Struct):
    request: _Request
    response: _Response
    time: float = 0.0


class _Log(msgspec.Struct):
    entries: list[_Entry]


class _File(msgspec.Struct):
    log: _Log


class Saved(msgspec.Struct, frozen=True):
    """One entry: what was asked, and what was answered then."""

    method: str
    target: str
    headers: Headers
    answer: Answer


def read_har(data: bytes, name: str) -> list[Saved]:
    """The entries of a HAR file. `name` stands in messages. Raises HarError."""
    try:
        entries = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=_File).log.entries
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as problem:
        raise HarError(f"{name}: not a HAR file: {' '.join(str(problem).split())}") from None
    return [_saved(entry, f"{name}: entry {number}") for number, entry in enumerate(entries, start=1)]


def _saved(entry: _Entry, name: str) -> Saved:
    try:
        url = urlsplit(entry.request.url)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        target.encode("ascii")
        headers = [
            field
            for field in _fields(entry.request.headers)
            if field[0].lower() not in (b"host", b"content-length")
        ]
        headers.insert(0, (b"Host", url.netloc.rpartition("@")[2].encode("ascii")))
        content = entry.response.content
        body = (
            base64.b64decode(content.text, validate=True)
            if content.encoding == "base64"
            else content.text.encode()
        )
        answered = [
            field for field in _fields(entry.response.headers) if field[0].decode() not in _OF_THE_WIRE
        ]
    except (ValueError, binascii.Error) as problem:
        raise HarError(f"{name}: {problem}") from None
    answer = Answer(entry.response.status, tuple(answered), body, max(entry.time, 0.0))
    return Saved(entry.request.method.upper(), target, tuple(headers), answer)


def _fields(named: list[_Named]) -> list[tuple[bytes, bytes]]:
    """Without HTTP/2's pseudo headers. Raises ValueError for what would break a line."""
    fields = []
    for each in named:
        if any(character in each.name + each.value for character in "\r\n\0"):
            raise ValueError(f"the header {each.name!r} would break a line")
        if each.name and not each.name.startswith(":"):
            fields.append((each.name.lower().encode("ascii"), each.value.encode("latin-1", "replace")))
    return fields
