"""Servers and callers that say exactly the bytes a test wants said, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.support.servers import stop

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(
    conversation: Conversation, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[int]:
    """A server on loopback that holds `conversation` with everybody who connects, perhaps over TLS."""
    open_tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_tasks.add(task)
        try:
            await conversation(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            open_tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=2**22, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop(server)
        for task in list(open_tasks):
            task.cancel()
        if open_tasks:
            await asyncio.wait(list(open_tasks), timeout=5)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """A message's head, with the empty line."""
    return await reader.readuntil(b"\r\n\r\n")


def answering(*answers: bytes, seen: list[bytes] | None = None) -> Conversation:
    """Reads one bodyless request per answer and answers it; keeps the connection open in between."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await read_head(reader)
            if seen is not None:
                seen.append(head)
            writer.write(answer)
            await writer.drain()

    return conversation


def ok(body: bytes, *fields: bytes) -> bytes:
    """A plain 200 with that body."""
    extra = b"".join(field + b"\r\n" for field in fields)
    return b"HTTP/1.1 200 OK\r\n" + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def until(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Wait until the condition holds. Fails when it does not in time."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - any condition may be waited for, also another process's
            await asyncio.sleep(0.01)
