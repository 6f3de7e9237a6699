"""A Redis server of the tests' own, and consumers of its streams as real processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.support.shop_events import FAST
from tests.support.shop_services import ROOT, wait_until


@dataclass
class RedisServer:
    """Redis without persistence: what was in it is lost when it dies."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def url(self, stream: str, password: str = "") -> str:
        return f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0?stream={stream}"

    def start(self) -> None:
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        words += ["--appendonly", "no", "--dir", str(self.folder), *self.options]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    @contextmanager
    def client(self, password: str | None = None) -> Iterator["Redis"]:
        with closing(Redis(port=self.port, password=password, protocol=2)) as client:
            yield client

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, "redis-server has ended"
        with self.client() as client:
            try:
                return bool(client.ping())
            except RedisError as error:
                return "uthentication" in str(error)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server on a free port. Skips the test where Redis is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed. On Debian: apt-get install redis-server")
    server = RedisServer(folder, free_port(), options)
    server.start()
    try:
        yield server
    finally:
        server.go_on()
        server.kill()


@contextmanager
def consuming(
    module: str, database: Path, url: str, *options: object, first: str = "taking the events of "
) -> Iterator["subprocess.Popen[str]"]:
    """A consumer, as soon as it has said its `first` words."""
    command = [sys.executable, "-m", module, "consume", "--database", database, "--from", url]
    process = subprocess.Popen(
        [str(word) for word in (*command, *FAST, *options)],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith(first)
            yield process
        finally:
            process.kill()
