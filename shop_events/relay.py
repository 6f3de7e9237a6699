"""The relay: brings the events of the outbox to their consumers, each at least once, each key in its order."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from logging import INFO, WARNING
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import aiohttp

from shop_events import deliveries, outbox, sent
from shop_events.deliveries import Subscription
from shop_events.delivery import (
    Absent,
    Deliver,
    Lost,
    PassOver,
    Patience,
    Seen,
    Spoiled,
    Taken,
    Wait,
    judge,
    next_step,
    plain,
)
from shop_events.optional import check_redis
from shop_events.outbox import Told
from shop_events.program import Program, Sign, WrongUse
from shop_events.stream import Entry, is_stream
from shop_events.stream import parse as parse_stream
from shop_events.transactions import transaction

if TYPE_CHECKING:
    from shop_events.sending import Streams

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Pace:
    """How the relay works; times in seconds."""

    every: float = 0.2  # how often to look for new events, and for new consumers
    within: float = 5.0  # how long to wait for a connection, and then for an answer
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Parcel:
    """An event on its way to a consumer."""

    to: Subscription
    event: Told
    attempts: int
    body: str
    after: Entry | None = None  # for a stream: the newest that was put there


@dataclass(frozen=True, slots=True)
class Look:
    """A consumer's stream is to be looked at: what has it acknowledged?"""

    to: Subscription
    newest: Entry
    oldest: Entry


class Relay:
    """Delivers the events of a database. All of its transactions are on a thread of its own.

    `clock` gives seconds since the epoch, `draw` numbers from [0, 1); `sign` is for those who let only the shop in.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        program: Program,
        session: aiohttp.ClientSession,
        pace: Pace,
        *,
        clock: Callable[[], float],
        draw: Callable[[], float],
        sign: Sign,
    ) -> None:
        self._db = db
        self._session = session
        self._pace = pace
        self._clock = clock
        self._draw = draw
        self._sign = sign
        self._older = program.older
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="relay")
        self._streams: Streams | None = None
        self._looked: dict[str, float] = {}
        self._away: set[str] = set()
        self._said = ""
        self._timeout = aiohttp.ClientTimeout(
            total=2 * pace.within, connect=pace.within, sock_read=pace.within
        )

    async def run(self) -> None:
        """Deliver until cancelled, to those who are consumers at the time."""
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                try:
                    known = await self._in_thread(deliveries.subscriptions, self._db)
                except sqlite3.OperationalError:
                    pass  # busy: the next look will do
                except (
                    Exception
                ) as error:  # those who are known are served; a relay that ended would tell nobody
                    self._say_once(f"the relay cannot read who its consumers are: {error}")
                else:
                    names = {each.consumer for each in known}
                    for name in names - tasks.keys():
                        tasks[name] = asyncio.create_task(self._serve(name))
                    for name in tasks.keys() - names:
                        tasks.pop(name).cancel()
                await asyncio.sleep(self._pace.every)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            if self._streams:
                await self._streams.close()
            self._thread.shutdown()

    def _say_once(self, text: str) -> None:
        if text != self._said:
            _log.error("%s", text)
        self._said = text

    async def _serve(self, consumer: str) -> None:
        """Deliver to one consumer. Whatever goes wrong, go on."""
        failures = 0
        while True:
            try:
                pause, absent = await self._round(consumer)
                failures = failures + 1 if absent else 0
                if absent:
                    pause = self._pace.patience.pause(failures, self._draw())
            except Exception:
                _log.exception("the relay stumbles over what goes to %s", consumer)
                pause = self._pace.every
            if pause:
                await asyncio.sleep(pause)

    async def _round(self, consumer: str) -> tuple[float, bool]:
        """Deliver the next event, if there is one; gives how long to wait, and whether the consumer is away."""
        step = await self._in_thread(self._next, consumer)
        if isinstance(step, Wait):
            soon = self._pace.every if step.seconds is None else min(step.seconds, self._pace.every)
            return soon, False
        heard = await self._hand_over(step)
        if isinstance(heard, Absent):
            new = consumer not in self._away
            self._away.add(consumer)
            _log.log(WARNING if heard.wrong or new else INFO, "%s is away: %s", consumer, heard.text)
            return 0.0, True
        if consumer in self._away:
            self._away.remove(consumer)
            _log.warning("%s is back", consumer)
        await self._in_thread(self._settle, step, heard)
        return 0.0, False

    async def _hand_over(self, step: Parcel | Look) -> Taken | Spoiled | Absent | Lost | Seen:
        if isinstance(step, Parcel) and not is_stream(step.to.url):
            return await self._post(step)
        try:
            streams, to = self._open_streams(), parse_stream(step.to.url)
        except (ValueError, WrongUse) as error:
            return Absent(str(error), wrong=True)
        if isinstance(step, Parcel):
            return await streams.add(to, step.body, step.after)
        self._looked[step.to.consumer] = self._clock()
        return await streams.look(to, step.to.consumer, step.newest, step.oldest)

    def _open_streams(self) -> "Streams":
        """Raises WrongUse when what it takes is not installed."""
        if self._streams is None:
            check_redis()
            from shop_events.sending import Streams  # noqa: PLC0415 - it needs what is optional

            self._streams = Streams(self._pace.within)
        return self._streams

    def _next(self, consumer: str) -> Parcel | Look | Wait:
        while True:
            to = deliveries.subscription(self._db, consumer)
            if to is None:
                return Wait(None)
            look = self._look(to)
            if look is not None:
                return look
            head = deliveries.head(self._db, to)
            match next_step(
                deliveries.waiting(self._db, consumer), head, self._clock(), self._pace.patience.most
            ):
                case PassOver(sequence):
                    with transaction(self._db):
                        if deliveries.stands(self._db, to):
                            deliveries.pass_over(self._db, consumer, outbox.at_sequence(self._db, sequence))
                case Deliver(sequence, attempts):
                    event = outbox.at_sequence(self._db, sequence)
                    body, after = (
                        deliveries.body(self._db, event, to, self._older),
                        sent.newest(self._db, consumer),
                    )
                    return Parcel(to, event, attempts, body, after)
                case Wait() as wait:
                    return wait

    def _look(self, to: Subscription) -> Look | None:
        """What is to be looked at, from time to time, as long as something is not acknowledged."""
        since = self._clock() - self._looked.get(to.consumer, 0.0)
        if (
            not is_stream(to.url) or 0.0 <= since < self._pace.every
        ):  # less than nothing: the clock was put back
            return None
        newest, oldest = sent.newest(self._db, to.consumer), sent.oldest(self._db, to.consumer)
        return Look(to, newest, oldest[1]) if newest and oldest else None

    def _settle(self, step: Parcel | Look, heard: Taken | Spoiled | Lost | Seen) -> None:
        with transaction(self._db):
            if not deliveries.stands(self._db, step.to):
                return
            match step, heard:
                case Parcel(after=newest), Lost():
                    self._send_again(step.to.consumer, newest)
                case Look(newest=newest, oldest=oldest), Lost():
                    self._send_again(step.to.consumer, newest, oldest)
                case _, Seen(through, pending):
                    sent.acknowledge(self._db, step.to.consumer, through, pending)
                case Parcel(), (Taken() | Spoiled()):
                    self._settle_parcel(step, heard)

    def _send_again(self, consumer: str, newest: Entry | None, oldest: Entry | None = None) -> None:
        if not sent.stand(self._db, consumer, newest, oldest):
            return  # another relay has gone on meanwhile, and trimmed
        first = deliveries.send_again(self._db, consumer)
        again = "nothing in it was needed" if first is None else f"its events are sent again from {first} on"
        _log.warning("the stream of %s has lost entries: %s", consumer, again)

    def _settle_parcel(self, what: Parcel, heard: Taken | Spoiled) -> None:
        consumer, attempts = what.to.consumer, what.attempts + 1
        match heard:
            case Taken(entry) if entry is not None:
                deliveries.put(self._db, consumer, what.event.sequence, entry, what.after)
            case Taken():
                deliveries.taken(self._db, consumer, what.event.sequence)
            case Spoiled(text, hopeless) if hopeless or self._pace.patience.exhausted(attempts):
                _log.error("event %s is a dead letter for %s: %s", what.event.id, consumer, text)
                deliveries.bury(self._db, consumer, what.event.sequence, attempts, text)
            case Spoiled(text):
                due = self._clock() + self._pace.patience.pause(attempts, self._draw())
                deliveries.put_off(self._db, consumer, what.event, attempts, due, text)

    async def _post(self, what: Parcel) -> Taken | Spoiled | Absent:
        headers = {"Content-Type": "application/json", "Idempotency-Key": what.event.id}
        headers |= self._sign()
        try:
            async with self._session.post(
                what.to.url,
                data=what.body.encode(),
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return judge(response.status, _detail(await response.content.read(4096)))
        except aiohttp.ClientConnectorError as error:
            return Absent(f"{type(error).__name__}: {error}")
        except aiohttp.ConnectionTimeoutError:  # so the event has not come there, and is not to blame
            return Absent(f"no connection within {self._pace.within:g} s")
        except TimeoutError:
            return Spoiled(f"no answer within {self._pace.within:g} s")
        except (aiohttp.ClientError, OSError) as error:  # perhaps the event has killed it, so it counts
            return Spoiled(f"{type(error).__name__}: {error}")

    async def _in_thread(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


@asynccontextmanager
async def relaying(
    program: Program,
    database: Path,
    pace: Pace,
    *,
    clock: Callable[[], float],
    draw: Callable[[], float],
    sign: Sign,
) -> AsyncIterator[asyncio.Task[None]]:
    """Deliver during the block. Raises what the program raises where its database cannot be opened."""
    with closing(program.open_existing(database)) as db:
        # What is lost in a power cut is how far the consumers are; they get it once more, and know it.
        db.execute("PRAGMA synchronous = NORMAL")
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            task = asyncio.create_task(
                Relay(db, program, session, pace, clock=clock, draw=draw, sign=sign).run()
            )
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def _detail(body: bytes) -> str:
    """What a problem says (RFC 9457)."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    detail = said.get("detail") if isinstance(said, dict) else None
    return plain(detail) if isinstance(detail, str) else ""
