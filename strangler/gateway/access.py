"""The access log: one line of JSON for each request, written beside the loop.

A disk that is slow or full is nobody's concern but the log's: what cannot be written in time is dropped, counted,
and the count is written when there is room again.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from strangler.gateway.caller import CallerConnection
    from strangler.gateway.inbound import Inbound
    from strangler.gateway.passage import Passage

#: Lines that may wait for the disk. Beyond this they are dropped.
WAITING: Final = 50_000
#: Seconds between two writes.
PERIOD: Final = 0.1
#: Seconds that closing waits for the last lines.
PATIENCE: Final = 2.0
#: No line is longer, its end included (bytes). A pipe takes this much as a whole (PIPE_BUF), so that the lines of
#: several workers never run into each other; and it bounds what may wait.
LONGEST: Final = 4096
#: A target that makes its line longer is cut to so many characters. JSON writes six bytes for the worst of them.
CUT: Final = 400
#: Bytes that are written to a file at once.
PIECE: Final = 256 * 1024

log = logging.getLogger("strangler.gateway")


class Line(msgspec.Struct, gc=False):
    """One request. Times in milliseconds; `end` says how it ended (docs/operations.md)."""

    time: str  # RFC 3339, when the request came in
    route: str | None
    side: str | None
    upstream: str | None
    bucket: int | None
    method: str
    target: str
    status: int
    caller: str
    trace: str | None
    upstream_ms: float | None  # from the request being sent to the end of the answer
    total_ms: float | None  # None for a request that went nowhere, or came before there was a log
    bytes_in: int
    bytes_out: int
    retry: bool
    fallback: bool
    shadow: bool
    end: str


class Access:
    """The access log that is in use, if any. `use` may change it while requests are under way.

    `on_drop` is called for each line that is let go.
    """

    def __init__(self, on_drop: Callable[[], None] = lambda: None) -> None:
        self._on_drop = on_drop
        self.log: AccessLog | None = None
        self._path: str | None = None
        self._former: list[AccessLog] = []  # told to finish, and perhaps still at it

    def use(self, path: str | None) -> None:
        """Write to this path from now on, to `stdout`, or not at all. Waits for nothing."""
        if path == self._path:
            return
        self._path = path
        former, self.log = self.log, None if path is None else AccessLog(path, self._on_drop)
        if former is not None:
            former.finish()
            self._former = [*(each for each in self._former if not each.finished), former]

    def close(self) -> None:
        """Write what waits, for at most PATIENCE seconds."""
        self.use(None)
        until = time.monotonic() + PATIENCE
        for former in self._former:
            former.join(max(until - time.monotonic(), 0.0))


class AccessLog:
    """An access log. `write` costs the loop one encoding; a thread does the rest, opening the file included.

    `dropped` counts the lines that were let go, and `on_drop` is called for each.
    """

    def __init__(self, path: str, on_drop: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._on_drop = on_drop
        self._lines: deque[bytes] = deque()
        self._encode = msgspec.json.Encoder().encode
        self._closing = threading.Event()
        self.dropped = 0  # only the loop adds to it
        self._second = 0
        self._text = ""
        # The rest is the thread's own.
        self._file: int | None = None
        self._piece = LONGEST
        self._torn = False  # the file ends within a line
        self._told = 0  # dropped lines that the log speaks of
        self._faulty = False
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, line: Line) -> None:
        """Have a line written. Never waits and never fails."""
        if len(self._lines) >= WAITING:
            self.dropped += 1
            self._on_drop()
            return
        data = self._encode(line)
        if len(data) >= LONGEST:
            line.target = line.target[:CUT] + "…"
            data = self._encode(line)
        self._lines.append(data)

    def stamp(self, at: float) -> str:
        """A Unix time as RFC 3339 with milliseconds."""
        second = int(at)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{int((at - second) * 1000):03d}Z"

    def finish(self) -> None:
        """Write what waits, then end. Returns at once."""
        self._closing.set()

    def join(self, within: float) -> None:
        """Wait at most `within` seconds for the end."""
        self._thread.join(within)

    @property
    def finished(self) -> bool:
        """True when everything is written, or given up."""
        return not self._thread.is_alive()

    # -- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._flush()
        while not self._closing.wait(PERIOD):
            self._flush()
        self._flush()
        if lost := len(self._lines) + self.dropped - self._told:
            log.error("lines of the access log that were never written: %d", lost)
        self._let_go_of_file()

    def _flush(self) -> None:
        """Write what waits. What cannot be written goes on waiting."""
        lines = self._lines
        if self._file is not None and not lines and self._told == self.dropped:
            return
        try:
            self._open_or_reopen()
            left = len(lines)
            while left > 0:
                piece = self._next_piece(left)
                left -= len(piece)
                self._put(piece)
            if dropped := self.dropped - self._told:
                self._told += dropped
                self._put([msgspec.json.encode({"dropped": dropped})])
        except OSError as error:
            if not self._faulty:
                log.error("the access log cannot be written: %s: %s", self._path, error.strerror or error)
            self._faulty = True
        else:
            if self._faulty:
                log.info("the access log is written again: %s", self._path)
            self._faulty = False

    def _next_piece(self, most: int) -> list[bytes]:
        """Lines to be written at once: at least one, and no more than fit."""
        piece = [self._lines.popleft()]
        size = len(piece[0]) + 1
        while len(piece) < most and (size := size + len(self._lines[0]) + 1) <= self._piece:
            piece.append(self._lines.popleft())
        return piece

    def _put(self, piece: list[bytes]) -> None:
        """Write some lines. Those that do not get through go back to their place."""
        mend = self._torn
        data = (b"\n" if mend else b"") + b"\n".join(piece) + b"\n"
        done = 0
        try:
            while done < len(data):
                done += self._write(data[done:] if done else data)
        except OSError:
            if done:
                self._torn = data[done - 1 : done] != b"\n"
                piece = piece[data.count(b"\n", 0, done) - mend :]
            self._lines.extendleft(reversed(piece))
            raise
        self._torn = False

    def _write(self, data: bytes) -> int:
        assert self._file is not None
        try:
            return os.write(self._file, data)
        except BlockingIOError:  # whoever shares our standard output may have made it so
            poll = select.poll()
            poll.register(self._file, select.POLLOUT)
            poll.poll(1000)
            return 0

    def _open_or_reopen(self) -> None:
        """Whoever rotates logs renames the file: go on in a new one."""
        if self._path == "stdout":
            if self._file is None:
                self._use(_stdout())
            return
        try:
            here = os.stat(self._path)
        except FileNotFoundError:
            here = None
        if self._file is None or here is None or not os.path.samestat(here, os.fstat(self._file)):
            self._use(_open(self._path))

    def _use(self, file: int) -> None:
        self._let_go_of_file()
        self._file = file
        self._torn = False
        # Pipes and sockets may be others' too, and take only so much without a break.
        self._piece = PIECE if stat.S_ISREG(os.fstat(file).st_mode) else LONGEST

    def _let_go_of_file(self) -> None:
        file, self._file = self._file, None
        if file is not None and self._path != "stdout":
            os.close(file)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


def _stdout() -> int:
    if sys.__stdout__ is None:  # it was closed before we were started: 1 may be anything by now
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.__stdout__.fileno()


def line_for(writer: AccessLog, passage: Passage, status: int, end: str) -> Line:
    """What is written of a passage."""
    decision, inbound = passage.decision, passage.inbound
    now = time.perf_counter()
    began = passage.started or now  # a request that came before there was a log was not timed
    return Line(
        writer.stamp(time.time() - (now - began)),
        decision.route.name if decision.route else None,
        decision.side,
        decision.upstream.name,
        decision.bucket,
        inbound.method,
        inbound.target,
        status,
        passage.caller.client,
        passage.trace[3:35].decode("ascii") or None,
        round((now - passage.sent_at) * 1000.0, 3) if passage.sent_at else None,
        round((now - began) * 1000.0, 3) if passage.started else None,
        inbound.size,
        passage.bytes_out,
        passage.retried,
        False,
        passage.shadow,
        end,
    )


def refusal_for(writer: AccessLog, caller: CallerConnection, inbound: Inbound, status: int) -> Line:
    """What is written of a request that went nowhere."""
    return Line(
        writer.stamp(time.time()),
        *(None, None, None, None),
        inbound.method,
        inbound.target or inbound.url.decode("latin-1"),
        status,
        caller.client,
        *(None, None, None),
        inbound.size,
        0,
        *(False, False, False),
        "refused",
    )
