"""What a server claims before it starts: its state directory, and every socket that its processes listen on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
from pathlib import Path

from strangler.routes import Address, Table


class CannotServe(Exception):
    """Why the proxy cannot start, in one line."""


def claim(state: Path, stack: contextlib.ExitStack) -> None:
    """One server per state directory, as long as `stack` lasts. Raises CannotServe."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = stack.enter_context((state / "server.lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotServe(f"another strangler is serving with the state directory {state}") from error
    except OSError as error:
        raise CannotServe(f"the state directory {state} cannot be used: {error.strerror}") from error


class Sockets:
    """Every socket the processes listen on, bound before any of them starts. Raises CannotServe."""

    def __init__(self, table: Table, state: Path, workers: int, stack: contextlib.ExitStack) -> None:
        self.gateways = _shared(table.listen, workers)
        self.admin = _bound(table.admin, share=False)
        self.admin.listen(128)
        self.feed_path = str((state / "feed.sock").resolve())
        if len(self.feed_path.encode()) > 100:  # a Unix socket's path has room for 107 bytes
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="strangler-"))
            self.feed_path = f"{folder}/feed.sock"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.feed_path)  # left by a server that was killed; the state lock says it is gone
        self.feed = socket.socket(socket.AF_UNIX)
        self.feed.bind(self.feed_path)
        os.chmod(self.feed_path, 0o600)
        self.feed.listen(64)
        for sock in (*self.gateways, self.admin, self.feed):
            stack.callback(sock.close)
        stack.callback(unlink, self.feed_path)


def unlink(path: str) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _shared(address: Address, count: int) -> list[socket.socket]:
    """One listening socket per worker on one port. Nobody else may be there already, sharing or not."""
    if address.port:
        _bound(address, share=False).close()
    first = _bound(address, share=True)
    port = first.getsockname()[1]
    rest = [_bound(Address(address.host, port), share=True) for _ in range(count - 1)]
    for sock in (first, *rest):
        sock.listen(1024)
    return [first, *rest]


def _bound(address: Address, *, share: bool) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(where)
    except OSError as error:
        raise CannotServe(f"cannot listen on {address}: {error.strerror or error}") from error
    return sock


def url_of(sock: socket.socket) -> str:
    """Where a bound socket is reached, as `host:port`."""
    host, port = sock.getsockname()[:2]
    return str(Address(host, port))
