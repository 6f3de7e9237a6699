"""Small servers in a process of their own: a sink for uploads, and shadows that behave badly.

`python -m benchmarks.servers sink=PORT hang=PORT ...` serves until it is ended.
"""

from __future__ import annotations

import asyncio
import os
import sys

import uvloop

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
BIG = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n"
    + b"x" * 10_485_760
)


class Sink(asyncio.Protocol):
    """Takes bodies of a known length and answers when they are whole."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._head = b""
            lengths = [
                line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            ]
            self._left = int(lengths[0] if lengths else 0) - len(rest)
        if not self._left:
            self._transport.write(OK)


class Hang(asyncio.Protocol):
    """Reads, and never answers."""


class Crawl(asyncio.Protocol):
    """Answers one byte a second."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._at = 0

    def data_received(self, data: bytes) -> None:
        if not self._at:
            self._step()

    def _step(self) -> None:
        if self._at < len(OK) and not self._transport.is_closing():
            self._transport.write(OK[self._at : self._at + 1])
            self._at += 1
            asyncio.get_running_loop().call_later(1.0, self._step)


class Reset(asyncio.Protocol):
    """Hangs up as soon as it is asked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._transport.abort()


class Deaf(asyncio.Protocol):
    """Accepts, and never reads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.pause_reading()  # type: ignore[attr-defined]


class Huge(asyncio.Protocol):
    """Answers 10 MB."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._transport.write(BIG)


class Good(asyncio.Protocol):
    """Answers at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._transport.write(OK)


KINDS = {"sink": Sink, "good": Good, "hang": Hang, "crawl": Crawl, "reset": Reset, "deaf": Deaf, "huge": Huge}


async def _serve(places: list[str]) -> None:
    loop = asyncio.get_running_loop()
    for place in places:
        kind, _, port = place.partition("=")
        await loop.create_server(KINDS[kind], "127.0.0.1", int(port), backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if not any(place.startswith("sink") for place in sys.argv[1:]):
        os.nice(19)  # bad shadows run on other machines: here they must not take the callers' cores
    uvloop.run(_serve(sys.argv[1:]))
