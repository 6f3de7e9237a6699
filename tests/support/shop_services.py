"""The shop's three services as real processes, and a plain client for them."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Service:
    process: subprocess.Popen[str]
    port: int

    def ask(self, target: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, target, data, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """End the process with a signal; gives its exit code and the rest of what it printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@contextmanager
def running(module: str, *options: object, **environment: str) -> Iterator[Service]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, "serve", "--port", "0", *map(str, options)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            assert process.stderr
            line = process.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:"), process.stderr.read()
            yield Service(process, int(line.rsplit(":", 1)[1]))
        finally:
            process.kill()


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def run(module: str, *options: object) -> Done:
    """Run a command line that ends by itself, in this process: a new interpreter takes a second."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = import_module(f"{module}.__main__").main([str(option) for option in options])
    except SystemExit as end:
        code = end.code
    finally:
        signal.signal(signal.SIGTERM, handler)
    return Done(code, out.getvalue(), err.getvalue())


def bring_over(service: str, source: Path, database: Path) -> str:
    """Import the monolith's data; gives what the command printed."""
    done = run(f"extracted.{service}", "import", "--from", source, "--database", database)
    assert (done.code, done.err) == (0, "")
    return done.out


def dump(path: Path) -> list[str]:
    """Everything that a database holds."""
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def wait_until(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    """Wait until the condition holds. Fails when it does not in time."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within:g} s"
        time.sleep(0.005)


def assert_one_line(done: Done, module: str) -> None:
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"python -m {module}")
    assert done.err.count("\n") == 1, done.err
