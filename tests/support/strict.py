"""A second reading of HTTP/1.1 messages, written apart from the proxy's: strict, slow, and without mercy.

RFC 9112 as far as a well-behaved proxy's output needs it. Raises `Odd` for what has no single reading, and
`Unfinished` for what is cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([!-~\x80-\xff]+) HTTP/1\.1")
# The space behind the status is often left out with the reason; nobody can misread that.
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:[ \t]*;[\t -~\x80-\xff]*)?)")


class Odd(Exception):
    """The bytes have no single reading."""


class Unfinished(Exception):
    """The bytes are the beginning of a message."""


@dataclass(frozen=True)
class Message:
    """One message: its start line's parts, its fields with lower-case names, and its body."""

    start: tuple[bytes, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def every(self, name: bytes) -> list[bytes]:
        """The values of a field."""
        return [value for field, value in self.fields if field == name]


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Unfinished
    line = data[at:end]
    if b"\r" in line or b"\n" in line or b"\0" in line:
        raise Odd("a bare CR, LF or NUL")
    return line, end + 2


def _fields(data: bytes, at: int) -> tuple[tuple[tuple[bytes, bytes], ...], int]:
    found = []
    while True:
        line, at = _line(data, at)
        if not line:
            return tuple(found), at
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Odd(f"a field {line!r}")
        found.append((field[1].lower(), field[2]))


def _chunks(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while True:
        line, at = _line(data, at)
        size = _SIZE.fullmatch(line)
        if size is None:
            raise Odd(f"a chunk of {line!r}")
        length = int(size[1], 16)
        if not length:
            return body, _fields(data, at)[1]
        if len(data) < at + length + 2:
            raise Unfinished
        body += data[at : at + length]
        if data[at + length : at + length + 2] != b"\r\n":
            raise Odd("a chunk without an end")
        at += length + 2


def _body(data: bytes, at: int, message: Message) -> tuple[bytes, int] | None:
    """The body as the fields frame it, or None when nothing frames it."""
    codings, lengths = message.every(b"transfer-encoding"), message.every(b"content-length")
    if codings:
        if lengths or [coding.lower() for coding in codings] != [b"chunked"]:
            raise Odd("two framings")
        return _chunks(data, at)
    if lengths:
        if len(lengths) > 1 or not lengths[0].isdigit():
            raise Odd("no single length")
        end = at + int(lengths[0])
        if len(data) < end:
            raise Unfinished
        return data[at:end], end
    return None


def read_request(data: bytes, at: int = 0) -> tuple[Message, int]:
    """The request that begins at `at`, and where it ends."""
    line, at = _line(data, at)
    start = _REQUEST.fullmatch(line)
    if start is None:
        raise Odd(f"a request line {line!r}")
    fields, at = _fields(data, at)
    message = Message(start.groups(), fields, b"")
    if len(message.every(b"host")) != 1:
        raise Odd("not one Host")
    body, at = _body(data, at, message) or (b"", at)
    return Message(message.start, fields, body), at


def read_answer(data: bytes, at: int = 0, *, closed: bool = True, skips: bool = False) -> tuple[Message, int]:
    """The answer to a GET that begins at `at`, without those that only inform; `closed` ends what nothing frames.

    `skips`: line ends before a message are skipped, as a receiver may (RFC 9112 section 2.2).
    """
    while True:
        while skips and data[at : at + 1] in (b"\r", b"\n") and data[at:]:
            at += 1
        line, at = _line(data, at)
        start = _STATUS.fullmatch(line)
        if start is None:
            raise Odd(f"a status line {line!r}")
        fields, at = _fields(data, at)
        if not b"100" <= start[2] < b"200":
            break
    message = Message(start.groups(), fields, b"")
    if start[2] in (b"204", b"304"):
        return message, at
    framed = _body(data, at, message)
    if framed is None:
        if not closed:
            raise Unfinished
        framed = data[at:], len(data)
    return Message(message.start, fields, framed[0]), framed[1]
