"""Every endpoint with `health:` is asked now and then whether it is well.

Each worker asks for itself: no other process has to live for it, and what is found is what this worker would meet.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from strangler.gateway.services import Endpoint
from strangler.http.errors import UpstreamError
from strangler.http.pool import Pool, pool_to
from strangler.http.tls import TlsFault
from strangler.routes import Health, Timeouts

#: A longer answer to a health check is not read to its end (bytes).
LONGEST = 64 * 1024

log = logging.getLogger("strangler.gateway")


class Checks:
    """The health checks of the endpoints in use."""

    def __init__(self) -> None:
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}

    def use(self, endpoints: Iterable[Endpoint]) -> None:
        """From now on ask these, and no others."""
        wanted = set(endpoints)
        for endpoint in self._tasks.keys() - wanted:
            self._tasks.pop(endpoint).cancel()
        for endpoint in wanted - self._tasks.keys():
            self._tasks[endpoint] = asyncio.get_running_loop().create_task(_keep_asking(endpoint))

    def stop(self) -> None:
        """Ask nobody any more."""
        self.use(())


async def _keep_asking(endpoint: Endpoint) -> None:
    health = endpoint.health
    assert health is not None
    times = replace(Timeouts.of(health.timeout), total=health.timeout)
    try:
        pool = pool_to(replace(endpoint.upstream, timeouts=times), limit=1)
    except TlsFault as fault:
        log.error("%s cannot be asked for its health: %s", endpoint.name, fault)
        return
    good = bad = 0
    await asyncio.sleep(health.every * random.random() * 0.1)  # workers need not march in step
    while True:
        problem = await _problem(pool, endpoint, health)
        good, bad = (good + 1, 0) if problem is None else (0, bad + 1)
        if bad >= health.down:
            endpoint.found(healthy=False, why=f"{health.path} {problem}")
        elif good >= health.up:
            endpoint.found(healthy=True, why=f"{health.path} answers")
        await asyncio.sleep(health.every * (0.95 + 0.1 * random.random()))


async def _problem(pool: Pool, endpoint: Endpoint, health: Health) -> str | None:
    """What is wrong with the answer to one question; None when nothing is."""
    try:
        async with asyncio.timeout(health.timeout):
            return await _ask(pool, endpoint, health)
    except TimeoutError:
        return f"did not answer within {health.timeout:g} s"
    except UpstreamError as error:
        return f"{error.what}: {error}"
    except Exception as error:  # whatever an endpoint sends, the checks go on
        log.exception("the health check of %s failed", endpoint.name)
        return repr(error)


async def _ask(pool: Pool, endpoint: Endpoint, health: Health) -> str | None:
    connection = await pool.acquire(fresh=True)
    try:
        head = f"GET {health.path} HTTP/1.1\r\nHost: {endpoint.upstream.authority}\r\nUser-Agent: strangler-health\r\n"
        connection.begin(f"{head}Connection: close\r\n\r\n".encode("latin-1"))
        answer = await connection.answer()
        size = 0
        with suppress(UpstreamError):  # the status has been said
            while size < LONGEST and (data := await connection.read()):
                size += len(data)
        return None if 200 <= answer.status < 300 else f"answered {answer.status}"
    finally:
        connection.abort()
        pool.release(connection)
