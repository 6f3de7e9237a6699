"""An answer's body, decoded far enough to be compared: content coding off, JSON parsed."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from strangler.compare.difference import Incomparable
from strangler.compare.headers import Headers, header, is_json, media_type

#: What a compressed body may grow to. More is a bomb, or nothing to compare in memory.
DECODED_LIMIT: Final = 8 * 1024 * 1024
#: How many values a document may hold, and how many visits one comparison may make.
NODE_LIMIT: Final = 200_000

Form = Literal["json", "bytes", "broken"]


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded body. `broken` is a body that is not what its headers promise: not JSON, or not gzip.

    `value` is the parsed JSON of the form `json` and None otherwise; `content` is the body without its
    content coding (of a broken one: as it came).
    """

    form: Form
    content: bytes
    value: Any = None


class _Broken(Exception):
    pass


def decode(headers: Headers, body: bytes) -> Document:
    """The document in a body.

    Raises Incomparable: `content_encoding` (a coding we cannot undo), `too_complex` (too many values, too
    deep, or too large when decompressed), `duplicate_key`, `number_range` (a number no double can hold).
    """
    headers = tuple(headers)
    try:
        content = decoded(body, header(headers, "content-encoding"), DECODED_LIMIT)
    except _Broken:
        return Document("broken", body)
    media = media_type(header(headers, "content-type"))
    promised = is_json(media)
    if not promised and (media or content.lstrip()[:1] not in (b"{", b"[")):
        return Document("bytes", content)
    try:
        return Document("json", content, _parsed(content))
    except _Broken:
        return Document("broken" if promised else "bytes", content)


def readable(headers: Headers, body: bytes) -> Document:
    """The document in a body, or what can be had of one that cannot be compared. Never raises."""
    headers = tuple(headers)
    try:
        return decode(headers, body)
    except Incomparable:
        pass
    try:
        return Document("broken", decoded(body, header(headers, "content-encoding"), DECODED_LIMIT))
    except (_Broken, Incomparable):
        return Document("broken", body)


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """The body without its content coding (RFC 9110 section 8.4), at most `limit` bytes."""
    names = [name.strip().lower() for name in coding.split(",") if name.strip()]
    for name in reversed(names):
        if name == "identity":
            continue
        if name in {"gzip", "x-gzip"}:
            body = _inflated(body, 16 + zlib.MAX_WBITS, limit)
        elif name == "deflate":
            body = _inflated(body, zlib.MAX_WBITS if _is_zlib(body) else -zlib.MAX_WBITS, limit)
        else:
            raise Incomparable("content_encoding")
    return body


def _is_zlib(body: bytes) -> bool:
    # RFC 9110 section 8.4.1.2: some send raw deflate under this name. RFC 1950 section 2.2 tells them apart.
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    room = limit
    while body:  # a gzip body may have several members, RFC 1952 section 2.2
        stream = zlib.decompressobj(window)
        try:
            piece = stream.decompress(body, room + 1)
        except zlib.error as problem:
            raise _Broken from problem
        room -= len(piece)
        if room < 0:
            raise Incomparable("too_complex")
        if not stream.eof:
            raise _Broken
        pieces.append(piece)
        body = stream.unused_data
    return b"".join(pieces)


def _parsed(content: bytes) -> Any:
    # Counted before parsing: a body of empty lists takes thirty times its size once parsed.
    if content.count(b",") + content.count(b"[") + content.count(b"{") >= NODE_LIMIT:
        raise Incomparable("too_complex")
    try:
        return _decoder.decode(content.decode("utf-8-sig"))
    except RecursionError:
        raise Incomparable("too_complex") from None
    except json.JSONDecodeError as problem:
        raise _Broken from problem
    except UnicodeDecodeError as problem:
        raise _Broken from problem
    except ValueError:  # an integer of more digits than Python reads
        raise Incomparable("number_range") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Incomparable("duplicate_key")
    return members


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Incomparable("number_range")
    return number


def _constant(_name: str) -> NoReturn:
    raise _Broken  # NaN and Infinity are not JSON, whatever Python thinks


_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
