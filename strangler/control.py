"""The line between the supervisor and each of its processes: one inherited socket, pickled messages both ways.

Pickle is safe here because both ends are this program, joined by a socket that nobody else can open. When the
supervisor dies the line closes, and the process at the other end drains and leaves.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass

from strangler.routes import Table

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Run:
    """To a process: this is the running table."""

    table: Table


@dataclass(frozen=True, slots=True)
class Faulty:
    """To the observer: the file's last save has these faults, as lines. None means that it is fine again."""

    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Running:
    """From a process: the table with this digest is in force here."""

    digest: str


Message = Run | Faulty | Running


class Line(asyncio.Protocol):
    """One end of the line. `on_message` is called with each message, `on_closed` once."""

    def __init__(self, on_message: Callable[[Message], None], on_closed: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_closed = on_closed
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a socket transport

    def data_received(self, data: bytes) -> None:
        """Take whole messages out of the stream."""
        self._buffer += data
        while len(self._buffer) >= 4:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            self._on_message(pickle.loads(body))

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end is gone."""
        self._transport = None
        self._on_closed()

    def send(self, message: Message) -> None:
        """Send a message; nothing happens when the other end is gone."""
        if self._transport is not None:
            body = pickle.dumps(message)
            self._transport.write(_LENGTH.pack(len(body)) + body)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()
