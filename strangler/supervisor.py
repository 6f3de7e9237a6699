"""`strangler serve`: starts the gateways and the observer, watches routes.yaml, restarts what dies, drains.

The supervisor carries no traffic. It holds the listening sockets, so that a caller who knocks while a worker is
being restarted waits a moment instead of being refused, and it holds the running table, so that a worker that
starts while routes.yaml is faulty still gets the last good one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from strangler import __version__
from strangler.console import guard
from strangler.control import Faulty, Line, Message, Reloads, Run, Running
from strangler.cutover import CutoverError, Moves, overlaid, read_moves
from strangler.cutover.moves import NAME as MOVES
from strangler.listening import CannotServe, Sockets, claim, unlink, url_of
from strangler.loading import load_table
from strangler.routes import Faults, Table, format_percent

WATCH = 0.2  # seconds between looks at routes.yaml
OBSERVER_READY = 5.0  # seconds that the observer has before the start is announced without it
# Seconds that a worker has to take a new table before the observer goes ahead without it.
APPLIED_WITHIN = 2.0
WORKERS_DRAIN = 35.0
OBSERVER_DRAIN = 15.0
LONG_LIVED = 10.0  # seconds after which a process's next death is not held against it

_Signature = tuple[int, int, int]
_Signatures = tuple[_Signature | None, _Signature | None]

log = logging.getLogger("strangler")


def serve(routes: Path, state: Path, workers: int) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code: 0, or 2 when a file or an address is wrong."""
    logging.basicConfig(level=logging.INFO, format="strangler: %(message)s", stream=sys.stderr)
    try:
        seen = _signatures(routes, state)  # first: what is saved while it is being read is news
        file, _ = load_table(routes)
        table = overlaid(file, read_moves(state))
        problem = guard.check(table.admin, os.environ.get("STRANGLER_TOKEN"))
        if problem is not None:
            raise CannotServe(problem)
        with contextlib.ExitStack() as stack:
            claim(state, stack)
            sockets = Sockets(table, state, workers, stack)
            asyncio.run(_Supervisor(routes, state, file, table, sockets, seen).run())
    except Faults as faults:
        print(faults, file=sys.stderr)
        return 2
    except (CannotServe, CutoverError) as error:
        print(f"strangler: {error}", file=sys.stderr)
        return 2
    return 0


class Child:
    """One process that is kept alive, and the line to it."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Callable[[int], dict[str, object]],
        inherits: Sequence[int],
        on_message: Callable[[Child, Message], None],
        on_start: Callable[[Child], None],
    ) -> None:
        self.name = name
        self.version = ""  # the table it said is in force
        self.pid: int | None = None
        self._module = module
        self._arguments = arguments
        self._inherits = inherits
        self._on_message = on_message
        self._on_start = on_start
        self._process: asyncio.subprocess.Process | None = None
        self._line: Line | None = None
        self._leaving = False

    def send(self, message: Message) -> None:
        """Send to the process, if it runs."""
        if self._line is not None:
            self._line.send(message)

    async def keep_running(self) -> None:
        """Run the process, again and again, until `leave`."""
        failures = 0
        while True:
            started = time.monotonic()
            code = await self._run_once()
            if self._told():
                return
            lived = time.monotonic() - started
            failures = 0 if lived > LONG_LIVED else failures + 1
            pause = 0.0 if failures <= 1 else min(0.1 * 2**failures, 5.0)
            how = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            log.warning("%s (pid %s) was %s; it is being restarted", self.name, self.pid, how)
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = json.dumps(self._arguments(theirs.fileno()))
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                arguments,
                pass_fds=(theirs.fileno(), *self._inherits),
                start_new_session=True,  # a Ctrl-C on the terminal is for the supervisor, which then drains
            )
        self.pid = self._process.pid
        self.version = ""
        _, self._line = await asyncio.get_running_loop().create_connection(
            lambda: Line(self._take, lambda: None), sock=ours
        )
        self._on_start(self)
        self._leave_if_told()  # it may have been told to while it was being started
        code = await self._process.wait()
        self._line.close()
        self._line = None
        return code

    def _take(self, message: Message) -> None:
        if isinstance(message, Running):
            self.version = message.version
        self._on_message(self, message)

    def leave(self) -> None:
        """Ask the process to drain and end, and do not start it again."""
        self._leaving = True
        self._leave_if_told()

    def _told(self) -> bool:
        return self._leaving

    def _leave_if_told(self) -> None:
        if self._leaving and self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


class _Supervisor:
    def __init__(
        self, routes: Path, state: Path, file: Table, table: Table, sockets: Sockets, seen: _Signatures
    ) -> None:
        self._routes = routes
        self._state = state
        self._seen = seen
        self._file = file  # the last good save, without what is kept in the state folder
        self._moves: Moves = read_moves(state)
        self._table = table
        self._faults: tuple[str, ...] = ()
        self._reloads = Reloads(at=time.time())
        self._sockets = sockets
        self._changed = asyncio.Event()
        self._leave = asyncio.Event()
        self._workers = [self._worker(slot, sock) for slot, sock in enumerate(sockets.gateways)]
        admin, feed = sockets.admin.fileno(), sockets.feed.fileno()
        paths = {"state": str(state), "routes": str(routes)}
        self._observer = Child(
            "observer",
            "strangler.observer",
            lambda control: {"admin": admin, "feed": feed, "control": control, **paths},
            [admin, feed],
            self._heard,
            self._greet_observer,
        )

    def _worker(self, slot: int, sock: socket.socket) -> Child:
        listener, feed, state = sock.fileno(), self._sockets.feed_path, str(self._state)
        return Child(
            f"worker {slot}",
            "strangler.gateway",
            lambda control: {
                "slot": slot,
                "listener": listener,
                "control": control,
                "feed": feed,
                "state": state,
            },
            [listener],
            self._heard,
            lambda child: child.send(Run(self._table)),
        )

    def _heard(self, child: Child, message: Message) -> None:
        self._changed.set()

    def _greet_observer(self, child: Child) -> None:
        child.send(Run(self._table))
        child.send(Faulty(self._faults, self._reloads))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave.set)
        keepers = [asyncio.create_task(child.keep_running()) for child in (*self._workers, self._observer)]
        watcher = asyncio.create_task(self._watch())
        announcer = asyncio.create_task(self._announce())
        failed = await _first_of(self._leave.wait(), *keepers, watcher)
        watcher.cancel()
        announcer.cancel()
        await self._drain(keepers)
        unlink(str(self._state / "server.json"))
        if failed is not None:
            raise failed

    async def _announce(self) -> None:
        """Say where we listen, once callers are answered. The observer may come later, or not at all."""
        while not await self._applied(self._workers, self._table.version, within=10.0):
            log.warning("the workers are not ready yet")
        if not await self._applied([self._observer], self._table.version, within=OBSERVER_READY):
            log.warning("the observer is not ready: callers are answered, but nothing is compared")
        listen = url_of(self._sockets.gateways[0])
        admin = url_of(self._sockets.admin)
        facts = {"pid": os.getpid(), "listen": listen, "admin": admin, "version": __version__}
        path = self._state / "server.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(facts) + "\n")
        temporary.replace(path)
        log.info(
            "%s %s, admin on http://%s, %d worker(s), %d route(s) from %s",
            __version__,
            f"listening on {'https' if self._table.tls else 'http'}://{listen}",
            admin,
            len(self._workers),
            len(self._table.routes),
            self._routes,
        )
        self._tell_kept(self._table)

    async def _watch(self) -> None:
        """Take every good save into force; keep the running table through every bad one, and say so."""
        seen, moved = self._seen
        while True:
            await asyncio.sleep(WATCH)
            signature, kept = _signatures(self._routes, self._state)
            if (signature, kept) == (seen, moved):
                continue
            if signature is None:
                await asyncio.sleep(WATCH)  # some editors remove before they write
                if _signature(self._routes) is not None:
                    continue
            saved, moves = signature != seen, kept != moved
            seen, moved = signature, kept
            good = await self._reload() if saved else False
            if good or moves:
                await self._take_up()
            self._observer.send(Faulty(self._faults, self._reloads))

    async def _reload(self) -> bool:
        """Read the file. False when it has faults: then the last good save stays the file's table."""
        try:
            self._file, _ = await asyncio.to_thread(load_table, self._routes)
        except Faults as faults:
            self._faults = tuple(str(faults).splitlines())
            for line in self._faults:
                log.error("%s", line)
            log.error("the running table stays in force")
            self._reloads = replace(self._reloads, refused=self._reloads.refused + 1)
            return False
        self._faults = ()
        self._reloads = replace(self._reloads, taken=self._reloads.taken + 1, at=time.time())
        return True

    async def _take_up(self) -> None:
        """Take the file's table into force, with the shares that are kept in the state folder."""
        try:
            self._moves = read_moves(self._state)
        except CutoverError as error:
            log.error("%s; those read before stay in force", error)
        table = overlaid(self._file, self._moves)
        for key in ("listen", "admin"):
            if getattr(table, key) != getattr(self._table, key):
                log.warning("%s: `%s` has changed; that takes effect at the next start", self._routes, key)
        if (table.tls is None) != (self._table.tls is None):
            log.warning("%s: `tls` has changed; that takes effect at the next start", self._routes)
            table = replace(table, tls=self._table.tls)  # also for a worker that is restarted
        self._table = table
        for worker in self._workers:
            worker.send(Run(table))
        # The observer speaks for all: it is told last, so that what it calls running is running everywhere.
        if not await self._applied(self._workers, table.version, within=APPLIED_WITHIN):
            log.warning("not every worker has taken the new table yet")
        self._observer.send(Run(table))
        self._tell_kept(table)
        log.info("%s is in force: %d route(s), table %s", self._routes, len(table.routes), table.digest[:12])

    def _tell_kept(self, table: Table) -> None:
        for name, share in table.kept:
            now, file = format_percent(table.share_of(name) or 0), format_percent(share)
            log.warning("%s: share %s, kept in %s; the file says %s", name, now, self._state, file)

    async def _applied(self, children: Sequence[Child], version: str, *, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                while any(child.version != version for child in children):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _drain(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        """Callers first, then the evidence of them: the observer leaves when the workers have handed over."""
        log.info("draining")
        for sock in self._sockets.gateways:
            sock.close()
        await _end(self._workers, keepers[:-1], WORKERS_DRAIN)
        await _end([self._observer], keepers[-1:], OBSERVER_DRAIN)
        log.info("done")


async def _end(children: Sequence[Child], keepers: Sequence[asyncio.Task[None]], within: float) -> None:
    for child in children:
        child.leave()
    _, late = await asyncio.wait(keepers, timeout=within)
    if late:
        for child in children:
            child.kill()
        await asyncio.wait(late, timeout=5.0)


async def _first_of(*things: object) -> BaseException | None:
    """Wait for the first to end; the error it ended with, if any."""
    tasks = [asyncio.ensure_future(thing) for thing in things]  # type: ignore[call-overload]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    tasks[0].cancel()
    return next((task.exception() for task in done if not task.cancelled() and task.exception()), None)


def _signatures(routes: Path, state: Path) -> _Signatures:
    """Of the two files that say which table is to run. They change when the file does."""
    return _signature(routes), _signature(state / MOVES)


def _signature(path: Path) -> _Signature | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
