"""Processes: started, waited for, watched, and all ended again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN = 30.0
POLL = 0.05
TAIL = 12  # lines of a log that are shown when its process has failed
#: The proxy finishes what is in flight before it leaves, and everyone who is served has left by then.
LEAVE_WITHIN = 15.0

_ADDRESS = re.compile(r"listening on (http://\S+:(\d+))")


class Trouble(Exception):
    """Why the demo cannot go on: a line for people, with more of them where they help."""


class Process:
    """One process in a session of its own, so that a Ctrl-C reaches the demo, which ends all in order.

    What it prints goes into the file `log`.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path, begin: int) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._begin = begin  # where its part of the log begins; an earlier process may have written before

    def check(self) -> None:
        """Raise Trouble when the process has ended."""
        code = self._process.returncode
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise Trouble(f"{self.name} {how}.{self.tail()}")

    async def until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until `ready`. Raises Trouble when the process ends before, or takes too long."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not ready():
                    self.check()
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise Trouble(f"{self.name} did not {what} within {READY_WITHIN:g} s.{self.tail()}") from None

    async def address(self) -> str:
        """Wait until the process says where it listens, and give that URL. Raises Trouble."""
        await self.until(lambda: _ADDRESS.search(self._said()) is not None, "begin to listen")
        found = _ADDRESS.search(self._said())
        assert found is not None
        return found[1]

    @property
    def pid(self) -> int:
        """Its number, by which a reader could kill it."""
        return self._process.pid

    async def kill(self) -> None:
        """End it as `kill -9` does, with all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        """Ask the process to leave; end it, with all it has started, when it does not."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), LEAVE_WITHIN)
            except TimeoutError:
                await self.kill()

    def _said(self) -> str:
        return self.log.read_bytes()[self._begin :].decode(errors="replace")

    def tail(self) -> str:
        """The end of what the process printed, to be put after a message."""
        lines = self._said().splitlines()[-TAIL:]
        return (
            "".join([f"\nThe end of the log of {self.name}:", *(f"\n  {line}" for line in lines)])
            if lines
            else ""
        )


class Processes:
    """All processes of the demo, all of them started in `folder`.

    What they print goes into its `logs`. As a context manager it ends those that are left, the last one first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs = folder / "logs"
        self._logs.mkdir(exist_ok=True)
        self._running: list[Process] = []

    async def __aenter__(self) -> Processes:
        return self

    async def __aexit__(self, *_: object) -> None:
        ending = asyncio.create_task(self._end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending  # told to leave while leaving: what has begun is finished first
            raise

    async def _end(self) -> None:
        while self._running:
            await self.stop(self._running[-1])

    async def start(self, name: str, argv: Sequence[str | Path]) -> Process:
        """Start a program. Its output is appended to the log of that name."""
        log = self._logs / f"{name.replace(' ', '-')}.log"
        with log.open("ab") as output:
            begin = output.tell()
            child = await _spawn(argv, self._folder, stdout=output, stderr=output)
        process = Process(name, child, log, begin)
        self._running.append(process)
        return process

    async def stop(self, process: Process) -> None:
        """End one process and wait for it."""
        await process.stop()
        self._running.remove(process)

    async def kill(self, process: Process) -> None:
        """Kill one process. Nobody takes it for one that has ended by itself."""
        self._running.remove(process)
        await process.kill()

    def check(self) -> None:
        """Raise Trouble when any process has ended by itself."""
        for process in self._running:
            process.check()


async def capture(
    argv: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program to its end; its exit code, and what it printed on either output."""
    child = await _spawn(argv, folder, stdout=PIPE, stderr=STDOUT, environment=environment)
    try:
        output, _ = await child.communicate()
    finally:
        # Only when we are told to leave in the middle: a command that has ended is not there to be killed.
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode is not None
    return child.returncode, output.decode(errors="replace")


def reserve() -> tuple[int, socket.socket]:
    """A free port, and the socket that keeps it free for a server that will come, until it is closed.

    On Linux a server may listen on a port that another socket is merely bound to, when both say SO_REUSEADDR
    (asyncio's servers do), and no outgoing connection is given that port meanwhile. Elsewhere the second bind is
    refused, so there the port is only likely to stay free.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    if sys.platform != "linux":
        sock.close()
    return port, sock


async def _spawn(
    argv: Sequence[str | Path],
    folder: Path,
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**_environment(), **(environment or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise Trouble(f"{argv[0]} cannot be started: {error.strerror or error}") from error


def _environment() -> dict[str, str]:
    # A token that is meant for the reader's own proxy would lock the demo out of its own, and settings of the reader's
    # own shop would be those of the demo's. The shop and its services are found wherever the demo was found.
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("STRANGLER_TOKEN", "SHOP_"))
    }
    return ours | {"PYTHONPATH": str(ROOT)}
