"""Server-sent events, read one by one as they arrive."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from tests.support.shop_services import PATIENCE


@dataclass
class Stream:
    """An answer whose parts are read when they are there. Raises TimeoutError when none comes."""

    socket: socket.socket
    file: BinaryIO
    status: int
    headers: dict[str, str]

    def part(self) -> bytes | None:
        """The next chunk as the shop sent it; None at the end (RFC 9112 section 7.1)."""
        size = int(self.file.readline(), 16)
        data = self.file.read(size)
        assert self.file.readline() == b"\r\n"
        return data if size else None

    def event(self) -> dict[str, Any] | None:
        """The next event: its data and its id; None at the end. Comments are skipped."""
        part = self.part()
        while part is not None and part.startswith(b":"):
            part = self.part()
        if part is None:
            return None
        lines = dict(line.split(": ", 1) for line in part.decode().strip("\n").split("\n"))
        assert lines["event"] == "status"
        return json.loads(lines["data"]) | {"id": int(lines["id"])}


@contextmanager
def stream(port: int, target: str, **headers: str) -> Iterator[Stream]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as made:
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        made.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}\r\n".encode())
        with made.makefile("rb") as file:
            status = int(file.readline().split()[1])
            named = {}
            while (line := file.readline()) != b"\r\n":
                name, _, value = line.decode().partition(":")
                named[name.lower()] = value.strip()
            yield Stream(made, file, status, named)
