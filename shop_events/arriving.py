"""What becomes of an event that came through a stream: the same as if it had been posted to `/events`."""

import json
import re
import sqlite3
from dataclasses import dataclass
from http import HTTPStatus

from shop_events import arrivals
from shop_events.arrivals import DeadArrival
from shop_events.delivery import Absent, Spoiled, Taken, judge, plain
from shop_events.program import Program

MAX_BODY = 64 * 1024

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An entry of a stream: `body` is its event, as it came.

    `key` is what must keep its order; `id` is the event's, or the entry's where there is no event in it.
    """

    entry: str
    body: bytes
    key: str
    id: str


def arrival(entry: str, fields: dict[bytes, bytes]) -> Arrival:
    """Read an entry. One that holds no event has a key of its own, so it holds up nobody."""
    body = fields.get(b"event", b"")
    told = _object(body)
    source, key, name = told.get("source"), told.get("key"), told.get("id")
    known = isinstance(source, str) and isinstance(key, str)
    named = isinstance(name, str) and _ID.fullmatch(name) is not None
    return Arrival(entry, body, f"{source} {key}" if known else entry, str(name) if named else entry)


def take(program: Program, db: sqlite3.Connection, what: Arrival) -> Taken | Spoiled | Absent:
    """Let an event have its effect, if it has not had it, and say how that went."""
    if not what.body:
        return judge(HTTPStatus.BAD_REQUEST, "the entry has no event in it")
    if len(what.body) > MAX_BODY:
        return judge(HTTPStatus.BAD_REQUEST, f"the event is larger than {MAX_BODY} bytes")
    try:
        program.take(db, what.body)
    except Exception as error:
        return judge(program.status_of(error), plain(str(error) or type(error).__name__))
    arrivals.settle(db, what.id)
    return Taken()


def retry(program: Program, db: sqlite3.Connection, letter: DeadArrival) -> Taken | Spoiled | Absent:
    """Let a dead letter have its effect now; it stays one when it fails again."""
    heard = take(program, db, Arrival(letter.entry, letter.body.encode(), "", letter.id))
    if isinstance(heard, Spoiled):
        with_one_more = DeadArrival(
            letter.id, letter.consumer, letter.stream, letter.entry, letter.body, 1, heard.text
        )
        arrivals.bury(db, with_one_more)
    return heard


def _object(body: bytes) -> dict[str, object]:
    """Read what came as far as its order asks for; nothing where it is no object."""
    try:
        told = json.loads(body) if len(body) <= MAX_BODY else {}
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
