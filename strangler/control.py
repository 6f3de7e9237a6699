"""The line between the supervisor and each of its processes: one inherited socket, pickled messages both ways.

Pickle is safe here because both ends are this program, joined by a socket that nobody else can open. When the
supervisor dies the line closes, and the process at the other end drains and leaves.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import struct
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from strangler.routes import Table

_LENGTH = struct.Struct("!I")
_T = TypeVar("_T")

#: A longer message, a table of many routes, is unpacked beside the loop (bytes).
LONG = 64 * 1024
#: While that is done, nobody on the loop waits longer than this for the interpreter (seconds).
SWITCH = 0.0005


@dataclass(frozen=True, slots=True)
class Run:
    """To a process: this is the running table."""

    table: Table


@dataclass(frozen=True, slots=True)
class Reloads:
    """How many saves of the file were taken and refused since the start, and when the last good one was read, the
    first included (Unix seconds)."""

    taken: int = 0
    refused: int = 0
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Faulty:
    """To the observer: the file's last save has these faults, as lines. None means that it is fine again."""

    faults: tuple[str, ...]
    reloads: Reloads = Reloads()


@dataclass(frozen=True, slots=True)
class Running:
    """From a process: this version of the table is in force here."""

    version: str


Message = Run | Faulty | Running


class Line(asyncio.Protocol):
    """One end of the line. `on_message` is called with each message, `on_closed` once."""

    def __init__(self, on_message: Callable[[Message], None], on_closed: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_closed = on_closed
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._long: deque[bytes] = deque()
        self._unpacking: asyncio.Task[None] | None = None

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
            if len(body) < LONG and self._unpacking is None:
                self._on_message(pickle.loads(body))
            else:  # and whatever comes behind it waits its turn
                self._long.append(body)
                if self._unpacking is None:
                    self._unpacking = asyncio.get_running_loop().create_task(self._unpack())

    async def _unpack(self) -> None:
        while self._long:
            self._on_message(await aside(pickle.loads, self._long.popleft()))
        self._unpacking = None

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


async def aside(function: Callable[..., _T], *arguments: object) -> _T:
    """Run something long in a thread, which gives the interpreter back every `SWITCH` seconds.

    Nothing is collected meanwhile: that would stop every thread, to look at much that is new and not garbage.
    """
    with _gentle:
        return await asyncio.to_thread(function, *arguments)


class _Gentle:
    """How the interpreter is set while anything runs aside. One table may arrive while another is compiled."""

    def __init__(self) -> None:
        self._inside = 0
        self._interval = 0.0
        self._collects = True

    def __enter__(self) -> None:
        if not self._inside:
            self._interval, self._collects = sys.getswitchinterval(), gc.isenabled()
            sys.setswitchinterval(SWITCH)
            gc.disable()
        self._inside += 1

    def __exit__(self, *_: object) -> None:
        self._inside -= 1
        if not self._inside:
            sys.setswitchinterval(self._interval)
            if self._collects:
                gc.enable()


_gentle = _Gentle()
