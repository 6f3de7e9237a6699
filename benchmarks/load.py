"""Load on a proxy, bounded in time and count, on loopback only."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.machine import program

MIB = 2**20
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


class BadRun(Exception):
    """A run in which something failed counts for nothing."""


@dataclass(frozen=True)
class Run:
    """One run: CPU per request (µs), requests a second, latency (ms), resident memory (MiB)."""

    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    rss_mib: float


def cpu(processes: list[psutil.Process]) -> float:
    """Seconds of CPU, user and system, that these processes have taken."""
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def rss(processes: list[psutil.Process]) -> float:
    """Their resident memory in MiB."""
    return float(sum(process.memory_info().rss for process in processes)) / MIB


def wrk(
    url: str, script: Path, seconds: float, processes: list[psutil.Process], connections: int = 32
) -> Run:
    """Run wrk for so long, after a second of warming up. Raises BadRun when a request failed."""
    _wrk(url, script, 1.0, connections)
    before = cpu(processes)
    text = _wrk(url, script, seconds, connections)
    used = cpu(processes) - before
    found = re.search(r"(\d+) requests in", text)
    requests = int(found[1]) if found else 0
    if not requests or "Non-2xx" in text or "Socket errors" in text:
        raise BadRun(f"{url}: {' '.join(text.split())[:300]}")
    took = seconds
    return Run(
        used / requests * 1e6, requests / took, _latency(text, "50"), _latency(text, "99"), rss(processes)
    )


def _wrk(url: str, script: Path, seconds: float, connections: int) -> str:
    command = [
        program("wrk"),
        "-t1",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "--latency",
        "-s",
        str(script),
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout


def _latency(text: str, percentile: str) -> float:
    found = re.search(rf"^\s*{percentile}%\s+([\d.]+)(us|ms|s|m)$", text, re.M)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


@dataclass
class Peak:
    """The most memory that some processes held during a block, over what they held before (MiB)."""

    processes: list[psutil.Process]
    growth: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Peak:
        self._before = rss(self.processes)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.growth = max(self.growth, rss(self.processes) - self._before)


def download(port: int, size: int, *, pause: float = 0.0) -> float:
    """Read `/big` and give the MiB a second. With a pause, a reader that falls asleep after every MiB."""
    buffer = bytearray(MIB)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        if pause:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        sock.sendall(b"GET /big HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nx-user-id: 1\r\n\r\n")
        started = time.perf_counter()
        got = since = 0
        while count := sock.recv_into(buffer):
            got += count
            since += count
            if pause and since >= MIB:
                since = 0
                time.sleep(pause)
        took = time.perf_counter() - started
    if got < size:
        raise BadRun(f"port {port}: {got} bytes of {size} arrived")
    return got / MIB / took


def upload(port: int, size: int) -> float:
    """Send a body to `/sink` and give the MiB a second."""
    block = b"x" * MIB
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        head = f"POST /sink HTTP/1.1\r\nHost: shop\r\nx-user-id: 1\r\nContent-Length: {size}\r\n\r\n"
        started = time.perf_counter()
        sock.sendall(head.encode())
        for _ in range(size // MIB):
            sock.sendall(block)
        answer = sock.recv(65536)
        took = time.perf_counter() - started
    if not answer.startswith(b"HTTP/1.1 200"):
        raise BadRun(f"port {port}: {answer[:60]!r}")
    return size / MIB / took


@dataclass(frozen=True)
class Idle:
    """What kept-alive connections without a request cost."""

    kib_each: float
    cpu_percent: float


def idle(port: int, count: int, processes: list[psutil.Process], seconds: float) -> Idle:
    """Open connections, send one request on each, and then nothing."""
    before = rss(processes)
    socks = []
    try:
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
            socks.append(sock)
            sock.sendall(b"GET /plain/1 HTTP/1.1\r\nHost: shop\r\nx-user-id: 1\r\n\r\n")
            if not sock.recv(65536).startswith(b"HTTP/1.1 200"):
                raise BadRun(f"port {port}: an idle caller's first request failed")
        used = cpu(processes)
        time.sleep(seconds)
        return Idle((rss(processes) - before) * 1024 / count, (cpu(processes) - used) / seconds * 100)
    finally:
        for sock in socks:
            sock.close()


@dataclass(frozen=True)
class Paced:
    """What callers saw at a fixed rate. Latency in ms, from when a request was due."""

    requests: int
    failed: int
    p50_ms: float
    p99_ms: float


def paced(port: int, path: str, rate: int, seconds: float) -> Paced:
    """Callers at a fixed rate, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.paced", str(port), path, str(rate), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return Paced(**json.loads(done.stdout))


def meanwhile(work: Callable[[], object]) -> Callable[[], None]:
    """Do something again and again in a thread until the returned function is called."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            work()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(30)

    return end
