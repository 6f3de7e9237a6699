"""Taking events from a stream in Redis, as one of a group: the consumer's side.

An entry is acknowledged after the transaction of its effect, or of its dead letter. So what was begun by one that
died is pending still, and the next one begins with it. One works at a time, for order is kept for each key.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import closing
from itertools import count
from threading import Event
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

from shop_events import arrivals
from shop_events.arrivals import DeadArrival
from shop_events.arriving import Arrival, arrival, take
from shop_events.delivery import (
    Absent,
    Deliver,
    Head,
    PassOver,
    Spoiled,
    Taken,
    Wait,
    Waiting,
    next_step,
)
from shop_events.program import Program
from shop_events.relay import Pace
from shop_events.stream import Stream, shown

BATCH = 100

_log = logging.getLogger(__name__)


class Consumer:
    """Takes the events of one stream, in the name of a group; `name` tells who it is within that.

    `clock` gives seconds since the epoch, `draw` numbers from [0, 1).
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        program: Program,
        source: Stream,
        group: str,
        name: str,
        pace: Pace,
        *,
        clock: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        self._db = db
        self._program = program
        self._source = source
        self._group = group
        self._name = name
        self._pace = pace
        self._clock = clock
        self._draw = draw
        self._fresh: deque[tuple[int, Arrival]] = deque()
        self._passed: dict[int, tuple[Arrival, Waiting]] = {}
        self._numbers = count(1)
        self._failures = 0  # one after the other, of Redis or of the database
        self._said = ""
        self._claimed: str | None = None  # from where on pending entries are to be claimed; None: all are
        self._at = f"{shown(source.server)} {source.name}"
        self._client = Redis.from_url(
            source.server,
            protocol=2,
            socket_timeout=pace.within,
            socket_connect_timeout=pace.within,
            retry=Retry(NoBackoff(), 0),  # it is tried again below
        )

    def run(self, stop: Event) -> None:
        """Take events until told to stop. Whatever goes wrong, begin again with what is pending."""
        with closing(self._client):
            while not stop.is_set():
                try:
                    self._begin()
                    self._work(stop)
                except (RedisError, OSError, sqlite3.OperationalError) as error:
                    self._say(f"no events come from {self._at}: {error}")
                except Exception:
                    _log.exception("the consumer stumbles over what comes from %s", self._at)
                self._pause(stop)

    def _say(self, text: str) -> None:
        """Say what is wrong, once until something else is."""
        if text != self._said:
            _log.warning("%s", text)
        self._said = text

    def _pause(self, stop: Event) -> None:
        """Wait after a failure, for longer when it is not the first."""
        self._failures += 1
        stop.wait(self._pace.patience.pause(self._failures, self._draw()))

    def _goes_well(self) -> None:
        self._failures, self._said = 0, ""

    def _begin(self) -> None:
        """Make the group if there is none, which then gets all that the stream has, and claim what is pending."""
        self._fresh.clear()
        self._passed.clear()
        self._claimed = "0-0"
        try:
            self._do("XGROUP CREATE", self._source.name, self._group, "0", "MKSTREAM")
        except OutOfMemoryError:
            pass  # there may be a group all the same, and to read makes room
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _work(self, stop: Event) -> None:
        while not stop.is_set():
            if not self._fresh and self._claimed:
                self._claim()
            head = Head(self._fresh[0][0], self._fresh[0][1].key) if self._fresh else None
            waiting = [each for _, each in self._passed.values()]
            match next_step(waiting, head, self._clock(), self._pace.patience.most):
                case PassOver(number):
                    what = self._fresh.popleft()[1]
                    self._passed[number] = (what, Waiting(number, what.key, 0, 0.0))
                case Deliver(number, attempts):
                    heard = take(self._program, self._db, self._what(number))
                    if isinstance(heard, Absent):
                        self._say(f"the events of {self._at} wait: {heard.text}")
                        self._pause(stop)
                    else:
                        self._settle(number, attempts + 1, heard)
                        self._goes_well()
                case Wait(seconds):
                    pause = self._pace.every if seconds is None else min(seconds, self._pace.every)
                    if self._fresh:  # too many wait for those that have failed
                        stop.wait(pause)
                    else:
                        self._read(pause)

    def _what(self, number: int) -> Arrival:
        return self._passed[number][0] if number in self._passed else self._fresh[0][1]

    def _settle(self, number: int, attempts: int, heard: Taken | Spoiled) -> None:
        what = self._what(number)
        match heard:
            case Spoiled(text, hopeless) if hopeless or self._pace.patience.exhausted(attempts):
                _log.error("event %s is a dead letter here: %s", what.id, text)
                body = what.body.decode(errors="backslashreplace")
                letter = DeadArrival(
                    what.id, self._group, self._source.name, what.entry, body, attempts, text
                )
                arrivals.bury(self._db, letter)
            case Spoiled():
                due = self._clock() + self._pace.patience.pause(attempts, self._draw())
                self._remove(number)
                self._passed[number] = (what, Waiting(number, what.key, attempts, due))
                return
        self._remove(number)
        self._do("XACK", self._source.name, self._group, what.entry)

    def _remove(self, number: int) -> None:
        if self._passed.pop(number, None) is None:
            self._fresh.popleft()

    def _claim(self) -> None:
        """Take over what others of the group were given and have not acknowledged, the oldest first."""
        words = (self._source.name, self._group, self._name, 0, self._claimed, "COUNT", BATCH)
        following, entries, *_ = self._do("XAUTOCLAIM", *words)
        self._claimed = None if following == b"0-0" else following.decode()
        self._queue(entries)

    def _read(self, seconds: float) -> None:
        """Read what the group was not given yet; wait so long for it."""
        block = max(1, int(min(seconds, self._pace.within / 2) * 1000))
        who = ("GROUP", self._group, self._name)
        told = self._do("XREADGROUP", *who, "COUNT", BATCH, "BLOCK", block, "STREAMS", self._source.name, ">")
        for _, entries in told or []:
            self._queue(entries)
        if not told:
            self._goes_well()

    def _queue(self, entries: list[Any]) -> None:
        for entry, fields in entries:
            self._fresh.append((next(self._numbers), arrival(entry.decode(), fields or {})))

    def _do(self, *words: str | int | None) -> Any:
        return self._client.execute_command(*words)  # type: ignore[no-untyped-call]
