"""Saying bytes to a gateway, and hearing all that comes back."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.raw import Conversation, ok, read_head

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n"
POST = b"POST / HTTP/1.1\r\nHost: shop\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class Heard:
    """Everything that came back, and how it ended: `closed`, `reset`, or `open` when nothing more came."""

    data: bytes
    end: str

    @property
    def statuses(self) -> list[int]:
        """The status of every answer, informational ones included."""
        return [int(part[:3]) for part in self.data.split(b"HTTP/1.1 ")[1:]]

    @property
    def problem(self) -> dict[str, object]:
        """The last answer's body, as a problem."""
        return json.loads(self.data.rpartition(b"\r\n\r\n")[2])


async def hear(port: int, *parts: bytes, quiet: float = 5.0) -> Heard:
    """Say some bytes, in packets of their own, and listen until the end, or until it has been quiet for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    got = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        while True:
            async with asyncio.timeout(quiet):
                data = await reader.read(65536)
            if not data:
                return Heard(got, "closed")
            got += data
    except TimeoutError:
        return Heard(got, "open")
    except ConnectionError:
        return Heard(got, "reset")
    finally:
        writer.close()


@asynccontextmanager
async def caller(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the gateway."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_body(reader: asyncio.StreamReader, head: bytes) -> tuple[bytes, bytes]:
    """The body that a head announces, and its trailers as they came."""
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
        trailers = b""
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            trailers += line
        return body, trailers
    for line in lower.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.split(b":")[1])), b""
    return b"", b""


@dataclass
class Arrived:
    """What an upstream was sent."""

    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    trailers: list[bytes] = field(default_factory=list)

    def fields(self, index: int = -1) -> list[bytes]:
        """The lines of a head, without the request line."""
        return self.heads[index].split(b"\r\n")[1:-2]


def recording(arrived: Arrived, answer: bytes | None = None) -> Conversation:
    """An upstream that writes down what it is sent as whole requests, and answers each."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            body, trailers = await read_body(reader, head)
            arrived.heads.append(head)
            arrived.bodies.append(body)
            arrived.trailers.append(trailers)
            writer.write(ok(b"hi") if answer is None else answer)
            await writer.drain()

    return conversation
