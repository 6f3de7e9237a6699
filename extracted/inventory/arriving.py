"""What becomes of an event that came through a stream: the same as if it had been posted to `/events`."""

import sqlite3
from dataclasses import dataclass

from extracted.inventory import arrivals, events, handling
from extracted.inventory.arrivals import DeadArrival
from extracted.inventory.delivery import Absent, Spoiled, Taken, judge
from extracted.inventory.problems import Malformed, answer_for
from extracted.inventory.writing import object_of

MAX_BODY = 64 * 1024


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
    try:
        told = _object(body)
    except Malformed:
        return Arrival(entry, body, entry, entry)
    source, key, name = told.get("source"), told.get("key"), told.get("id")
    known = isinstance(source, str) and isinstance(key, str)
    named = isinstance(name, str) and events.is_id(name)
    return Arrival(entry, body, f"{source} {key}" if known else entry, str(name) if named else entry)


def take(db: sqlite3.Connection, what: Arrival) -> Taken | Spoiled | Absent:
    """Let an event have its effect, if it has not had it, and say how that went."""
    try:
        handling.handle(db, events.read(_object(what.body)))
    except Exception as error:
        return judge(answer_for(error).status, _plain(str(error) or type(error).__name__))
    arrivals.settle(db, what.id)
    return Taken()


def retry(db: sqlite3.Connection, letter: DeadArrival) -> Taken | Spoiled | Absent:
    """Let a dead letter have its effect now; it stays one when it fails again."""
    heard = take(db, Arrival(letter.entry, letter.body.encode(), "", letter.id))
    if isinstance(heard, Spoiled):
        with_one_more = DeadArrival(
            letter.id, letter.consumer, letter.stream, letter.entry, letter.body, 1, heard.text
        )
        arrivals.bury(db, with_one_more)
    return heard


def _plain(text: str) -> str:
    """What was said of an event, as a line for a terminal: a stranger may have had a part in it."""
    return "".join(each if each.isprintable() else "?" for each in text[:500])


def _object(body: bytes) -> dict[str, object]:
    if not body:
        raise Malformed("the entry has no event in it")
    if len(body) > MAX_BODY:
        raise Malformed(f"the event is larger than {MAX_BODY} bytes")
    return object_of(body)
