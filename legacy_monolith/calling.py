"""Carrying out a step by HTTP: asked again with the same key until it is settled, or there is no patience left."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import aiohttp

from legacy_monolith.backoff import Backoff
from legacy_monolith.replies import LOCKED, Failed, Heard, Reply, Unsettled, judge, locked
from legacy_monolith.saga_log import Pending
from legacy_monolith.token_keys import KeySource, own_token

MOST_AT_ONCE = 32  # calls; the others wait
MOST_BYTES = 64 * 1024  # of an answer

_log = logging.getLogger(__name__)


class Caller:
    """Makes the calls of the sagas. `proxy` is the address that stands before the services.

    `keys` sign each call as the shop's own; services that let anybody in need none. Where a person waits (`attended`)
    and there are none, a door that is locked is not tried again: it is for that person to bring the keys.
    `clock` gives seconds that only go up, `draw` gives numbers from [0, 1), `sleep` waits for so many seconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        proxy: str,
        backoff: Backoff,
        keys: KeySource | None,
        *,
        attended: bool = False,
        call_within: float,
        clock: Callable[[], float],
        draw: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._proxy = proxy
        self._backoff = backoff
        self._keys = keys
        self._attended = attended
        self._timeout = aiohttp.ClientTimeout(total=call_within)
        self._clock = clock
        self._draw = draw
        self._sleep = sleep
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    async def carry_out(self, what: Pending) -> Reply:
        """Ask until the step is settled."""
        began = self._clock()
        attempt = 0
        while True:
            attempt += 1
            heard = await self._ask(what)
            if not isinstance(heard, Unsettled):
                return heard
            pause = None
            if not heard.hopeless:
                passed = self._clock() - began
                pause = self._backoff.pause(what.step, attempt, passed, self._draw(), heard.wait)
            if pause is None:
                _log.warning(
                    "order %d: %s failed after %d attempts: %s", what.order_id, what.step, attempt, heard.text
                )
                return Failed(heard.text, attempt)
            await self._sleep(pause)

    async def _ask(self, what: Pending) -> Reply | Unsettled:
        headers = {"Content-Type": "application/json", "Idempotency-Key": what.key} | own_token(self._keys)
        try:
            async with (
                self._room,
                self._session.post(
                    self._proxy + what.call.target,
                    data=what.call.body.encode(),
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                ) as response,
            ):
                heard = Heard(response.status, await _beginning(response.content), _seconds(response.headers))
        except TimeoutError:
            return Unsettled(f"no answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Unsettled(f"{type(error).__name__}: {error}")
        if heard.status == LOCKED:
            return locked(heard, signed=self._keys is not None, attended=self._attended)
        return judge(what.step, heard)


async def _beginning(body: aiohttp.StreamReader) -> bytes:
    """Read a body, or as much of it as can matter: whoever goes on for ever fills nobody's memory."""
    read = bytearray()
    while len(read) < MOST_BYTES and (part := await body.read(MOST_BYTES - len(read))):
        read += part
    return bytes(read)


def _seconds(headers: Mapping[str, str]) -> float | None:
    """What Retry-After asks for; the form with a date asks for nothing that we wait for."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
