"""A gateway's counters, kept where they survive it: one small file of shared memory per worker.

The worker adds to integers in a memory map, which costs no system call. The observer reads the same file. When
the worker is killed, the pages stay, so nothing that was counted is lost; the lock that died with it tells the
observer that the numbers are final.

Layout: a header (magic, number of columns), then rows of `NAME` bytes of name followed by one unsigned 64-bit
number per column. A row is claimed by writing its name, and never moves or goes away. There is a row for each route,
and for each endpoint and the worker itself: their names begin with a slash, as no route's does.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: Reasons for which a gateway itself lets an eligible exchange go uncompared.
GATEWAY_SKIPS: Final = (
    "queue_full",  # the observer reads more slowly than exchanges arrive
    "observer_down",  # there is no observer to hand it to
    "body_too_large",  # a body beyond the limit on copies
    "streaming",  # an answer without an end (server-sent events)
    "caller_left",  # the caller hung up before the answer was complete
    "no_answer",  # the proxy answered itself: the side gave no answer, or half of one
    "request_cut",  # the side answered before the request was whole, so there is no whole request to copy
)

#: Answers per side by status class; `failed` is an answer the gateway had to give in a side's place.
TRAFFIC: Final = tuple(
    f"{side}_{what}"
    for side in ("legacy", "extracted")
    for what in ("1xx", "2xx", "3xx", "4xx", "5xx", "failed")
)

#: Callers of the extracted side that the legacy side was asked to answer in its place: `fallback` when the extracted
#: side was asked and failed before its first byte, `rerouted` when nobody asked it because its breaker was open,
#: `refused` when there were too many of them at once and the caller got a 503.
INSTEAD: Final = ("fallback", "rerouted", "refused")

#: The row of the worker itself.
WORKER: Final = "/"

#: What a worker counts beside requests: on an endpoint's row how often it was taken out, on its own row callers'
#: connections that were one too many, lines of the access log that were let go, and its CPU time in milliseconds.
BESIDE: Final = ("opened", "turned_away", "lines_dropped", "cpu_ms")

#: What is not counted but so at the moment. Of an endpoint: 1 while it is out of order, connections that carry a
#: request or are being made, connections that carry none, requests that wait for one. Of the worker: connections of
#: callers, bytes that wait for the observer, bytes of copies in the making, requests that the legacy side is answering
#: in the extracted side's place, resident memory. On the sheet of a worker that is gone they mean nothing.
NOW: Final = (
    *("out", "busy", "idle", "waiting"),
    *("callers", "feed_bytes", "copies_bytes", "instead", "memory_bytes"),
)

#: How long callers waited for the head of an answer, per side: counts in buckets of 4 %, as the evidence has them.
#: Bucket `i` holds up to `GROWTH ** i` milliseconds and more than `GROWTH ** (i - 1)`.
GROWTH: Final = 1.02 / 0.98
FASTEST: Final = -58  # up to 0.098 ms, and whatever is faster
SLOWEST: Final = 275  # 60 s, and whatever is slower
WAITS: Final = tuple(
    f"{side}_wait_{bucket}" for side in ("legacy", "extracted") for bucket in range(FASTEST, SLOWEST + 1)
)

#: `eligible` counts when a request that is to be copied begins, `handed` or a skip when it has ended. So on a
#: dead worker's sheet the difference is what it took with it.
COLUMNS: Final = (
    *TRAFFIC,
    *BESIDE,
    *NOW,
    *("retried", *INSTEAD, "eligible", "handed"),
    *GATEWAY_SKIPS,
    *WAITS,
)
INDEX: Final = {name: index for index, name in enumerate(COLUMNS)}

NAME: Final = 512  # a route's name has 100 characters at most, 400 bytes in UTF-8
CAPACITY: Final = 32_768  # rows; the file is sparse, so unused rows take no memory
_MAGIC: Final = b"strangler.sheet/1"
_HEADER: Final = 64
_ROW: Final = NAME + 8 * len(COLUMNS)
_NOTHING: Final = bytes(8 * len(COLUMNS))


class SheetFull(RuntimeError):
    """More routes than a sheet has rows."""


def row_of(endpoint: str) -> str:
    """The name of an endpoint's row (`payments 10.0.3.7:8002`)."""
    return f"/{endpoint}"


class Sheet:
    """A worker's own sheet: it alone writes. Use as a context manager; the file outlives it on purpose."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # It gets its name when it is whole and held: a sheet that nobody holds is taken for a dead worker's.
        unnamed = path.with_suffix(".new")
        self._file = open(unnamed, "w+b")  # noqa: SIM115 - held for the worker's life, closed in close()
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = _HEADER + CAPACITY * _ROW
        self._file.truncate(size)
        self._map = mmap.mmap(self._file.fileno(), size)
        self._map[_HEADER - 8 : _HEADER] = struct.pack("<Q", len(COLUMNS))
        self._map[: len(_MAGIC)] = _MAGIC
        unnamed.replace(path)
        #: All counts as one flat array; `base(route) + INDEX[column]` is a count's place in it.
        self.counts = memoryview(self._map).cast("Q")
        self._bases: dict[str, int] = {}

    def base(self, route: str) -> int:
        """Where the numbers of `route`, or of another row, begin. The first call claims a row. Raises SheetFull."""
        known = self._bases.get(route)
        if known is not None:
            return known
        row = len(self._bases)
        if row >= CAPACITY:
            raise SheetFull(f"{self.path}: more than {CAPACITY} routes")
        start = _HEADER + row * _ROW
        name = route.encode()[: NAME - 2]
        # The length comes last: a reader takes a row only once its name is whole.
        self._map[start + 2 : start + 2 + len(name)] = name
        self._map[start : start + 2] = struct.pack("<H", len(name) + 1)
        base = self._bases[route] = (start + NAME) // 8
        return base

    def add(self, row: str, column: str, count: int = 1) -> None:
        """Count something that happens seldom."""
        self.counts[self.base(row) + INDEX[column]] += count

    def column(self, column: str) -> dict[str, int]:
        """The counts of one column by route, without zeros."""
        index = INDEX[column]
        return {route: count for route, base in self._bases.items() if (count := self.counts[base + index])}

    def close(self) -> None:
        """Let go of the lock: the numbers are final now."""
        self.counts.release()
        self._map.close()
        self._file.close()

    def __enter__(self) -> Sheet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Counts = dict[str, dict[str, int]]


def read(path: Path) -> Counts:
    """The counts of a sheet as they stand: route -> column -> count, without zeros. Raises OSError, ValueError."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        columns = struct.unpack_from("<Q", data, _HEADER - 8)[0] if len(data) >= _HEADER else 0
        if data[: len(_MAGIC)] != _MAGIC or columns != len(COLUMNS):
            raise ValueError(f"{path}: not a sheet of this version")
        return dict(_rows(data))


def _rows(data: mmap.mmap) -> Iterator[tuple[str, dict[str, int]]]:
    layout = struct.Struct(f"<{len(COLUMNS)}Q")
    for start in range(_HEADER, len(data) - _ROW + 1, _ROW):
        length = int.from_bytes(data[start : start + 2], "little")
        if length == 0:
            return
        name = data[start + 2 : start + 1 + length].decode(errors="replace")
        if data[start + NAME : start + _ROW] == _NOTHING:
            yield name, {}
            continue
        counts = layout.unpack_from(data, start + NAME)
        yield name, {column: count for column, count in zip(COLUMNS, counts, strict=True) if count}


def is_final(path: Path) -> bool:
    """True when no worker holds the sheet any more. Raises OSError when the file is gone."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
