"""The frames between a gateway and the observer: four bytes of length, then MessagePack.

A connection begins with one `Hello`; every frame after it is an `Exchange`. Nothing is ever answered: a gateway
must not wait for the observer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from strangler.exchange.model import Exchange

#: No frame is longer. A longer length is taken for a broken or foreign writer.
MAX_FRAME = 16 * 1024 * 1024

_LENGTH = struct.Struct("!I")


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """Who speaks, and what it had handed over before this connection, as one count per route.

    What was handed over on earlier connections and never recorded is lost for good: the observer books it as
    skipped when it reads this.
    """

    worker: str
    handed: dict[str, int]


class BadFrame(ValueError):
    """The bytes are not a frame of this protocol."""


_encoder = msgspec.msgpack.Encoder()
_hello = msgspec.msgpack.Decoder(Hello)
_exchange = msgspec.msgpack.Decoder(Exchange)


def encode(message: Hello | Exchange) -> bytes:
    """The frame that carries `message`."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def decode_hello(body: bytes) -> Hello:
    """The first frame of a connection. Raises BadFrame."""
    try:
        return _hello.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadFrame(f"not a hello: {error}") from error


def decode_exchange(body: bytes) -> Exchange:
    """Any later frame. Raises BadFrame."""
    try:
        return _exchange.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadFrame(f"not an exchange: {error}") from error


class Splitter:
    """Cuts a stream of bytes into the bodies of frames, however the bytes were broken up on the way."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes. Raises BadFrame when a length cannot be true."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= 4:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > MAX_FRAME:
                raise BadFrame(f"a frame of {length} bytes is longer than {MAX_FRAME}")
            if len(buffer) - start < 4 + length:
                break
            yield bytes(buffer[start + 4 : start + 4 + length])
            start += 4 + length
        del buffer[:start]
