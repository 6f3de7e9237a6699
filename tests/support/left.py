"""What is left behind: sockets of this process that nobody has closed."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import stat
import warnings
from collections.abc import Set

#: One open socket, as nothing else is named in the life of the machine: its file descriptor and its inode.
Open = tuple[int, int]


def open_sockets() -> frozenset[Open]:
    """The sockets that this process has open now, whoever holds them."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the listing's own descriptor is closed by now
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                found.add((int(name), status.st_ino))
    return frozenset(found)


def left_since(before: Set[Open]) -> list[str]:
    """Every socket that was opened since and still is, and what the garbage collector says of them.

    It is asked only when something is left: a collection takes longer than many a test. What it finds it would
    otherwise find in the middle of another test, and that one would fail for it.
    """
    left = [_described(fd) for fd, _ in sorted(open_sockets() - before)]
    if not left:
        return []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gc.collect()
    return [*left, *(str(each.message) for each in told if each.category is ResourceWarning)]


def _described(fd: int) -> str:
    with socket.socket(fileno=os.dup(fd)) as sock:
        peer = ""
        with contextlib.suppress(OSError):  # it listens, or its peer is gone
            peer = f" to {sock.getpeername()}"
        return f"{sock.family.name} socket {fd} at {sock.getsockname()}{peer}"
