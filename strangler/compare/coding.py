"""Content codings undone (RFC 9110 section 8.4), for comparing only, and never to more than a limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import brotli
import zstandard

from strangler.compare.difference import Incomparable

#: RFC 8878 section 3.1.1.1.2 recommends that decoders support windows of 8 MB, and none beyond.
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
#: Members or frames, one after the other, each of which costs a new decoder.
_FRAMES: Final = 1_000
#: Four bytes of zstd may stand for 128 KiB, so it is fed in small pieces: none grows beyond 8 MiB at once.
_ZSTD_PIECE: Final = 256


class Broken(Exception):
    """The body is not what its coding promises."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """The body without its content coding, at most `limit` bytes.

    Raises Broken, and Incomparable: `content_encoding` (a coding we cannot undo), `too_complex` (beyond the limit).
    """
    names = [name.strip().lower() for name in coding.split(",") if name.strip()]
    for name in reversed(names):
        if name == "identity":
            continue
        undo = _CODINGS.get(name)
        if undo is None:
            raise Incomparable("content_encoding")
        body = undo(body, limit)
    return body


def _gzip(body: bytes, limit: int) -> bytes:
    return _inflated(body, 16 + zlib.MAX_WBITS, limit)


def _deflate(body: bytes, limit: int) -> bytes:
    # RFC 9110 section 8.4.1.2: some send raw deflate under this name. RFC 1950 section 2.2 tells them apart.
    is_zlib = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _inflated(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, limit)


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    room = limit
    while body:  # a gzip body may have several members, RFC 1952 section 2.2
        if len(pieces) >= _FRAMES:
            raise Incomparable("too_complex")
        stream = zlib.decompressobj(window)
        try:
            piece = stream.decompress(body, room + 1)
        except zlib.error as problem:
            raise Broken from problem
        room = _room(room, piece)
        if not stream.eof:
            raise Broken
        pieces.append(piece)
        body = stream.unused_data
    return b"".join(pieces)


def _brotli(body: bytes, limit: int) -> bytes:
    """RFC 7932."""
    if not body:
        return b""
    stream = brotli.Decompressor()
    pieces: list[bytes] = []
    room = limit
    try:
        piece = stream.process(body, output_buffer_limit=room + 1)
        while piece:
            room = _room(room, piece)
            pieces.append(piece)
            # It refuses to be asked for more once it has ended.
            piece = b"" if stream.is_finished() else stream.process(b"", output_buffer_limit=room + 1)
    except brotli.error as problem:
        raise Broken from problem
    if not stream.is_finished():
        raise Broken
    return b"".join(pieces)


def _zstd(body: bytes, limit: int) -> bytes:
    """RFC 8878: one frame after the other."""
    pieces: list[bytes] = []
    room = limit
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frames = 0
    while body:
        frames += 1
        if frames > _FRAMES:
            raise Incomparable("too_complex")
        stream = reader.decompressobj()
        fed = 0
        try:
            while fed < len(body) and not stream.eof:
                piece = stream.decompress(body[fed : fed + _ZSTD_PIECE])
                fed = min(fed + _ZSTD_PIECE, len(body))
                room = _room(room, piece)
                pieces.append(piece)
        except zstandard.ZstdError as problem:
            raise Broken from problem
        if not stream.eof:
            raise Broken
        body = stream.unused_data + body[fed:]
    return b"".join(pieces)


def _room(room: int, piece: bytes) -> int:
    if len(piece) > room:
        raise Incomparable("too_complex")
    return room - len(piece)


_CODINGS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
