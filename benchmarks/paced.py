"""Callers who ask at a fixed rate, whatever happened to the request before.

`python -m benchmarks.paced PORT PATH RATE SECONDS` prints what they saw as JSON.
A request's latency counts from when it was due, so a stall is seen by everybody who had to wait for it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

CALLERS = 16


async def _caller(port: int, path: str, due: list[float], seen: list[float], number: int) -> int:
    request = f"GET {path}{number} HTTP/1.1\r\nHost: shop\r\nx-user-id: {number}\r\n\r\n".encode()
    failed = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for at in due:
        await asyncio.sleep(max(at - time.perf_counter(), 0))
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                failed += 1
        except (OSError, asyncio.IncompleteReadError, IndexError):
            failed += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        seen.append(time.perf_counter() - at)
    writer.close()
    return failed


async def _run(port: int, path: str, rate: int, seconds: float) -> None:
    start = time.perf_counter() + 0.2
    count = int(rate * seconds)
    seen: list[float] = []
    shares = [[start + index / rate for index in range(caller, count, CALLERS)] for caller in range(CALLERS)]
    failed = await asyncio.gather(*(_caller(port, path, due, seen, n) for n, due in enumerate(shares)))
    seen.sort()
    found = {"requests": len(seen), "failed": sum(failed)}
    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99)):
        found[name] = round(seen[int(len(seen) * share)] * 1000, 3)  # type: ignore[assignment]
    print(json.dumps(found))


if __name__ == "__main__":
    uvloop.run(_run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
