"""The command as a process: signals, pipes, terminals, and a proxy that is running."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from strangler.cli.running import running, taken
from strangler.cutover import read_table

COMMAND = [sys.executable, "-m", "strangler"]
TEXT = """\
version: 1
upstreams:
  monolith: {url: http://127.0.0.1:8001}
  payments: {url: http://127.0.0.1:8002}
legacy: monolith
routes:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    routes = [f"  - {{name: r{n}, match: GET /{n}, extracted: payments, share: 0%}}\n" for n in range(3)]
    (tmp_path / "routes.yaml").write_text(TEXT + "".join(routes))
    (tmp_path / ".strangler").mkdir()
    return tmp_path


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_pipe_that_closes_is_no_traceback_and_no_verdict(folder: Path) -> None:
    routes = [f"  - {{name: r{n}, match: GET /{n}, extracted: payments, share: 0%}}\n" for n in range(300)]
    (folder / "routes.yaml").write_text(TEXT + "".join(routes))
    for command in ("status", "history -h", "report"):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb") as closed:
            done = subprocess.run(
                [*COMMAND, *command.split()],
                cwd=folder,
                stdout=closed,
                stderr=subprocess.PIPE,
                timeout=60,
                check=False,
            )
        assert done.returncode == 141
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr


def test_a_full_disk_is_one_line(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "check"], cwd=folder, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"strangler: No space left on device\n"


def test_colour_only_on_a_terminal(folder: Path) -> None:
    assert "\x1b" not in _run(folder, "status").stdout
    forced = _run(folder, "status", FORCE_COLOR="1", TERM="xterm")
    assert "\x1b" in forced.stdout
    assert "\x1b[3" not in _run(folder, "status", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm").stdout


def test_a_plain_locale_is_enough(folder: Path) -> None:
    assert _run(folder, "report", LC_ALL="C").returncode == 0


class _Admin(BaseHTTPRequestHandler):
    """Stands for the admin listener: says what the test put into `answers`, and keeps what it was asked."""

    answers: dict[str, Any]
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        status, body = self.answers.get(self.path, (404, {"detail": "no"}))
        data = json.dumps(body() if callable(body) else body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _serving(folder: Path, answers: dict[str, Any]) -> Iterator[list[tuple[str, str | None]]]:
    handler = type("Handler", (_Admin,), {"answers": answers, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    facts = {"pid": os.getpid(), "listen": "127.0.0.1:1", "admin": f"127.0.0.1:{server.server_port}"}
    (folder / ".strangler" / "server.json").write_text(json.dumps(facts))
    try:
        yield handler.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_change_says_that_it_is_in_force(folder: Path) -> None:
    def fresh() -> dict[str, Any]:
        table, _ = read_table(folder / "routes.yaml")
        return {"table": table.digest, "faults": [], "share": table.routes[0].share / 1000}

    with _serving(folder, {"/api/v1/routes/r0": (200, fresh)}) as asked:
        done = _run(folder, "share", "r0", "25%", STRANGLER_TOKEN="s3cret")
    assert (done.returncode, done.stdout, done.stderr) == (0, "r0: share 0% -> 25%\nin force\n", "")
    assert asked[0] == ("/api/v1/routes/r0", "Bearer s3cret")


@pytest.mark.parametrize(("percent", "warned"), [("25%", True), ("0%", False)])
def test_a_share_for_a_side_that_is_out_of_order_is_warned_of(
    folder: Path, percent: str, warned: bool
) -> None:
    file = folder / "routes.yaml"
    file.write_text(file.read_text().replace("share: 0%", "share: 5%", 1))

    def fresh() -> dict[str, Any]:
        table, _ = read_table(file)
        share = table.routes[0].share / 1000
        return {"table": table.digest, "faults": [], "share": share, "extracted": "payments", "out": True}

    with _serving(folder, {"/api/v1/routes/r0": (200, fresh)}):
        done = _run(folder, "share", "r0", percent)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "in force")
    warning = "payments is out of order: until it is well, the legacy side answers, where `fallback` is on\n"
    assert done.stderr == (warning if warned else "")


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (
            200,
            {"table": "old", "share": 0.0, "faults": ["routes.yaml:1:1: error: no"]},
            "routes.yaml:1:1: error: no",
        ),
        (200, {"table": "old", "share": 0.0, "faults": []}, "still runs with share 0.0%"),
        (200, {"table": "old", "share": 25.0, "faults": []}, "still runs with share 25.0%"),
        (401, {"detail": "no"}, "set STRANGLER_TOKEN"),
        (200, ["what"], "not strangler's admin API"),
    ],
)
def test_a_change_says_that_it_is_not_in_force(
    folder: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: object, says: str
) -> None:
    with _serving(folder, {"/api/v1/routes/r0": (status, body)}):
        server = running(folder / ".strangler")
        assert server is not None
        reason = taken(server, folder / "routes.yaml", "r0", "share", 25.0, patience=0.1)
    assert reason is not None
    assert says in reason


def test_a_change_that_was_changed_again_is_not_said_to_be_in_force(folder: Path) -> None:
    table, _ = read_table(folder / "routes.yaml")
    body = {"table": table.digest, "share": 0.0, "faults": []}
    with _serving(folder, {"/api/v1/routes/r0": (200, body)}):
        server = running(folder / ".strangler")
        assert server is not None
        reason = taken(server, folder / "routes.yaml", "r0", "share", 25.0)
    assert reason == "share was changed again, to 0.0%"


def test_status_asks_the_running_proxy(folder: Path) -> None:
    report = json.loads(_run(folder, "report", "--json").stdout)
    report["routes"] = report["routes"][:1]
    out = {"out": ["monolith", "payments"], "legacy": "monolith"}
    table = {"table": "abc", "faults": ["routes.yaml:9:9: error: no"], **out}
    answers = {"/api/v1/routes": (200, table), "/api/v1/report": (200, report)}
    with _serving(folder, answers):
        (folder / "routes.yaml").write_text("not a table")
        body = json.loads(_run(folder, "status", "--json").stdout)
        text = _run(folder, "status")
    assert body["server"]["running"] is True
    assert (body["table"], body["faults"]) == ("abc", table["faults"])
    assert [route["route"] for route in body["routes"]] == ["r0"]
    assert text.stdout.startswith(f"running: pid {os.getpid()}")
    assert "routes.yaml:9:9: error: no" in text.stderr
    assert (body["out"], body["legacy"]) == (["monolith", "payments"], "monolith")
    assert "monolith is out of order: it is the legacy side, and nobody answers in its place\n" in text.stderr
    assert (
        "payments is out of order: where `fallback` is on, the legacy side answers in its place\n"
        in text.stderr
    )


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_alive_is_for_health_checks(folder: Path, status: int, code: int) -> None:
    assert _run(folder, "status", "--alive").returncode == 1
    with _serving(folder, {"/readyz": (status, {"status": "as it is"})}):
        assert _run(folder, "status", "--alive").returncode == code


def test_status_when_the_admin_listener_does_not_answer(folder: Path) -> None:
    facts = {"pid": os.getpid(), "listen": "127.0.0.1:1", "admin": "127.0.0.1:1"}
    (folder / ".strangler" / "server.json").write_text(json.dumps(facts))
    done = _run(folder, "status")
    assert done.returncode == 0
    assert "does not answer" in done.stderr
    assert "r0" in done.stdout


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Whoever runs the tests in the background may have SIGINT ignored, and a child inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_is_130_without_a_traceback(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        facts = {"pid": os.getpid(), "listen": "127.0.0.1:1", "admin": f"127.0.0.1:{silent.getsockname()[1]}"}
        (folder / ".strangler" / "server.json").write_text(json.dumps(facts))
        command = [*COMMAND, "status"]
        with subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            waiting, _ = silent.accept()  # now it waits for our answer
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            waiting.close()
    assert process.returncode == 130
    assert (out.strip(), err.strip()) == (b"", b"")
