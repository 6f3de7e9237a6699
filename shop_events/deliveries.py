"""Who asked for which events, how far each consumer has come, and what could not be delivered."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from shop_events import outbox, sent
from shop_events.delivery import Head, Waiting
from shop_events.outbox import Told
from shop_events.program import Older
from shop_events.stream import Entry, shown

LATER_SCHEMA = (
    # All events up to `cursor` are delivered, given up, of no interest, or in `deliveries`.
    """CREATE TABLE IF NOT EXISTS subscriptions (
        consumer TEXT PRIMARY KEY,
        url TEXT NOT NULL,
        types TEXT NOT NULL,
        cursor INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS deliveries (
        consumer TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        key TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        due REAL NOT NULL,
        last_error TEXT,
        PRIMARY KEY (consumer, sequence)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS dead_events (
        consumer TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        last_error TEXT NOT NULL,
        at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
        PRIMARY KEY (consumer, sequence)
    ) WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A consumer: where it takes events, and the types that it asked for, each with the newest version it knows."""

    consumer: str
    url: str
    types: Mapping[str, int]
    cursor: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a consumer is behind."""

    consumer: str
    url: str  # as people may see it
    types: tuple[str, ...]
    cursor: int
    events: int  # that it should have and has not; dead letters are none of them
    since: str | None  # the time of the oldest of these
    dead: int


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that a consumer could not be brought to take."""

    consumer: str
    event: Told
    attempts: int
    last_error: str
    at: str


def subscribe(db: sqlite3.Connection, consumer: str, url: str, types: Mapping[str, int]) -> None:
    """Enter a consumer, or change where and what it takes. A new one gets the whole history.

    What lies in a stream unacknowledged goes to the new place too. Who asks for further types is told again from the
    first event of these on: what is told twice is known there.
    """
    known = subscription(db, consumer)
    if known and known.url != url:
        send_again(db, consumer)
    further = outbox.first_after(db, 0, types.keys() - known.types.keys()) if known else None
    if further:
        _go_back(db, consumer, further.sequence)
    db.execute(
        """INSERT INTO subscriptions (consumer, url, types) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET (url, types) = (excluded.url, excluded.types)""",
        (consumer, url, json.dumps(types)),
    )


def unsubscribe(db: sqlite3.Connection, consumer: str) -> bool:
    """Forget a consumer, and what waits for it; False when there is none of that name."""
    sent.forget(db, consumer)
    for table in ("deliveries", "dead_events"):
        db.execute(f"DELETE FROM {table} WHERE consumer = ?", (consumer,))
    return db.execute("DELETE FROM subscriptions WHERE consumer = ?", (consumer,)).rowcount > 0


def subscriptions(db: sqlite3.Connection) -> list[Subscription]:
    """List the consumers by name."""
    rows = db.execute("SELECT consumer, url, types, cursor FROM subscriptions ORDER BY consumer")
    return [Subscription(consumer, url, json.loads(types), cursor) for consumer, url, types, cursor in rows]


def subscription(db: sqlite3.Connection, consumer: str) -> Subscription | None:
    """Find a consumer by its name."""
    return next((each for each in subscriptions(db) if each.consumer == consumer), None)


def waiting(db: sqlite3.Connection, consumer: str) -> list[Waiting]:
    """List what was passed over, in order."""
    rows = db.execute(
        "SELECT sequence, key, attempts, due FROM deliveries WHERE consumer = ? ORDER BY sequence",
        (consumer,),
    )
    return [Waiting(*row) for row in rows]


def head(db: sqlite3.Connection, of: Subscription) -> Head | None:
    """Give the first event that was never tried."""
    event = outbox.first_after(db, of.cursor, of.types)
    return Head(event.sequence, event.key) if event else None


def stands(db: sqlite3.Connection, of: Subscription) -> bool:
    """Say whether a consumer is subscribed as it was, and has come as far or further.

    If not, all that was under way will be told once more, and how it ended does not count.
    """
    now = subscription(db, of.consumer)
    return now is not None and (now.url, now.types) == (of.url, of.types) and now.cursor >= of.cursor


def body(db: sqlite3.Connection, event: Told, of: Subscription, older: Older) -> str:
    """Write an event as it goes over the wire, in a version that the consumer knows."""
    version, data = older(
        of.types.get(event.type, event.version), event.type, event.version, json.loads(event.data)
    )
    return event.to_wire(outbox.source(db), version, data)


def taken(db: sqlite3.Connection, consumer: str, sequence: int) -> None:
    """Write down that a consumer has an event, or that its stream has."""
    db.execute("DELETE FROM dead_events WHERE consumer = ? AND sequence = ?", (consumer, sequence))
    _settle(db, consumer, sequence)


def put(db: sqlite3.Connection, consumer: str, sequence: int, entry: Entry, after: Entry | None) -> None:
    """Write down that an event lies in its consumer's stream, `after` the entry that was the newest then.

    If another one is by now, another relay was quicker or the stream was lost; the event will be put there again.
    """
    if sent.newest(db, consumer) == after:
        sent.note(db, consumer, sequence, entry)
        taken(db, consumer, sequence)


def send_again(db: sqlite3.Connection, consumer: str) -> int | None:
    """Go back to the first event that lies in a stream unacknowledged, if there is one; gives its number."""
    first = sent.forget(db, consumer)
    if first is not None:
        _go_back(db, consumer, first)
    return first


def pass_over(db: sqlite3.Connection, consumer: str, event: Told) -> None:
    """Write down that an event stands behind one of its key; what is known of its attempts stays."""
    db.execute(
        """INSERT INTO deliveries (consumer, sequence, key, attempts, due, last_error) VALUES (?, ?, ?, 0, 0.0, NULL)
        ON CONFLICT DO NOTHING""",
        (consumer, event.sequence, event.key),
    )
    _pass(db, consumer, event.sequence)


def put_off(
    db: sqlite3.Connection, consumer: str, event: Told, attempts: int, due: float, last_error: str | None
) -> None:
    """Write down that an event is to be tried later; `due` is in seconds since the epoch."""
    db.execute(
        """INSERT INTO deliveries (consumer, sequence, key, attempts, due, last_error) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET (attempts, due, last_error)
            = (excluded.attempts, excluded.due, excluded.last_error)""",
        (consumer, event.sequence, event.key, attempts, due, last_error),
    )
    _pass(db, consumer, event.sequence)


def bury(db: sqlite3.Connection, consumer: str, sequence: int, attempts: int, last_error: str) -> None:
    """Make an event that has failed for good a dead letter."""
    db.execute(
        """INSERT INTO dead_events (consumer, sequence, attempts, last_error) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET (attempts, last_error, at)
            = (attempts + excluded.attempts, excluded.last_error, excluded.at)""",
        (consumer, sequence, attempts, last_error),
    )
    _settle(db, consumer, sequence)


def dig_out(db: sqlite3.Connection, event_id: str) -> list[str]:
    """Have a dead letter delivered once more; gives the consumers that it goes to."""
    event = outbox.with_id(db, event_id)
    if event is None:
        return []
    rows = db.execute(
        "DELETE FROM dead_events WHERE sequence = ? RETURNING consumer", (event.sequence,)
    ).fetchall()
    for (consumer,) in rows:
        put_off(db, consumer, event, 0, 0.0, None)
    return sorted(consumer for (consumer,) in rows)


def dead_events(db: sqlite3.Connection) -> list[DeadEvent]:
    """List the dead letters, the oldest event first."""
    rows = db.execute(
        "SELECT consumer, sequence, attempts, last_error, at FROM dead_events ORDER BY sequence, consumer"
    ).fetchall()
    return [
        DeadEvent(consumer, outbox.at_sequence(db, sequence), *rest) for consumer, sequence, *rest in rows
    ]


def lags(db: sqlite3.Connection) -> list[Lag]:
    """Say how far each consumer is behind."""
    return [_lag(db, each) for each in subscriptions(db)]


def _lag(db: sqlite3.Connection, of: Subscription) -> Lag:
    passed = waiting(db, of.consumer)
    first, unread = head(db, of), sent.oldest(db, of.consumer)
    oldest = min(
        [each.sequence for each in passed]
        + ([first.sequence] if first else [])
        + ([unread[0]] if unread else []),
        default=None,
    )
    (dead,) = db.execute("SELECT count(*) FROM dead_events WHERE consumer = ?", (of.consumer,)).fetchone()
    return Lag(
        consumer=of.consumer,
        url=shown(of.url),
        types=tuple(f"{name}@{version}" for name, version in sorted(of.types.items())),
        cursor=of.cursor,
        # What is told anew stands in the outbox, and may lie in the stream or wait from before.
        events=sum(each.sequence <= of.cursor for each in passed)
        + outbox.count_after(db, of.cursor, of.types)
        + sent.count(db, of.consumer, of.cursor),
        since=outbox.at_sequence(db, oldest).at if oldest is not None else None,
        dead=dead,
    )


def _settle(db: sqlite3.Connection, consumer: str, sequence: int) -> None:
    db.execute("DELETE FROM deliveries WHERE consumer = ? AND sequence = ?", (consumer, sequence))
    _pass(db, consumer, sequence)


def _pass(db: sqlite3.Connection, consumer: str, sequence: int) -> None:
    """Go past an event if it is the next one; one that was retried may be far ahead of that."""
    of = subscription(db, consumer)
    first = head(db, of) if of else None
    if first and first.sequence == sequence:
        db.execute("UPDATE subscriptions SET cursor = ? WHERE consumer = ?", (sequence, consumer))


def _go_back(db: sqlite3.Connection, consumer: str, first: int) -> None:
    """Go back to before an event, unless it is to come anyway."""
    db.execute("UPDATE subscriptions SET cursor = min(cursor, ?) WHERE consumer = ?", (first - 1, consumer))


def untaken(db: sqlite3.Connection) -> int:
    """Count the events that somebody, or everybody, has not taken; dead letters are among them."""
    return max((each.events + each.dead for each in lags(db)), default=outbox.last(db))
