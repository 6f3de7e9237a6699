"""Putting events into the streams of consumers, and seeing what these have acknowledged: the relay's side of Redis."""

import json
from collections.abc import Awaitable
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from shop_events.delivery import Absent, Lost, Seen, Taken
from shop_events.stream import NONE, Entry, Group, Stream, entry_of, needed_from, shown, text_of

MOST_PENDING = 5_000  # entries that a group was given and has not acknowledged, of which one look takes note

# An entry is added only while the newest one before it is there: else the stream has lost some, and nobody would know.
_ADD = """
if ARGV[1] ~= '' and #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return false end
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
"""

_Result = TypeVar("_Result")


class Streams:
    """The streams that a relay fills. `within`: the seconds that Redis has for an answer."""

    def __init__(self, within: float) -> None:
        self._within = within
        self._clients: dict[str, Redis] = {}

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()

    async def add(self, to: Stream, body: str, newest: Entry | None) -> Taken | Absent | Lost:
        """Put an event, as it goes over the wire, behind the `newest` one that was put there."""
        return await _asked(to, self._add(to, body, newest))

    async def look(self, to: Stream, group: str, newest: Entry, oldest: Entry) -> Seen | Absent | Lost:
        """See what a group has acknowledged, and trim what no group needs any more.

        `newest` and `oldest` are the entries that must be there: the last one sent, and the first not acknowledged.
        """
        return await _asked(to, self._look(to, group, newest, oldest))

    async def _add(self, to: Stream, body: str, newest: Entry | None) -> Taken | Lost:
        fields = [to.name, text_of(newest) if newest else "", *_fields(body)]
        added: bytes | None = await _do(self._client(to), "EVAL", _ADD, 1, *fields)
        return Lost() if added is None else Taken(entry_of(added.decode()))

    async def _look(self, to: Stream, name: str, newest: Entry, oldest: Entry) -> Seen | Lost:
        client = self._client(to)
        groups = await _groups(client, to.name)
        own = next((each for each in groups if each.name == name), None)
        pending = await _pending(client, to.name, name) if own and own.oldest else []
        # Asked last: when both are there now, nothing was lost before what is said above.
        for entry in map(text_of, (oldest, newest)):
            if not await _do(client, "XRANGE", to.name, entry, entry):
                return Lost()
        if own is None:
            return Seen(NONE, frozenset())
        needed = needed_from(min(oldest, newest), groups)
        await _do(client, "XTRIM", to.name, "MINID", "=", text_of(needed))
        through = pending[-1] if len(pending) == MOST_PENDING else own.given
        return Seen(through, frozenset(pending))

    def _client(self, to: Stream) -> Redis:
        if to.server not in self._clients:
            self._clients[to.server] = Redis.from_url(
                to.server,
                protocol=2,
                socket_timeout=self._within,
                socket_connect_timeout=self._within,
                retry=Retry(NoBackoff(), 0),  # the relay tries again by itself
            )
        return self._clients[to.server]


async def _asked(to: Stream, answer: Awaitable[_Result]) -> _Result | Absent:
    """Ask Redis. Whatever is wrong with it, the consumer is away, and no event has failed."""
    try:
        return await answer
    except (BusyLoadingError, OutOfMemoryError) as error:
        return Absent(f"{shown(to.server)}: {error}")
    except (AuthenticationError, ResponseError, ValueError) as error:
        return Absent(f"{shown(to.server)} {to.name}: {error}", wrong=True)
    except (RedisError, OSError) as error:
        return Absent(f"{shown(to.server)}: {error}")


async def _do(client: Redis, *words: str | bytes | int, **how: bool) -> Any:
    return await client.execute_command(*words, **how)  # type: ignore[no-untyped-call]


def _fields(body: str) -> list[str]:
    """What an entry holds: the event, and beside it what a person looks for."""
    told = json.loads(body)
    return ["event", body, *(word for name in ("id", "type", "key") for word in (name, str(told[name])))]


async def _groups(client: Redis, name: str) -> list[Group]:
    try:
        told: list[dict[str, Any]] = await _do(client, "XINFO GROUPS", name)
    except ResponseError as error:
        if "no such key" in str(error):
            return []
        raise
    return [
        Group(
            each["name"].decode(errors="replace"),
            entry_of(each["last-delivered-id"].decode()),
            await _oldest(client, name, each["name"]) if each["pending"] else None,
        )
        for each in told
    ]


async def _oldest(client: Redis, name: str, group: bytes) -> Entry | None:
    first = await _do(client, "XPENDING", name, group)
    return entry_of(first["min"].decode()) if first["pending"] else None


async def _pending(client: Redis, name: str, group: str) -> list[Entry]:
    """The first entries, in order, that a group was given and has not acknowledged."""
    told = await _do(client, "XPENDING", name, group, "-", "+", MOST_PENDING, parse_detail=True)
    return [entry_of(each["message_id"].decode()) for each in told]
